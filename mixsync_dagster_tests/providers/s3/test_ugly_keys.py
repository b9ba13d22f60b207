"""Keys that other tools fold, tidy or lose are listed exactly and read exactly, or rejected with a reason."""

import pytest

from mixsync_dagster.model.items import items_of
from mixsync_dagster.providers.s3.bytes_reader import plainly_said

LONG = "x/" * 500 + "y" * 24
UGLY = {
    "a key of 1,024 bytes": LONG,
    "one byte": "1",
    "upper case twin": "Case",
    "lower case twin": "case",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "tab": "tab\tx",
    "carriage return": "cr\rx",
    "control character": "\x01ctl",
    "delete character": "del\x7fx",
    "right to left": "\u202egnp.exe",
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469",
    "parent": "../up",
    "parent inside": "a/../b",
    "here": "./x",
    "dots in names": "..a/b..c/.hidden",
    "absolute": "/abs",
    "two slashes": "a//b",
    "object that is also a folder": "d",
    "object in it": "d/e",
    "trailing slash": "full/",
    "percent 25": "p%25q",
    "percent alone": "100%",
    "plus": "a+b",
    "space": "a b",
    "spaces around": " lead and trail ",
    "hash": "h#x",
    "question": "q?x=1&y",
    "backslash": "back\\slash",
    "markup": "<a>&amp;\"'",
    "no-break space": "nb\u00a0sp",
    "private use": "\ue000",
    "noncharacter": "\ufffe",
    "colon and at": "s3:b@c:d;e,f=g$h!i*j'(k)",
    "braces": "{a}|^`[b]~",
}
FOLDED_BY_SEAWEEDFS = {"parent", "parent inside", "here", "absolute", "two slashes", "backslash"}
FOLDED_BY_SEAWEEDFS |= {"object that is also a folder", "trailing slash", "a key of 1,024 bytes"}


def read_all(world):
    provider = world.provider(page_keys=7)
    return {
        item.path: b"".join(provider.read(item)).decode()
        for page in provider.list_pages()
        for item in items_of(page.items)
    }


def test_every_ugly_key_is_listed_and_read_exactly(aws_world):
    for key in UGLY.values():
        aws_world.put(key, f"bytes of {key}".encode())
    assert read_all(aws_world) == {key: f"bytes of {key}" for key in UGLY.values()}


def test_what_the_second_service_keeps_is_listed_and_read_exactly(generic_world):
    kept = [key for name, key in UGLY.items() if name not in FOLDED_BY_SEAWEEDFS]
    for key in [*kept, "new\nline"]:
        generic_world.put(key, f"bytes of {key}".encode())
    assert read_all(generic_world) == {key: f"bytes of {key}" for key in [*kept, "new\nline"]}


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        ("a.txt", True),
        ("a b+c%25/\u00e9\U0001f600#?.txt", True),
        (".hidden/..a/b..", True),
        ("", False),
        ("/abs", False),
        ("tr/", False),
        ("a//b", False),
        (".", False),
        ("..", False),
        ("./x", False),
        ("../x", False),
        ("a/./b", False),
        ("a/../b", False),
        ("a/..", False),
        ("a/.", False),
        ("n\nl", False),
        ("t\tb", False),
        ("d\x7f", False),
        ("\x00", False),
    ],
)
def test_obstore_is_asked_only_for_keys_that_it_says_exactly(key, plain):
    assert plainly_said(key) is plain
