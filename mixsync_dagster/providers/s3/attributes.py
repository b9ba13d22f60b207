"""Values that a listing does not carry: tags and user metadata, one request a kind."""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

from mixsync_dagster.errors import ProviderUnavailable

_METADATA = "x-amz-meta-"


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return user metadata by lower-case names without the prefix, values as stored (nothing is decoded but UTF-8)."""
    return {
        name.lower().removeprefix(_METADATA): _text(value)
        for name, value in headers.items()
        if name.lower().startswith(_METADATA)
    }


def _text(value: str) -> str:
    # HTTP libraries read headers as Latin-1; services send the UTF-8 that was put.
    try:
        return value.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return value


def tags_of(body: bytes) -> dict[str, str]:
    """Return the tags of a GetObjectTagging answer. Raises ProviderUnavailable when it is none."""
    tags: dict[str, str] = {}
    text: list[str] = []
    pair = {"Key": "", "Value": ""}
    names: list[str] = []

    def start(name: str, _attributes: object) -> None:
        names.append(name)
        text.clear()
        if name == "Tag":
            pair.update(Key="", Value="")

    def end(name: str) -> None:
        if name in pair:
            pair[name] = "".join(text)
        elif name == "Tag":
            tags[pair["Key"]] = pair["Value"]

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise ProviderUnavailable("An answer about tags is no well-formed XML.") from None
    if "Tagging" not in names:
        raise ProviderUnavailable("An answer about tags holds no tags element.")
    return tags
