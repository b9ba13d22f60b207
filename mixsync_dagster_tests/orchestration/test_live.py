"""A real `dagster dev` with its own clock: nobody calls a sensor here. Three syncs, each with one change to be seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import pytest

from mixsync_dagster.model.progress import RunRecord
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.support.dagster_dev import DagsterDev, running_dagster_dev
from mixsync_dagster_tests.support.recording_proxy import Answer, Forward, RecordingProxy, recording
from mixsync_dagster_tests.support.s3_servers import (
    ACCESS_KEY,
    SECRET_KEY,
    S3Server,
    SeenRequest,
    new_bucket,
)

DEFINITIONS = """
connections:
  live-s3:
    provider_type: s3
    provider_config:
      endpoint_url: {endpoint_url}
      dialect: minio
      credentials: {{type: access_key, access_key_id: {access_key}, secret_access_key: {secret_key}}}
buckets:
  bkt_live: {{}}
syncs:
"""
SYNC = """
  {name}:
    bucket_id: bkt_live
    connection_id: live-s3
    source_path: {source_path}
    sync_mode: continuous
    polling_interval_seconds: 30
    schema_mapping:
      mappings:
        content: {{target_type: blob, source: {{type: file}}}}
        category: {{target_type: field, source: {{type: tag, key: category}}}}
        owner: {{target_type: field, source: {{type: metadata, key: owner}}}}
"""
NAMES = ("new-file", "same-second", "multipart")
START_SECONDS = 90
INTERVAL_SECONDS = 75
"""Two and a half intervals: the machine of the tests may be slow, and a tick that never comes still fails."""


class Sources:
    """The buckets that the syncs read, behind a proxy that sees what the syncs ask; the test writes past it."""

    def __init__(self, server: S3Server, proxy: RecordingProxy) -> None:
        self.proxy = proxy
        self.buckets = {name: new_bucket(server) for name in NAMES}
        self.planted = threading.Event()
        self.services: Services | None = None
        """Set when Dagster starts; before, `mixsync apply` has a look at the paths."""
        self._upload_begun_at = datetime.min.replace(tzinfo=UTC)
        self._upload = {"Bucket": self.buckets["multipart"].name, "Key": "large.mp4"}
        proxy.around = self._around

    def put(self, name: str, key: str) -> None:
        """Write a file of a content of its own, with what the mapping reads."""
        content = f"content of {key} of {name}".encode()
        self.buckets[name].put(key, content, Tagging="category=clip", Metadata={"owner": "ana"})

    def begin_upload(self) -> None:
        """Begin a multipart upload and send its only part."""
        client = self.buckets["multipart"].client
        begun = client.create_multipart_upload(**self._upload, Tagging="category=clip", Metadata={"owner": "ana"})
        self._upload["UploadId"] = begun["UploadId"]
        self._upload_begun_at = datetime.now(UTC).replace(microsecond=0)
        self._part = client.upload_part(**self._upload, PartNumber=1, Body=b"content of large.mp4")

    def complete_upload(self) -> None:
        """Complete it: the object exists from now on, dated before what the sync has seen already."""
        assert self._upload_begun_at < self.dates("multipart", "first.mp4").pop(), "the test's own timing failed"
        parts = {"Parts": [{"PartNumber": 1, "ETag": self._part["ETag"]}]}
        self.buckets["multipart"].client.complete_multipart_upload(**self._upload, MultipartUpload=parts)

    def dates(self, name: str, *keys: str) -> set[datetime]:
        """Return the times at which the storage says that these files were written, to the second."""
        bucket = self.buckets[name]
        return {bucket.client.head_object(Bucket=bucket.name, Key=key)["LastModified"] for key in keys}

    def seen(self, name: str) -> list[SeenRequest]:
        """Return the requests about the sync's bucket so far."""
        return [one for one in self.proxy.seen if _bucket_and_key(one)[0] == self.buckets[name].name]

    def listings(self, name: str) -> int:
        """Return how many listings of the sync's bucket were asked for so far."""
        return sum(not _bucket_and_key(one)[1] for one in self.seen(name))

    def about_objects(self, name: str) -> Counter[str]:
        """Return how often each object of the sync's bucket was asked for, and how."""
        return Counter(
            f"{one.method} {'tags of ' if '?tagging' in one.target else ''}{key}"
            for one in self.seen(name)
            if (key := _bucket_and_key(one)[1])
        )

    def _around(self, request: SeenRequest, forward: Forward) -> Answer:
        bucket, key = _bucket_and_key(request)
        if bucket == self.buckets["same-second"].name and not key and not self.planted.is_set() and self._runs():
            return self._with_a_twin(forward)
        if bucket == self.buckets["multipart"].name and not key:
            return self._as_amazon_dates_it(forward())
        return forward()

    def _runs(self) -> bool:
        return self.services is not None and self.services.store.get_sync("same-second").locked

    def _with_a_twin(self, forward: Forward) -> Answer:
        """Put a file just before a run's listing, and another just after it: both in one second."""
        while time.time() % 1 > 0.3:
            time.sleep(0.01)
        self.put("same-second", "listed.mp4")
        answer = forward()
        self.put("same-second", "twin.mp4")
        self.planted.set()
        return answer

    def _as_amazon_dates_it(self, answer: Answer) -> Answer:
        # There a multipart object is as old as the begin of its upload; moto dates it by its end.
        dated = f"\\g<1>{self._upload_begun_at:%Y-%m-%dT%H:%M:%S.000Z}<".encode()
        body = re.sub(rb"(<Key>large\.mp4</Key>\s*<LastModified>)[^<]*<", dated, answer.body)
        return Answer(answer.status, answer.headers, body)


def _bucket_and_key(request: SeenRequest) -> tuple[str, str]:
    bucket, _, key = unquote(urlsplit(request.target).path).strip("/").partition("/")
    return bucket, key


@pytest.fixture
def sources(moto_server: S3Server) -> Iterator[Sources]:
    with recording(moto_server.endpoint_url) as proxy:
        made = Sources(moto_server, proxy)
        # Before everything else: each file that the first runs see is then younger than the upload.
        made.begin_upload()
        yield made


@pytest.fixture
def project(tmp_path: Path, sources: Sources) -> Path:
    """A folder in which a user ran `mixsync init` and `mixsync apply`."""
    proxy = sources.proxy
    text = DEFINITIONS.format(endpoint_url=proxy.endpoint_url, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    text += "".join(SYNC.format(name=name, source_path=bucket.name) for name, bucket in sources.buckets.items())
    (tmp_path / "syncs.yaml").write_text(text)
    mixsync(tmp_path, "init")
    mixsync(tmp_path, "apply", "syncs.yaml")
    return tmp_path


def mixsync(folder: Path, *arguments: str) -> str:
    """Run a command in the project's folder and return what it printed."""
    command = [sys.executable, "-m", "mixsync_dagster.cli", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environment_of(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment_of(folder: Path) -> dict[str, str]:
    # The home is where `mixsync init` makes it unless told otherwise.
    own = {"MIXSYNC_HOME": str(folder / ".mixsync"), "DAGSTER_HOME": str(folder / ".mixsync" / "dagster")}
    return {**os.environ, **own}


class Watch:
    """What the syncs did so far, as the state store tells it."""

    def __init__(self, services: Services, dagster: DagsterDev) -> None:
        self._store = services.store
        self._dagster = dagster

    def runs(self, name: str) -> list[RunRecord]:
        """Return the sync's runs, oldest first."""
        return list(self._store.list_runs(self._store.get_sync(name).sync_config_id))[::-1]

    def wait_for_run(self, number: int, seconds: float) -> None:
        """Wait until each sync has ended its n-th run."""
        for name in NAMES:
            self._dagster.wait_until(
                lambda name=name: len(runs := self.runs(name)) >= number and runs[number - 1].completed_at is not None,
                seconds,
                f"sync {name} ended its run {number}",
            )

    def paths(self) -> list[str]:
        """Return the paths of the objects in the bucket, sorted."""
        return sorted(stored.source_path for stored in self._store.list_objects("bkt_live", limit=1000))

    def created(self, name: str) -> list[tuple[str, int, int]]:
        """Return status, created and unchanged of each of the sync's runs."""
        return [(run.status, run.counters.created, run.counters.unchanged) for run in self.runs(name)]


@pytest.mark.slow
@pytest.mark.timeout(450)  # more than all waits below together: each of them says what it waited for
def test_a_continuous_sync_sees_every_change_by_itself_and_reads_nothing_twice(sources: Sources, project: Path) -> None:
    for name in NAMES:
        sources.put(name, "first.mp4")
    settings = Settings.load({"MIXSYNC_HOME": str(project / ".mixsync")})
    with Services.open(settings) as services, running_dagster_dev(project, environment_of(project)) as dagster:
        sources.services = services
        watch = Watch(services, dagster)
        watch.wait_for_run(1, START_SECONDS)
        assert {name: watch.created(name)[0] for name in NAMES} == {
            "new-file": ("completed", 1, 0),
            "same-second": ("completed", 2, 0),
            "multipart": ("completed", 1, 0),
        }
        assert len(sources.dates("same-second", "listed.mp4", "twin.mp4")) == 1, "the test's own timing failed"

        sources.put("new-file", "second.mp4")
        sources.complete_upload()
        watch.wait_for_run(2, INTERVAL_SECONDS)
        assert {name: watch.created(name)[1] for name in NAMES} == {
            "new-file": ("completed", 1, 1),
            "same-second": ("completed", 1, 2),
            "multipart": ("completed", 1, 1),
        }

        asked = {name: (sources.listings(name), sources.about_objects(name)) for name in NAMES}
        for name in NAMES:
            dagster.wait_until(
                lambda name=name: sources.listings(name) > asked[name][0],
                INTERVAL_SECONDS,
                f"a tick looked at sync {name} again",
            )
        # A run that this look led to would begin meanwhile.
        begun_at = time.monotonic()
        dagster.wait_until(lambda: time.monotonic() > begun_at + 6, 10, "the time for a run was over")
        assert {name: sources.about_objects(name) for name in NAMES} == {name: asked[name][1] for name in NAMES}
        assert [len(watch.runs(name)) for name in NAMES] == [2, 2, 2]
        with dg.DagsterInstance.from_config(str(project / ".mixsync" / "dagster")) as instance:
            assert instance.get_runs_count() == 6

        # The dispatcher takes it, though the sync has a sensor of its own.
        assert mixsync(project, "trigger", "new-file") == "Sync new-file is running.\n"
        dagster.wait_until(lambda: len(watch.runs("new-file")) == 3, INTERVAL_SECONDS, "the run asked for began")
        assert watch.runs("new-file")[2].trigger == "manual"

        files = {
            "new-file": ("first.mp4", "second.mp4"),
            "same-second": ("first.mp4", "listed.mp4", "twin.mp4"),
            "multipart": ("first.mp4", "large.mp4"),
        }
        assert watch.paths() == sorted(key for name in NAMES for key in files[name])
        for name in NAMES:
            # The bytes, the tags, and the metadata of each file.
            once = Counter(f"{what} {key}" for key in files[name] for what in ("GET", "GET tags of", "HEAD"))
            assert sources.about_objects(name) == once
