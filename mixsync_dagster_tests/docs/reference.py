"""Writes the generated parts of the README from the code: `python -m mixsync_dagster_tests.docs.reference --write`.

Without `--write` it says whether the README is up to date, by its exit status.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mixsync_dagster import errors
from mixsync_dagster.cli import app
from mixsync_dagster.model import (
    buckets,
    connections,
    documents,
    filters,
    mapping,
    syncs,
)
from mixsync_dagster.model.provider_kinds import KINDS
from mixsync_dagster.providers.s3.dialects import DIALECTS
from mixsync_dagster.settings import SETTING_ROWS
from mixsync_dagster.wiring import DESTINATIONS, PROVIDERS
from mixsync_dagster_tests.docs import readme
from mixsync_dagster_tests.docs.openapi import FILE as OPENAPI

NOT_SERVED = "accepted by the model, not served yet"

CONFIGS: dict[str, tuple[type[BaseModel], tuple[type[BaseModel], ...]]] = {
    kind.provider.value: (kind.config, kind.credentials) for kind in KINDS.values()
}
"""Settings and kinds of credentials of each provider."""

SOURCES: tuple[type[BaseModel], ...] = (
    mapping.FileSource,
    mapping.TagSource,
    mapping.MetadataSource,
    mapping.FilenameRegexSource,
    mapping.FolderPathSource,
    mapping.ConstantSource,
    mapping.DrivePropertySource,
    mapping.SharePointColumnSource,
    mapping.ColumnSource,
)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; line breaks and bars in cells are made harmless."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(map(_cell, line)) + " |\n" for line in lines)


def fields_of(model: type[BaseModel], *, without: Sequence[str] = ()) -> str:
    """Return the table of a model's fields: name, default, meaning."""
    rows = []
    for name, info in model.model_fields.items():
        shown = info.alias or name
        if shown not in without:
            rows.append((f"`{shown}`", _default(info), info.description or ""))
    return table(("field", "default", "meaning"), rows)


def commands() -> str:
    """Return the table of the command line's commands, each with its options."""
    group: Any = typer.main.get_command(app)
    rows = []
    for name, command in group.commands.items():
        arguments = [_argument(one) for one in command.params if one.param_type_name == "argument"]
        options = [_option(one) for one in command.params if one.param_type_name == "option" and one.name != "help"]
        said = " ".join((command.help or "").split())
        rows.append((f"`{' '.join(['mixsync', name, *arguments])}`", said, " ".join(options)))
    return table(("command", "does", "options"), rows)


def operations() -> str:
    """Return the table of the REST API's operations; those of connections stand under one of their two paths."""
    told = json.loads(OPENAPI.read_text("utf-8"))["paths"]
    rows: dict[tuple[str, str], list[str]] = {}
    for path, methods in told.items():
        if not path.startswith("/v1/connections"):
            for method, one in methods.items():
                rows.setdefault((path, one["summary"]), []).append(f"`{method.upper()}`")
    return table(("operation", "does"), ((f"{' '.join(m)} `{path}`", said) for (path, said), m in rows.items()))


def settings() -> str:
    """Return the table of the settings."""
    rows = [(f"`{row.name}`", row.default, row.accepted, row.meaning) for row in SETTING_ROWS]
    return table(("variable", "default", "accepted", "meaning"), rows)


def providers() -> str:
    """Return the table of the providers."""
    rows = [
        (f"`{kind.provider}`", kind.reads, "yes" if kind.provider in PROVIDERS else "no", kind.privilege)
        for kind in KINDS.values()
    ]
    return table(("provider", "reads", "served", "least privilege"), rows)


def dialects() -> str:
    """Return the table of the S3 dialects."""
    rows = [
        (
            f"[`{row.name}`]({row.documentation})",
            f"`{row.default_endpoint}`" if row.default_endpoint else "to be given",
            f"`{row.default_region}`",
            row.addressing,
            _yes(row.ordered_listing),
            _yes(row.tagging),
        )
        for row in DIALECTS.values()
    ]
    return table(("dialect", "endpoint", "region", "addressing", "ordered listing", "object tags"), rows)


def error_tree() -> str:
    """Return the table of the errors: what happened, and what follows from it."""
    rows = []
    inherited: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.fullmatch(r"    ((?:[| ]  )*)[|`]- (\w+) +(.*)", line)
        if found is None:
            continue
        depth, name, said = len(found[1]), found[2], found[3]
        what, _, then = said.partition(" -> ")
        consequence = then or inherited.get(depth - 3, "")
        inherited[depth] = consequence
        rows.append((f"`{name}`", what, consequence))
    return table(("error", "what happened", "what follows"), rows)


def connection_reference() -> str:
    """Return the reference of connections: what all have, and every provider's own."""
    shown = ["A key below `connections` is the connection's name.\n\n"]
    shown.append(fields_of(connections.StorageConnectionCreateRequest, without=("name",)))
    for name, (config, kinds) in CONFIGS.items():
        served = "" if name in PROVIDERS else f" ({NOT_SERVED})"
        shown.append(f"\n#### `provider_config` of `{name}`{served}\n\n{_sentence(config)}\n\n")
        shown.append(fields_of(config, without=("provider_type",)))
        for kind in kinds:
            tag = kind.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]  # a Literal of one word
            shown.append(f"\n`credentials` of `type: {tag}`. {_sentence(kind)}\n\n")
            shown.append(fields_of(kind, without=("type",)))
    return "".join(shown)


def bucket_reference() -> str:
    """Return the reference of buckets."""
    served = ", ".join(f"`{one}`" for one in sorted(DESTINATIONS))
    return "".join(
        (
            f"A key below `buckets` is the bucket's id. Destinations served: {served}.\n\n",
            fields_of(buckets.BucketDefinition),
            f"\n`mixpeek`. {_sentence(buckets.MixpeekDestination)}\n\n",
            fields_of(buckets.MixpeekDestination),
            f"\n`bucket_schema.properties.<name>`. {_sentence(buckets.SchemaProperty)}\n\n",
            fields_of(buckets.SchemaProperty),
        )
    )


def sync_reference() -> str:
    """Return the reference of syncs."""
    return "".join(
        (
            "A key below `syncs` is the sync's name.\n\n",
            fields_of(documents.SyncDocument, without=("name",)),
            f"\n`reconcile`. {_sentence(syncs.Reconcile)}\n\n",
            fields_of(syncs.Reconcile),
        )
    )


def filter_reference() -> str:
    """Return the reference of file filters."""
    return "".join(
        (
            _paragraphs(inspect.getdoc(sys.modules[filters.__name__]) or ""),
            "\n\n",
            fields_of(filters.FileFilters),
            f"\n`metadata_filters[]`. {_sentence(filters.MetadataFilter)}\n\n",
            fields_of(filters.MetadataFilter),
        )
    )


def mapping_reference() -> str:
    """Return the reference of schema mappings."""
    rows = []
    for source in SOURCES:
        tag = source.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]  # a Literal of one word
        keys = [f"`{name}`: {info.description}" for name, info in source.model_fields.items() if name != "type"]
        rows.append((f"`{tag}`", _sentence(source), " ".join(keys)))
    return "".join(
        (
            f"{_sentence(mapping.SchemaMapping)}\n\n",
            fields_of(mapping.SchemaMapping),
            f"\n`target_type: field`. {_sentence(mapping.FieldMappingEntry)}\n\n",
            fields_of(mapping.FieldMappingEntry, without=("target_type",)),
            f"\n`target_type: blob`. {_sentence(mapping.BlobMappingEntry)}\n\n",
            fields_of(mapping.BlobMappingEntry, without=("target_type",)),
            "\n`source`, by its `type`:\n\n",
            table(("type", "is", "keys"), rows),
        )
    )


def written() -> dict[str, str]:
    """Return every generated part of the README by its name."""
    return {
        "commands": commands(),
        "operations": operations(),
        "errors": error_tree(),
        "providers": providers(),
        "dialects": dialects(),
        "connections": connection_reference(),
        "buckets": bucket_reference(),
        "syncs": sync_reference(),
        "filters": filter_reference(),
        "mapping": mapping_reference(),
        "settings": settings(),
    }


def _cell(value: str) -> str:
    pieces = re.split(r"(`[^`]*`)", " ".join(value.split()).replace("|", "\\|"))
    # Outside of code, what Markdown would take for a tag or for emphasis is told apart from it.
    return "".join(one if one.startswith("`") else re.sub(r"([<*])", r"\\\1", one) for one in pieces)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _sentence(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _paragraphs(doc: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in doc.split("\n\n"))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value: Any = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or value in ({}, ()):
        return "none"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, Enum):
        value = value.value
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _argument(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _option(option: Any) -> str:
    name = max(option.opts, key=len)
    return f"`{name}`" if option.is_flag else f"`{name} {(option.metavar or option.name).upper()}`"


def main(arguments: Sequence[str]) -> int:
    """Write the README, or compare it. Return 0 when it is, or now is, up to date, else 1."""
    new = readme.with_parts(written())
    if "--write" in arguments:
        readme.README.write_text(new, "utf-8")
        return 0
    return int(new != readme.text())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
