"""What applying definitions has to ask of hosted buckets: whether they are there, and take what syncs put into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from mixsync_dagster.control.checking import run_all
from mixsync_dagster.control.planned import UNCHANGED
from mixsync_dagster.control.syncs import check_mapping
from mixsync_dagster.control.yaml_files import Definition
from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.buckets import BucketDefinition, BucketSchema, Destination
from mixsync_dagster.model.documents import SyncDocument
from mixsync_dagster.model.provider_configs import ProviderType

_UNTESTED = "--no-check applies it untested"


class BucketCheck(Protocol):
    """Asks a hosted bucket; it ends within a time that its maker promises."""

    def __call__(self, bucket: BucketDefinition) -> BucketSchema | None:
        """Return the schema that the bucket has at the service, None when it has none.

        Raises NotFound, BucketDenied, ConfigurationError, ProviderUnavailable. Called from many threads at once.
        """
        ...


@dataclass(frozen=True, slots=True)
class Filling:
    """A sync that the files define, and the bucket that it fills."""

    definition: Definition
    request: SyncDocument
    provider: ProviderType
    bucket: BucketDefinition


def try_buckets(
    buckets: Mapping[str, Definition],
    fillings: Sequence[Filling],
    changes: Mapping[tuple[str, str], str],
    check: BucketCheck,
) -> None:
    """Return if every hosted bucket that is new or changed, or filled by such a sync, takes what its syncs put there.

    `buckets` are the definitions of the files, `changes` what becomes of each by kind and name. Raises InvalidInput
    with one problem for each bucket that cannot be asked and each mapping that does not fit.
    """
    asked = {
        one.bucket.bucket_id: one.bucket
        for one in fillings
        if one.bucket.destination is Destination.MIXPEEK
        and (
            changes.get(("sync", one.definition.name)) != UNCHANGED
            or changes.get(("bucket", one.bucket.bucket_id), UNCHANGED) != UNCHANGED
        )
    }
    schemas: dict[str, BucketSchema | None] = {}

    def ask(bucket: BucketDefinition) -> None:
        schemas[bucket.bucket_id] = check(bucket)

    errors = run_all([partial(ask, bucket) for bucket in asked.values()])
    problems: list[FieldProblem] = []
    for bucket_id, error in zip(asked, errors, strict=True):
        if error is not None:
            problems.append(_problem(bucket_id, buckets.get(bucket_id), str(error)))
    for filling in fillings:
        schema = schemas.get(filling.bucket.bucket_id)
        if schema is not None:
            problems += _mapping_problems(filling, schema)
    if problems:
        raise InvalidInput(problems)


def _mapping_problems(filling: Filling, schema: BucketSchema) -> Iterator[FieldProblem]:
    there = filling.bucket.model_copy(update={"bucket_schema": schema})
    where = f"{filling.definition.where}.schema_mapping"
    try:
        check_mapping(filling.request.schema_mapping, filling.provider, there, where=where)
    except InvalidInput as error:
        for problem in error.problems:
            loc = problem.field.removeprefix(filling.definition.where + ".").split(".")
            yield filling.definition.located(problem, loc)


def _problem(bucket_id: str, definition: Definition | None, reason: str) -> FieldProblem:
    said = f" did not pass its test: {reason.rstrip('.')}; {_UNTESTED}."
    accepted = "a bucket that can be reached"
    if definition is not None:
        return definition.problem((), bucket_id, accepted, said)
    field = f"buckets.{bucket_id}"
    return FieldProblem(field, bucket_id, accepted, f"{field}{said}")
