"""Seeded bugs: each a small change of the product's source, made while a worker imports it. Files stay as they are."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import mixsync_dagster

VARIABLE = "FAULTS_MUTANT"
_PACKAGE = Path(str(mixsync_dagster.__file__)).parent


@dataclass(frozen=True)
class Mutant:
    """One bug: texts of one file and what stands in their place."""

    name: str
    file: str
    """Relative to the package."""
    patches: tuple[tuple[str, str], ...]
    tries: tuple[str, ...]
    """Cases, as `str(case)`, that are likeliest to see it; they are made first."""

    @property
    def module(self) -> str:
        return "mixsync_dagster." + self.file.removesuffix(".py").replace("/", ".")

    def source(self) -> str:
        """Return the file with the bug in it. Raises ValueError unless each old text stands there exactly once."""
        text = (_PACKAGE / self.file).read_text(encoding="utf-8")
        for old, new in self.patches:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} stands {text.count(old)} times in {self.file}, not once")
            text = text.replace(old, new)
        return text


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "cursor before its effects",
        "engine/creating.py",
        (("        if last:\n            shard = self._shard", "        if True:\n            shard = self._shard"),),
        ("kill engine:committed#2", "kill engine:committed#3"),
    ),
    Mutant(
        "dead letter not committed with the cursor that passes its item",
        "state/commits.py",
        (("quarantined = record_failures(tx, lock, step.failed, now)", "quarantined = 0"),),
        ("kill engine:finishing#1",),
    ),
    Mutant(
        "outbox emptied before the submission",
        "engine/batching.py",
        (
            (
                "store.claim_submission(run.lock, entry.batch_id)",
                "store.record_submission(run.lock, entry.batch_id, None, Counters())",
            ),
        ),
        ("kill engine:claimed#1",),
    ),
    Mutant(
        "random idempotency key",
        "engine/batching.py",
        (("idempotency_key=entry.batch_id", 'idempotency_key=__import__("uuid").uuid4().hex'),),
        ("kill engine:submitted#1", "kill handler:after post#1"),
    ),
    Mutant(
        "object committed before its bytes are durable",
        "engine/creating.py",
        (
            ("            self._run.tools.bucket.make_durable()\n", "            pass\n"),
            (
                '        self._run.passing("committed")\n',
                '        self._run.passing("committed")\n        self._run.tools.bucket.make_durable()\n',
            ),
        ),
        ("kill engine:committed#2", "kill engine:committed#3"),
    ),
    Mutant(
        "blob named before its data is flushed",
        "buckets/blob_folder.py",
        (("                self._flush_data(batch)\n", ""),),
        ("kill engine:committed#2",),
    ),
    Mutant(
        "folder of a new name not flushed",
        "buckets/blob_folder.py",
        (("                flush_many(self._files, touched, self._folder, whole=self._flush_all)\n", ""),),
        ("kill engine:committed#2", "kill engine:committed#3"),
    ),
    Mutant(
        "bytes taken without a look at their checksum",
        "providers/s3/bytes_reader.py",
        (("        if hashlib.md5(data", "        if False and hashlib.md5(data"),),
        ("kill engine:finishing#1",),
    ),
    Mutant(
        "no fence before writes",
        "state/leases.py",
        (("    if found != [(lock.generation", "    if False and found != [(lock.generation"),),
        ("freeze engine:committing#1", "freeze engine:finishing#1"),
    ),
    Mutant(
        "lease taken without a look at its end",
        "state/leases.py",
        (("    WHERE leases.expires_at <= now_micros()\n", "    WHERE 1 = 1\n"),),
        ("freeze engine:announced#1",),
    ),
    Mutant(
        "retry counted after the try",
        "engine/creating.py",
        (
            (
                "        self._attempts = Attempts(run)\n",
                "        self._attempts = Attempts(run); self._attempts.count_retries = lambda _ids: None\n",
            ),
            (
                '        self._run.passing("committed")\n        self._checkpoint',
                (
                    "        failed = [one.item.source_object_id for one in self._failed]\n"
                    "        self._run.tools.store.count_retries(self._run.lock, failed); self._checkpoint"
                ),
            ),
        ),
        ("fatal item",),
    ),
    Mutant(
        "removal of what was not listed",
        "engine/planning.py",
        (("shard.span.after, shard.span.upto)", "shard.span.after, None)"),),
        ("kill engine:finishing#1",),
    ),
    Mutant(
        "removal of what is still there",
        "engine/planning.py",
        (
            (
                '    absent = inventory.filter(pc.invert(pc.is_in(ids, value_set=kept.column("source_object_id"))))',
                "    absent = inventory",
            ),
        ),
        ("kill engine:finishing#1",),
    ),
    Mutant(
        "strict comparison of times",
        "engine/verdicts.py",
        (("return _time(pc.greater_equal, bound)", "return _time(pc.greater, bound)"),),
        ("kill engine:finishing#1",),
    ),
    Mutant(
        "manifest written under its final name",
        "buckets/manifest.py",
        (('temporary = self._folder / f".{path.name}.{os.urandom(8).hex()}"', "temporary = path"),
         ("            with suppress(OSError):\n                temporary.unlink()\n", "            pass\n"),
         ('temporary.open("xb")', 'temporary.open("wb")')),
        ("kill manifest:half written#1",),
    ),
    Mutant(
        "batch members outside the commit of their objects",
        "state/commits.py",
        (("    tx.insert(_MEMBERS, [rows.members[key] for key in sorted(rows.members)])", "    pass"),),
        ("kill engine:finishing#1",),
    ),
)  # fmt: skip


def named(name: str) -> Mutant:
    return next(one for one in MUTANTS if one.name == name)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(_PACKAGE / mutant.file))
        self._source = mutant.source()

    def get_code(self, fullname: str) -> CodeType:
        # Not through the cache of compiled files, which must never hold a bug.
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder:
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> Any:
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, _Loader(self._mutant))


def seed(name: str) -> None:
    """Make this process import the product with the bug. Raises RuntimeError when it has been imported already."""
    mutant = named(name)
    if mutant.module in sys.modules:
        raise RuntimeError(f"{mutant.module} is imported already; the bug would not be there.")
    sys.meta_path.insert(0, _Finder(mutant))
