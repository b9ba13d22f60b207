"""The search for markers finds what it is for."""

import base64
import gzip
import json
from urllib.parse import quote

import pytest

from mixsync_dagster.model.connections import StorageConnectionCreateRequest
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.model.samples import CONFIGS
from mixsync_dagster_tests.support.canaries import (
    canary_of,
    canary_with,
    files_below,
    leaks_in,
    make_canaries,
    text_place,
)

CANARIES = make_canaries()


@pytest.mark.parametrize("canary", CANARIES, ids=lambda one: one.name)
def test_a_canary_is_accepted_and_marks_every_secret_field(canary):
    config = {**CONFIGS[canary.provider_type], "credentials": canary.credentials}
    request = {"name": "c", "provider_type": canary.provider_type, "provider_config": config}
    made = parse(StorageConnectionCreateRequest, request).provider_config.credentials
    masked = [name for name, value in made.model_dump(mode="json").items() if "***" in str(value)]
    assert sorted(canary.needles) == sorted(masked)


def test_markers_are_different_everywhere():
    every = [text for canary in (*CANARIES, *make_canaries()) for texts in canary.needles.values() for text in texts]
    assert len(set(every)) == len(every) > 40


FORMS = {
    "plain": lambda text: text,
    "quoted": lambda text: quote(f"{text}/+", safe=""),
    "JSON": lambda text: json.dumps({"a": text}),
    "hexadecimal": lambda text: text.encode().hex(),
    "basic": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "basic2": lambda text: base64.b64encode(f"u:{text}!".encode()).decode(),
    "basic3": lambda text: base64.b64encode(f"us:{text}!!".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("canary", CANARIES, ids=lambda one: one.name)
def test_a_planted_leak_is_found_in_every_field(canary, form):
    for field, texts in canary.needles.items():
        for text in texts:
            found = leaks_in([canary], [text_place("log", f"before {FORMS[form](text)} after")])
            assert found, (field, form)
            assert all(one.startswith(f"log: {canary.name}.{field} ") for one in found)


def test_a_leak_is_found_in_files_of_any_kind(tmp_path):
    canary = canary_of("s3", "access_key")
    marker = canary.credentials["secret_access_key"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "state.db-wal").write_bytes(b"\x00\xff" + marker.encode())
    (tmp_path / "log.gz").write_bytes(gzip.compress(marker.encode()))
    (tmp_path / "secret.key").write_text(marker)
    found = leaks_in([canary], files_below(tmp_path, without=["secret.key"]))
    assert [one.partition(": ")[0].removeprefix(str(tmp_path)) for one in found] == [
        "/a/state.db-wal",
        "/log.gz (unpacked)",
    ]


def test_what_is_not_there_is_not_found():
    assert leaks_in(CANARIES, [text_place("log", "nothing of that kind"), ("empty", b"")]) == []


def test_nothing_to_search_is_an_error(tmp_path):
    with pytest.raises(AssertionError, match="nothing was searched"):
        list(files_below(tmp_path))
    with pytest.raises(LookupError):
        canary_of("s3", "password")


def test_given_credentials_are_marked_as_they_are():
    canary = canary_with(
        "s3", {"type": "access_key", "secret_access_key": "a-given-secret-of-a-server"}, "secret_access_key"
    )
    assert leaks_in([canary], [text_place("log", "a-given-secret-of-a-server")]) != []
