import subprocess
import sys
from urllib.request import urlopen

import pytest

from mixsync_dagster.demo.samples import Sample
from mixsync_dagster.demo.source import BUCKET, Source, s3_server, stop
from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.transport.clock import SystemClock


def test_the_server_keeps_files_and_ends_with_the_block():
    with s3_server() as source:
        source.put(Sample("a/ü.txt", b"one", "text/plain", {"category": "x"}, {"owner": "ana"}))
        source.put(Sample("a/ü.txt", b"two", "text/plain"))
        source.put(Sample("b.txt", b"gone", "text/plain"))
        source.delete("b.txt")
        with urlopen(f"{source.endpoint_url}/{BUCKET}?list-type=2&encoding-type=url") as answer:
            listing = answer.read().decode()
        assert listing.count("<Contents>") == 1
        assert "a/%C3%BC.txt" in listing
    with pytest.raises(MixsyncError, match="does not answer"):
        source.make_bucket()


def test_a_refusal_is_told_with_its_status():
    with s3_server() as source, pytest.raises(MixsyncError, match="refused GET /no-such-bucket with status 404"):
        source._ask("GET", "/no-such-bucket", b"", {})


def test_stopping_twice_is_harmless():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stop(process)
    stop(process)
    assert process.returncode is not None


def test_the_server_ends_when_its_parent_is_killed():
    code = (
        "import time\nfrom mixsync_dagster.demo.source import s3_server\n"
        "with s3_server() as source:\n    print(source.endpoint_url, flush=True)\n    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    source = Source(parent.stdout.readline().strip())
    parent.kill()
    parent.communicate()
    with pytest.raises(MixsyncError, match="does not answer"):
        keep_writing(source, SystemClock(), seconds=20)


def keep_writing(source, clock, *, seconds):
    deadline = clock.monotonic() + seconds
    while clock.monotonic() < deadline:
        source.put(Sample("a", b"", "text/plain"))
        clock.sleep(0.05)
