"""Text, times and JSON as they are stored."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from mixsync_dagster.state.codec import dump_json, escape, from_micros, to_micros, unescape

TEXTS = ["".join(letters) for size in range(5) for letters in itertools.product("\x00\x01\x02a", repeat=size)]


def test_every_text_comes_back():
    assert [unescape(escape(text)) for text in TEXTS] == TEXTS


def test_no_stored_text_holds_a_nul():
    assert not any("\x00" in escape(text) for text in TEXTS)


def test_the_order_of_stored_texts_is_that_of_the_texts():
    assert sorted(TEXTS, key=escape) == sorted(TEXTS)


def test_usual_text_is_stored_as_it_is():
    assert escape("videos/é/😀.mp4") == "videos/é/😀.mp4"


def test_times_keep_their_microseconds():
    moment = datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert to_micros(moment) == 1_769_903_999_999_999
    assert from_micros(1_769_903_999_999_999) == moment
    assert from_micros(to_micros(datetime(1969, 1, 1, tzinfo=UTC))) == datetime(1969, 1, 1, tzinfo=UTC)


def test_json_is_ascii_without_nul():
    assert dump_json({"k\x00": "é", "at": datetime(2026, 1, 1, tzinfo=UTC)}) == (
        '{"k\\u0000":"\\u00e9","at":"2026-01-01T00:00:00+00:00"}'
    )
