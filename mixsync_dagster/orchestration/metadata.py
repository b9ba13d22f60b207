"""What a run, a plan or a probe shows in the UI: numbers under stable keys, which plot, and tables for reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster import MetadataValue, TableColumn, TableRecord, TableSchema

if TYPE_CHECKING:
    from dagster import RawMetadataValue

    from mixsync_dagster.control.collecting import Collected
    from mixsync_dagster.control.findings import Finding
    from mixsync_dagster.engine.dry_run import DryRun
    from mixsync_dagster.model.progress import RunRecord
    from mixsync_dagster.model.syncs import SyncConfiguration

PLOTTED = (
    "discovered",
    "created",
    "replaced",
    "moved",
    "removed",
    "unchanged",
    "duplicates",
    "quarantined",
    "failed",
    "bytes",
    "batches_created",
    "rate_limit_hits",
)
"""Counters shown as numbers under these very keys on every materialization, so that the asset page plots them."""


def run_metadata(record: RunRecord, sync: SyncConfiguration, *, object_count: int) -> Mapping[str, RawMetadataValue]:
    """Return the metadata of a run's materialization."""
    counters = record.counters
    ended_at = record.completed_at or record.started_at
    numbers: dict[str, Any] = {name: getattr(counters, name) for name in PLOTTED}
    numbers["filtered"] = sum(counters.filtered.values())
    numbers["duration_seconds"] = round((ended_at - record.started_at).total_seconds(), 3)
    numbers["dagster/row_count"] = object_count
    rows = [(name, f"{value:,}") for name, value in numbers.items() if value and name in PLOTTED]
    rows += [(f"filtered by {reason}", f"{count:,}") for reason, count in sorted(counters.filtered.items())]
    return {
        **numbers,
        "status": record.status,
        "source_path": sync.source_path,
        "next_sync_at": MetadataValue.timestamp(sync.next_sync_at) if sync.next_sync_at else "not due again",
        "summary": MetadataValue.md(markdown_table(("what", "count"), rows) if rows else "Nothing to do."),
    }


def plan_metadata(plan: DryRun) -> Mapping[str, RawMetadataValue]:
    """Return the metadata of a dry run."""
    counts = {name: getattr(plan, name) for name in ("create", "replace", "move", "remove", "unchanged", "quarantined")}
    return {
        "discovered": plan.discovered,
        **counts,
        "size_bytes": plan.size_bytes,
        "requests": plan.requests,
        "changes": _table(("what", "items"), counts.items()),
        "rejected": _table(("reason", "items"), sorted(plan.rejected.items())),
        "examples": _table(("what", "path"), ((kind, path) for kind, paths in plan.examples.items() for path in paths)),
    }


def findings_metadata(findings: Sequence[Finding], *, count: int) -> Mapping[str, RawMetadataValue]:
    """Return the metadata of a verification: `count` findings, and those that are shown."""
    rows = [(one.kind.value, one.sync or "", one.subject, one.message, one.action) for one in findings]
    kinds = Counter(one.kind.value for one in findings)
    return {
        "findings": count,
        "shown": len(rows),
        "kinds": _table(("kind", "shown"), sorted(kinds.items())),
        "report": _table(("kind", "sync", "subject", "what", "what to do"), rows),
    }


def collected_metadata(collected: Collected) -> Mapping[str, RawMetadataValue]:
    """Return the metadata of a garbage collection."""
    return {
        "tombstones": collected.tombstones,
        "blobs": collected.blobs,
        "bytes": collected.bytes,
        "young": collected.young,
        "dry_run": collected.dry_run,
        "refused_by": ", ".join(collected.refused_by) or "no sync",
    }


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; cells may hold anything."""
    lines = [header, ["---"] * len(header), *rows]
    escaped = ([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in lines)
    return "\n".join("| " + " | ".join(row) + " |" for row in escaped)


def _table(columns: Sequence[str], rows: Any) -> MetadataValue[Any]:
    records = [TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    numeric = {name for record in records for name, value in record.data.items() if isinstance(value, int)}
    schema = TableSchema([TableColumn(name, "int" if name in numeric else "string") for name in columns])
    return MetadataValue.table(records, schema)
