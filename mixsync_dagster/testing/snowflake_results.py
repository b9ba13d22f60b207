"""Large results of the Snowflake simulator: made ahead and served in parts, each from a URL of its own.

Snowflake answers a statement with the first rows and with URLs of the rest, in parts of any size, which the connector
fetches while they are read. fakesnow answers in one piece; a result made here is answered instead, so that streaming,
memory and speed can be seen, and what happens when a URL has expired.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

PATH = "/results/"
_SELECT = 4096
_TYPES = {"int64": "fixed", "string": "text", "bool": "boolean"}


@dataclass(frozen=True)
class PreparedResult:
    """What a statement is answered with, whatever it asks."""

    match: str
    """Part of the statement."""
    schema: pa.Schema
    parts: Sequence[bytes]
    """Arrow streams as Snowflake writes them; the first comes with the answer itself."""
    part_rows: Sequence[int]

    @classmethod
    def of(cls, match: str, tables: Iterable[pa.Table]) -> PreparedResult:
        """Return the result whose parts are these tables of one schema: columns of int64, string or bool."""
        parts: list[bytes] = []
        rows: list[int] = []
        schema = pa.schema([])
        for table in tables:
            schema = table.schema
            parts.append(_written(table))
            rows.append(table.num_rows)
        return cls(match, schema, parts, rows)

    def answer(self, url: str) -> dict[str, Any]:
        """Return the answer to the statement; the other parts stand at `url` and their numbers."""
        chunks = [
            {"url": f"{url}{number}", "rowCount": rows, "uncompressedSize": len(part), "compressedSize": len(part)}
            for number, (part, rows) in enumerate(zip(self.parts, self.part_rows, strict=True))
        ]
        data = {
            "parameters": [{"name": "TIMEZONE", "value": "UTC"}],
            "rowtype": [_described(field) for field in self.schema],
            "total": sum(self.part_rows),
            "returned": sum(self.part_rows),
            "queryId": "01000000-0000-0000-0000-000000000000",
            "statementTypeId": _SELECT,
            "queryResultFormat": "arrow",
            "rowsetBase64": b64encode(self.parts[0]).decode() if self.parts else "",
            "chunks": chunks[1:],
        }
        return {"data": data, "success": True}


def _written(table: pa.Table) -> bytes:
    metadata = [{"logicalType": _kind(field).upper(), "precision": "38", "scale": "0"} for field in table.schema]
    fields = [field.with_metadata(told) for field, told in zip(table.schema, metadata, strict=True)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema(fields)) as writer:
        writer.write_table(table.cast(pa.schema(fields)))
    return bytes(sink.getvalue())


def _described(field: pa.Field) -> dict[str, Any]:
    kind = _kind(field)
    number = kind == "fixed"
    return {
        "name": field.name,
        "type": kind,
        "nullable": True,
        "length": None if number else 16_777_216,
        "byteLength": None if number else 16_777_216,
        "precision": 38 if number else None,
        "scale": 0 if number else None,
        "collation": None,
        "database": "",
        "schema": "",
        "table": "",
    }


def _kind(field: pa.Field) -> str:
    return _TYPES[str(field.type)]
