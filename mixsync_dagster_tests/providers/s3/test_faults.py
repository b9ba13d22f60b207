"""Whole runs over S3 through a proxy that breaks what passes: nothing lost, nothing wrong, nothing wrongly removed."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest

from mixsync_dagster.errors import AccessDenied, CursorExpired, MixsyncError, Throttled
from mixsync_dagster.providers.s3 import client
from mixsync_dagster.testing.fault_proxy import (
    Answer,
    AnswerWith,
    CorruptByte,
    Drip,
    Fault,
    FaultProxy,
    Hang,
    Hook,
    ProxiedRequest,
    ResetBefore,
    ResetInside,
    Rewrite,
    Truncate,
    s3_error,
)
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures
from mixsync_dagster_tests.engine.support import START, World
from mixsync_dagster_tests.providers.s3.faulted import CONTENTS, LARGE, LISTING, SMALL, UGLY, Faulted
from mixsync_dagster_tests.support.s3_servers import TestBucket

KEYS = pytest.mark.parametrize("key", [SMALL, UGLY, LARGE], ids=["small", "ugly", "large"])


def path_of(key: str) -> str:
    return re.escape("/" + key) + "$"


@pytest.fixture
def faulted(make_world: Callable[..., World], moto_bucket: TestBucket) -> Iterator[Faulted]:  # noqa: F811 - fixtures
    with FaultProxy(moto_bucket.server.endpoint_url, seed=1) as proxy:
        yield Faulted(make_world(), moto_bucket, proxy)


@pytest.fixture
def checked(make_world: Callable[..., World], seaweedfs_bucket: TestBucket) -> Iterator[Faulted]:  # noqa: F811 - as above
    """The same over a server that checks signatures."""
    with FaultProxy(seaweedfs_bucket.server.endpoint_url, seed=1) as proxy:
        yield Faulted(make_world(), seaweedfs_bucket, proxy)


def failing_run(faulted: Faulted, **changes: Any) -> str:
    """Run, and return the sentence of the error that ended the run."""
    try:
        record = faulted.run(**changes)
    except MixsyncError as error:
        return str(error)
    assert record.status == "failed"
    return record.error or ""


class TestThroughTheProxy:
    def test_signatures_still_verify(self, checked: Faulted) -> None:
        for key in (SMALL, LARGE, "ü b+c%25&=.txt", "a/b.txt"):
            checked.put(key, CONTENTS.get(key, key.encode()))
        assert checked.run().status == "completed"
        assert checked.world.contents() == checked.source

    def test_a_wrong_secret_is_still_refused(self, checked: Faulted) -> None:
        with pytest.raises(AccessDenied):
            next(checked.provider(secret_access_key="wrong").list_pages())
        assert [exchange.status for exchange in checked.proxy.log] == [403]

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_a_storm_of_all_faults_loses_nothing_and_commits_nothing_wrong(self, checked: Faulted, seed: int) -> None:
        for number in range(60):
            checked.put(f"f{number:02}.txt", f"content {number} ".encode() * 50)
        checked.put(LARGE, CONTENTS[LARGE])
        faults = [
            s3_error(503, "SlowDown", retry_after=2),
            AnswerWith(429),
            ResetBefore(),
            ResetInside(20),
            Truncate(20),
            Truncate(20, announce="cut"),
            CorruptByte(20),
        ]
        for fault in faults:
            # Without query: a listing has no checksum, and over plain HTTP nothing tells a changed letter of a key.
            whole = not isinstance(fault, CorruptByte)
            checked.proxy.add(fault, probability=0.03, when=lambda request, whole=whole: whole or not request.query)
        for _ in range(4):
            # A listing whose page fails for longer than the patience lasts goes on with the next run.
            with contextlib.suppress(Throttled, CursorExpired):
                checked.run()
            checked.require_no_wrong_blob()
        assert sum(checked.proxy.counts().values()) >= 10
        # Which ones is drawn by the name of the bucket, which is another in each run of the tests.
        assert len(checked.proxy.counts()) >= 2
        checked.settles()


class TestRateLimits:
    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize("form", ["seconds", "date", "none"])
    @pytest.mark.parametrize("key", ["", UGLY, LARGE], ids=["listing", "ugly", "large"])
    def test_a_run_waits_as_long_as_it_is_asked_to_and_no_item_pays_for_it(
        self, faulted: Faulted, status: int, form: str, key: str
    ) -> None:
        faulted.fill()
        free_at = 60 + 45.0
        until = format_datetime(START.replace(minute=1, second=45), usegmt=True)
        word = {"seconds": "45", "date": until, "none": None}[form]
        fault = s3_error(status, "SlowDown", retry_after=word)
        if key:
            faulted.proxy.add(fault, path=path_of(key), times=1 if form == "date" else 3)
        else:
            faulted.proxy.add(fault, query=LISTING, times=1 if form == "date" else 3)
        record = faulted.run()
        assert (record.status, record.counters.created, record.counters.failed) == ("completed", 3, 0)
        assert faulted.world.letters() == {}
        asked = faulted.times_of(key)
        hits = 1 if form == "date" else 3
        assert record.counters.rate_limit_hits == hits
        gaps = [later - earlier for earlier, later in pairwise(asked)][:hits]
        if form == "seconds":
            assert min(gaps) >= 45
        elif form == "date":
            assert asked[1] >= free_at
        else:
            assert min(gaps) > 0
            assert max(gaps) <= 4

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_small_file_is_asked_for_once_more_to_learn_the_wait_and_then_waited_for(
        self, faulted: Faulted, status: int
    ) -> None:
        faulted.fill()
        faulted.proxy.add(s3_error(status, "SlowDown", retry_after=45), path=path_of(SMALL), times=2)
        record = faulted.run()
        assert (record.status, record.counters.created) == ("completed", 3)
        assert faulted.world.letters() == {}
        asked = faulted.times_of(SMALL)
        assert len(asked) == 3
        assert asked[1] - asked[0] < 45
        assert asked[2] - asked[1] >= 45

    def test_a_wait_of_one_file_holds_back_requests_about_all(self, faulted: Faulted) -> None:
        faulted.put(UGLY, CONTENTS[UGLY])
        faulted.proxy.add(s3_error(503, "SlowDown", retry_after=45), query=LISTING, times=1)
        faulted.run()
        refused, *later = [at for at, _, _ in faulted.asked]
        assert later
        assert min(later) >= refused + 45

    @KEYS
    def test_retries_of_a_dead_letter_are_not_spent_on_rate_limits(self, faulted: Faulted, key: str) -> None:
        faulted.fill()
        faulted.proxy.add(CorruptByte(5), path=path_of(key))
        faulted.run()
        faulted.run()
        assert faulted.world.letters()[key].retry_count == 1
        faulted.calm()
        faulted.proxy.add(s3_error(429, "TooManyRequests", retry_after=30), path=path_of(key))
        for _ in range(3):
            assert "slow down" in failing_run(faulted)
            letter = faulted.world.letters()[key]
            assert (letter.state, letter.retry_count) == ("waiting", 1)
        faulted.settles()

    @KEYS
    def test_a_storm_that_outlasts_the_patience_ends_the_run_and_leaves_no_dead_letter(
        self, faulted: Faulted, key: str
    ) -> None:
        faulted.fill()
        faulted.proxy.add(s3_error(503, "SlowDown"), path=path_of(key))
        assert "slow down" in failing_run(faulted)
        assert faulted.world.letters() == {}
        attempts = len(faulted.times_of(key))
        assert attempts == (24 if key == SMALL else 12)
        faulted.settles()

    @KEYS
    def test_an_outage_is_borne_six_times_and_no_more(self, faulted: Faulted, key: str) -> None:
        faulted.fill()
        faulted.proxy.add(s3_error(500, "InternalError"), path=path_of(key))
        assert "failed to answer" in failing_run(faulted)
        assert len(faulted.times_of(key)) == 6
        assert faulted.world.letters() == {}
        faulted.settles()


CORRUPTING: dict[str, Callable[[], Fault]] = {
    "reset inside": lambda: ResetInside(500),
    "truncated": lambda: Truncate(500),
    "cut": lambda: Truncate(500, announce="cut"),
    "corrupt": lambda: CorruptByte(500),
}
SILENCING: dict[str, Callable[[], Fault]] = {
    "reset before": ResetBefore,
    "answer lost": lambda: ResetBefore(forwarded=True),
    "hang before": Hang,
    "hang inside": lambda: Hang(after_bytes=500),
}


class TestBrokenAnswers:
    @KEYS
    @pytest.mark.parametrize("fault", [*CORRUPTING, *SILENCING])
    def test_an_answer_that_breaks_once_does_no_harm(self, faulted: Faulted, key: str, fault: str) -> None:
        faulted.fill()
        made = (CORRUPTING | SILENCING)[fault]()
        faulted.proxy.add(made, path=path_of(key), times=1)
        faulted.run(read_timeout_seconds=0.3)
        assert faulted.proxy.counts() == {made.kind: 1}
        faulted.require_no_wrong_blob()
        assert faulted.world.contents().keys() >= faulted.source.keys() - {key}
        faulted.settles()

    @KEYS
    @pytest.mark.parametrize("fault", CORRUPTING)
    def test_an_answer_that_always_breaks_is_that_files_failure(self, faulted: Faulted, key: str, fault: str) -> None:
        faulted.fill()
        faulted.proxy.add(CORRUPTING[fault](), path=path_of(key))
        record = faulted.run()
        assert (record.status, record.counters.failed) == ("completed_with_errors", 1)
        letter = faulted.world.letters()[key]
        assert (letter.state, letter.error_type) == ("waiting", "checksum_mismatch")
        assert faulted.world.contents().keys() == faulted.source.keys() - {key}
        faulted.require_no_wrong_blob()
        faulted.settles()

    @KEYS
    @pytest.mark.parametrize("fault", SILENCING)
    def test_an_answer_that_never_comes_ends_the_run_and_is_no_files_failure(
        self, faulted: Faulted, key: str, fault: str
    ) -> None:
        faulted.fill()
        faulted.proxy.add(SILENCING[fault](), path=path_of(key))
        assert failing_run(faulted, read_timeout_seconds=0.1)
        assert faulted.world.letters() == {}
        faulted.require_no_wrong_blob()
        faulted.settles()

    @pytest.mark.parametrize("key", [UGLY, LARGE], ids=["ugly", "large"])
    def test_a_dripping_answer_ends_at_the_whole_deadline_of_the_object(self, faulted: Faulted, key: str) -> None:
        faulted.fill()
        clock = faulted.world.clock
        drip = Drip(0.02, piece_bytes=100, each=lambda _sent: clock.advance(30))
        faulted.proxy.add(drip, path=path_of(key), times=1)
        record = faulted.run()
        assert record.status == "completed"
        first = next(exchange for exchange in faulted.proxy.log if exchange.faults)
        assert first.bytes_sent < len(CONTENTS[key])
        assert faulted.world.contents() == faulted.source

    def test_a_dripping_small_answer_ends_at_its_deadline(
        self, faulted: Faulted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "SMALL_READ_SECONDS", 0.3)
        faulted.fill()
        faulted.proxy.add(Drip(0.1), path=path_of(SMALL), times=1)
        record = faulted.run()
        assert record.status == "completed"
        first = next(exchange for exchange in faulted.proxy.log if exchange.faults)
        assert first.bytes_sent < 10
        assert faulted.world.contents() == faulted.source

    def test_a_drip_that_is_quick_enough_is_read(self, faulted: Faulted) -> None:
        faulted.fill()
        faulted.proxy.add(Drip(piece_bytes=7), path=path_of(UGLY))
        faulted.proxy.add(Drip(piece_bytes=7), path=path_of(SMALL))
        assert faulted.run().status == "completed"
        assert faulted.proxy.counts() == {"drip": 2}
        assert faulted.world.contents() == faulted.source


@pytest.mark.parametrize(
    "fault",
    [ResetBefore(), ResetInside(900), Truncate(900), Truncate(900, announce="cut"), s3_error(500, "InternalError")],
    ids=["reset before", "reset inside", "truncated", "cut", "500"],
)
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("dialect", ["aws", "generic"])
def test_a_broken_listing_is_never_taken_for_a_whole_one(
    faulted: Faulted, fault: Fault, lasting: bool, dialect: str
) -> None:
    for number in range(12):
        faulted.put(f"f{number:02}.txt", b"x" * (number + 1))
    assert faulted.run().counters.created == 12
    faulted.proxy.add(fault, query=LISTING, first=2, times=None if lasting else 1)
    if lasting:
        assert failing_run(faulted, dialect=dialect)
    else:
        assert faulted.run(dialect=dialect).status == "completed"
    assert faulted.world.contents() == faulted.source
    faulted.settles()


class TestChangesMeanwhile:
    @KEYS
    def test_a_file_that_changes_between_list_and_get_is_read_by_the_next_run(self, faulted: Faulted, key: str) -> None:
        faulted.fill()
        new = CONTENTS[key][::-1]
        faulted.proxy.add(Hook(on_request=lambda _: faulted.put(key, new)), path=path_of(key), times=1)
        faulted.run()
        assert faulted.proxy.counts() == {"hook": 1}
        faulted.require_no_wrong_blob()
        faulted.settles()
        assert faulted.world.contents()[key] == new

    @KEYS
    def test_a_file_that_changes_while_it_is_read_is_never_a_mixture(self, faulted: Faulted, key: str) -> None:
        faulted.fill()
        old, new = CONTENTS[key], CONTENTS[key][::-1]
        hook = Hook(on_body=lambda _: faulted.put(key, new), after_bytes=700)
        faulted.proxy.add(hook, path=path_of(key), times=1)
        faulted.run()
        assert faulted.proxy.counts() == {"hook": 1}
        assert faulted.world.contents().get(key, old) in (old, new)
        faulted.settles()
        assert faulted.world.contents()[key] == new

    @KEYS
    def test_two_halves_of_two_versions_are_refused(self, faulted: Faulted, key: str) -> None:
        faulted.fill()
        old = CONTENTS[key]
        half = len(old) // 2

        def mixing(_request: ProxiedRequest, answer: Answer) -> Answer:
            return replace(answer, body=answer.body[:half] + old[::-1][half:])

        faulted.proxy.add(Rewrite(mixing), path=path_of(key), times=1)
        faulted.run()
        assert key not in faulted.world.contents()
        faulted.settles()

    @KEYS
    def test_a_file_that_goes_between_list_and_get_is_no_failure(self, faulted: Faulted, key: str) -> None:
        faulted.fill()
        faulted.proxy.add(Hook(on_request=lambda _: faulted.delete(key)), path=path_of(key), times=1)
        record = faulted.run()
        assert (record.status, record.counters.failed, record.counters.created) == ("completed", 0, 2)
        assert faulted.world.letters() == {}
        assert faulted.run().status == "completed"
        assert faulted.world.contents() == faulted.source

    @KEYS
    def test_a_known_file_that_goes_before_its_new_version_is_read_is_removed_by_the_next_run(
        self, faulted: Faulted, key: str
    ) -> None:
        faulted.fill()
        faulted.run()
        faulted.put(key, b"new" * 500)
        faulted.proxy.add(Hook(on_request=lambda _: faulted.delete(key)), path=path_of(key), times=1)
        record = faulted.run()
        assert (record.status, record.counters.failed) == ("completed", 0)
        assert faulted.world.letters() == {}
        faulted.run()
        assert faulted.world.contents() == faulted.source

    @KEYS
    def test_an_overwrite_within_the_same_second_is_seen(self, faulted: Faulted, key: str) -> None:
        def same_second(_request: ProxiedRequest, answer: Answer) -> Answer:
            time = b"<LastModified>2026-01-01T00:00:00.000Z<"
            return replace(answer, body=re.sub(rb"<LastModified>[^<]*<", time, answer.body))

        faulted.fill()
        faulted.proxy.add(Rewrite(same_second), query=LISTING)
        faulted.run()
        new = CONTENTS[key][::-1]
        faulted.put(key, new)
        record = faulted.run()
        assert (record.counters.replaced, record.counters.unchanged) == (1, 2)
        assert faulted.world.contents() == faulted.source

    def test_a_size_beyond_every_limit_is_that_files_failure(self, faulted: Faulted) -> None:
        size = 53_656_000_000_000  # 48.8 TiB, the protocol's largest

        def huge(_request: ProxiedRequest, answer: Answer) -> Answer:
            body = answer.body.replace(b"<Size>%d<" % len(CONTENTS[LARGE]), b"<Size>%d<" % size)
            return replace(answer, body=body)

        faulted.fill()
        faulted.proxy.add(Rewrite(huge), query=LISTING)
        record = faulted.run()
        assert (record.status, record.counters.created, record.counters.failed) == ("completed_with_errors", 2, 1)
        assert str(size) in faulted.world.letters()[LARGE].error_message
        faulted.settles()


class TestListingsThatMove:
    def fill(self, faulted: Faulted) -> None:
        for number in range(12):
            faulted.put(f"m{number:02}.txt", f"content {number}".encode())

    def meanwhile(self, faulted: Faulted, change: Callable[[ProxiedRequest], object]) -> None:
        """Make a change when the second page is asked for."""
        faulted.proxy.add(Hook(on_request=change), query=LISTING, first=2, times=1)

    def test_a_key_before_the_position_is_found_by_the_next_run(self, faulted: Faulted) -> None:
        self.fill(faulted)
        self.meanwhile(faulted, lambda _: faulted.put("a-new.txt", b"new"))
        record = faulted.run()
        assert record.counters.created == 12
        assert "a-new.txt" not in faulted.world.contents()
        record = faulted.run()
        assert (record.counters.created, record.counters.removed) == (1, 0)
        assert faulted.world.contents() == faulted.source

    def test_a_key_behind_the_position_is_found_at_once(self, faulted: Faulted) -> None:
        self.fill(faulted)
        self.meanwhile(faulted, lambda _: faulted.put("z-new.txt", b"new"))
        assert faulted.run().counters.created == 13
        assert faulted.world.contents() == faulted.source

    def test_a_known_key_that_goes_and_comes_back_meanwhile_is_not_removed(self, faulted: Faulted) -> None:
        self.fill(faulted)
        faulted.run()
        faulted.calm()

        def blink(_request: ProxiedRequest) -> None:
            content = faulted.source["m11.txt"]
            faulted.delete("m11.txt")
            faulted.put("m11.txt", content)

        self.meanwhile(faulted, blink)
        assert faulted.run().counters.removed == 0
        assert faulted.world.contents() == faulted.source

    def test_keys_that_go_behind_and_before_the_position_are_gone_after_the_next_run(self, faulted: Faulted) -> None:
        self.fill(faulted)
        faulted.run()
        faulted.calm()

        def remove(_request: ProxiedRequest) -> None:
            faulted.delete("m00.txt")
            faulted.delete("m11.txt")

        self.meanwhile(faulted, remove)
        assert faulted.run().counters.removed == 1
        assert faulted.world.contents().keys() == faulted.source.keys() | {"m00.txt"}
        assert faulted.run().counters.removed == 1
        assert faulted.world.contents() == faulted.source

    def test_a_move_across_the_position_loses_nothing_in_the_end(self, faulted: Faulted) -> None:
        self.fill(faulted)
        faulted.run()
        faulted.calm()

        def move(_request: ProxiedRequest) -> None:
            content = faulted.source["m11.txt"]
            faulted.delete("m11.txt")
            faulted.put("a-moved.txt", content)

        self.meanwhile(faulted, move)
        faulted.run()
        faulted.run()
        assert faulted.world.contents() == faulted.source


def test_the_kinds_of_reading_are_what_they_are_meant_to_be() -> None:
    assert {key: len(content) > 1024 * 1024 for key, content in CONTENTS.items()} == {
        SMALL: False,
        UGLY: False,
        LARGE: True,
    }
    assert len({hashlib.sha256(content).digest() for content in CONTENTS.values()}) == 3
