"""Making the stored connections, buckets and syncs agree with what files define: everything or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from mixsync_dagster.control.bucket_trials import BucketCheck, Filling, try_buckets
from mixsync_dagster.control.checking import SourceCheck
from mixsync_dagster.control.owners import LOCAL_OWNER, Owner
from mixsync_dagster.control.planned import (
    REMOVED,
    UNCHANGED,
    Step,
    plan_bucket,
    plan_connection,
    plan_sync,
)
from mixsync_dagster.control.syncs import check_mapping, check_request
from mixsync_dagster.control.trials import Trials
from mixsync_dagster.control.yaml_files import Definition, DefinitionSet
from mixsync_dagster.errors import Conflict, FieldProblem, InvalidInput
from mixsync_dagster.model.buckets import BucketDefinition, Destination
from mixsync_dagster.model.connections import StorageConnection, StorageConnectionCreateRequest
from mixsync_dagster.model.credentials import resolve
from mixsync_dagster.model.documents import ConfigDocument, SyncDocument, plain_secrets
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.schema_fit import check_no_defaults
from mixsync_dagster.model.secrets import references
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.model.validation import explain, shown
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.control import Applied, ConfigStore


@dataclass(frozen=True, slots=True)
class Offered:
    """What this installation has adapters for."""

    providers: frozenset[ProviderType]
    destinations: frozenset[Destination]


@dataclass(frozen=True, slots=True)
class AppliedSet:
    """What applying did, or would do, in the order of connections, buckets and syncs; removals come last."""

    changes: tuple[Applied, ...]
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is not as it was."""
        return any(applied.change != UNCHANGED for applied in self.changes)


def apply_definitions(
    store: ConfigStore,
    definitions: DefinitionSet,
    *,
    offered: Offered,
    lookup: Callable[[str], str | None],
    clock: Clock,
    prune: bool = False,
    dry_run: bool = False,
    owner: Owner = LOCAL_OWNER,
    check: SourceCheck | None = None,
    check_bucket: BucketCheck | None = None,
) -> AppliedSet:
    """Create and update what the files define; with `prune`, delete syncs and connections that they do not.

    `lookup` gives the value of an environment variable. Everything is checked before the first write, so that a bad
    definition changes nothing; the same definitions twice change nothing. With `dry_run` nothing is written. Buckets
    are never deleted, for they hold objects. Raises InvalidInput with one sentence a problem, StoreUnavailable.

    `check` tries, at their providers, connections that are new or changed and the source paths of new syncs, unless the
    connection says `test_before_save: false`. None, as for whoever must not wait for a network (Dagster's load of the
    code location): nothing is tried and nothing is sent. `check_bucket` asks, in the same way, the hosted buckets that
    new and changed syncs fill, and those that changed, for their schemas.

    Only the owner's namespace is looked at and changed; `prune` too leaves everything else as it is.
    """
    _refuse_providers(definitions, offered)
    document = parse_definitions(definitions)
    warnings = list(_warnings(definitions, document))
    for attempt in (1, 2):
        planner = _Planner(store, definitions, document, offered, lookup, owner)
        steps = planner.steps(clock, prune=prune)
        if check is not None and attempt == 1:
            warnings += planner.trials().run(check)
        if check_bucket is not None and attempt == 1:
            planner.try_buckets(check_bucket)
        try:
            if not dry_run:
                for step in steps:
                    if step.write is not None:
                        step.write()
        except Conflict:
            # Somebody else created the same names meanwhile; the second look finds them as they are.
            if attempt == 2:  # noqa: PLR2004 - the last one
                raise
            continue
        break
    return AppliedSet(tuple(step.applied for step in steps), tuple(warnings))


def parse_definitions(definitions: DefinitionSet) -> ConfigDocument:
    """Return the definitions as models. Raises InvalidInput; every sentence begins with file and line."""
    data = {kind: {d.name: d.data for d in definitions.of_kind(kind).values()} for kind in _KINDS}
    try:
        return ConfigDocument.model_validate(data)
    except ValidationError as error:
        problems = [_located(definitions, loc, problem) for loc, problem in explain(error, data)]
    raise InvalidInput(problems)


_KINDS = ("connections", "buckets", "syncs")


def _refuse_providers(definitions: DefinitionSet, offered: Offered) -> None:
    # Before anything else: what a connection's other fields may hold depends on its provider.
    names = ", ".join(sorted(offered.providers))
    problems = []
    for definition in definitions.connections.values():
        asked = definition.data.get("provider_type") if isinstance(definition.data, dict) else None
        if isinstance(asked, str) and asked not in offered.providers:
            said = "is not offered yet" if asked in list(ProviderType) else "is not accepted"
            sentence = f": {shown(asked)} {said}; give one of {names}."
            problems.append(definition.problem(("provider_type",), shown(asked), names, sentence))
    if problems:
        raise InvalidInput(problems)


def _located(definitions: DefinitionSet, loc: tuple[str | int, ...], problem: FieldProblem) -> FieldProblem:
    if len(loc) >= 2:  # noqa: PLR2004 - kind and name
        definition = definitions.of_kind(str(loc[0])).get(str(loc[1]))
        if definition is not None:
            return definition.located(problem, loc[2:])
    return problem


def _warnings(definitions: DefinitionSet, document: ConfigDocument) -> Iterator[str]:
    for path in plain_secrets(document):
        kind, rest = path.split(".", 1)
        for definition in definitions.of_kind(kind).values():
            if rest.startswith(definition.name + "."):
                loc = rest.removeprefix(definition.name + ".").split(".")
                yield (
                    f"{definition.file}:{definition.line_of(loc)}: {path} holds the secret as it is; "
                    "give {env: NAME} to keep it out of the file."
                )
                break


@dataclass
class _Planner:
    """Decides every step against one look at the store, gathering all problems."""

    store: ConfigStore
    definitions: DefinitionSet
    document: ConfigDocument
    offered: Offered
    lookup: Callable[[str], str | None]
    owner: Owner
    problems: list[FieldProblem] = field(default_factory=list)

    def steps(self, clock: Clock, *, prune: bool) -> list[Step]:
        """Return the steps in the order in which they can be written. Raises InvalidInput."""
        self._now = clock.now()
        self._filling: list[Filling] = []
        within = self.owner.namespace
        self._connections = {c.name: c for c in self.store.list_connections(within=within)}
        self._buckets = {b.bucket_id: b for b in self.store.list_buckets(within=within)}
        self._syncs = {s.name: s for s in self.store.list_syncs(within=within)}
        self._prune = prune
        connections = self._each("connections", self.document.connections, self._connection)
        self._planned = {step.applied.name: step.applied for step in connections}
        steps = [
            *connections,
            *self._each("buckets", self.document.buckets, self._bucket),
            *self._each("syncs", self.document.syncs, self._sync),
        ]
        if self.problems:
            raise InvalidInput(self.problems)
        self._changes = {(step.applied.kind, step.applied.name): step.applied.change for step in steps}
        return [*steps, *(self._removals() if prune else [])]

    def _each(self, kind: str, entries: dict[str, Any], plan: Callable[[Definition, Any], Step]) -> list[Step]:
        steps = []
        for name, entry in entries.items():
            definition = self.definitions.of_kind(kind)[name]
            with self._gathering(definition):
                steps.append(plan(definition, entry))
        return steps

    @contextmanager
    def _gathering(self, definition: Definition) -> Iterator[None]:
        try:
            yield
        except InvalidInput as error:
            for problem in error.problems:
                loc = problem.field.removeprefix(definition.where + ".").split(".")
                self.problems.append(definition.located(problem, loc))

    def _connection(self, definition: Definition, request: StorageConnectionCreateRequest) -> Step:
        self._check_references(definition, request)
        present = self._connections.get(request.name)
        return plan_connection(self.store, request, present, lookup=self.lookup, owner=self.owner, now=self._now)

    def _check_references(self, definition: Definition, request: StorageConnectionCreateRequest) -> None:
        where = f"{definition.where}.provider_config.credentials"
        credentials = request.provider_config.credentials
        problems = []
        for name, variable in references(credentials).items():
            if not self.lookup(variable):
                said = f"{where}.{name}: the environment variable {variable} is not set; set it or give another one."
                problems.append(FieldProblem(f"{where}.{name}", variable, "a variable that is set", said))
        if problems:
            raise InvalidInput(problems)
        try:
            resolve(credentials, self.lookup)
        except InvalidInput as error:
            raise InvalidInput(
                [
                    FieldProblem(
                        f"{definition.where}.provider_config.{p.field}",
                        "",
                        p.accepted,
                        f"{definition.where}.provider_config.{p.message}",
                    )
                    for p in error.problems
                ]
            ) from None

    def _bucket(self, definition: Definition, bucket: BucketDefinition) -> Step:
        if bucket.destination not in self.offered.destinations:
            names = ", ".join(sorted(self.offered.destinations))
            field = f"{definition.where}.destination"
            said = f"{field}: {bucket.destination} is not offered yet; give {names}."
            raise InvalidInput([FieldProblem(field, bucket.destination, names, said)])
        if bucket.bucket_schema is not None and bucket.destination is Destination.EMBEDDED:
            check_no_defaults(bucket.bucket_schema, where=f"{definition.where}.bucket_schema")
        present = self._buckets.get(bucket.bucket_id)
        if present is not None and present.destination is not bucket.destination:
            self._check_empty(definition, bucket, present)
        if present is not None and present.bucket_schema != bucket.bucket_schema:
            self._check_stored_mappings(bucket)
        return plan_bucket(self.store, bucket, present)

    def _check_empty(self, definition: Definition, bucket: BucketDefinition, present: BucketDefinition) -> None:
        """Refuse to take objects for being where they are not."""
        if self.store.count_objects(bucket.bucket_id):
            field = f"{definition.where}.destination"
            said = (
                f"{field} cannot be changed from {present.destination} to {bucket.destination} while the bucket has "
                "objects; give the bucket another id to fill a new one."
            )
            raise InvalidInput([FieldProblem(field, bucket.destination, present.destination, said)])

    def _check_stored_mappings(self, bucket: BucketDefinition) -> None:
        """Refuse a schema that the mappings of syncs which no file defines do not fit."""
        providers = {c.connection_id: c.provider_type for c in self._connections.values()}
        problems: list[FieldProblem] = []
        for sync in self._other_syncs():
            if sync.bucket_id == bucket.bucket_id and sync.connection_id in providers:
                where = f"syncs.{sync.name}.schema_mapping"
                try:
                    check_mapping(sync.schema_mapping, providers[sync.connection_id], bucket, where=where)
                except InvalidInput as error:
                    problems += error.problems
        if problems:
            raise InvalidInput(problems)

    def _other_syncs(self) -> list[SyncConfiguration]:
        """Return the stored syncs that no file defines and that stay."""
        return [s for s in self._syncs.values() if not self._prune and s.name not in self.document.syncs]

    def _sync(self, definition: Definition, request: SyncDocument) -> Step:
        bucket_id = self._bucket_id(definition, request.bucket_id)
        connection, provider = self._connection_of(definition, request.connection_id)
        bucket = {**self._buckets, **self.document.buckets}[bucket_id]
        check_request(request, provider, bucket, where=definition.where)
        self._filling.append(Filling(definition, request, provider, bucket))
        return plan_sync(
            self.store,
            request,
            self._syncs.get(definition.name),
            bucket_id=bucket_id,
            connection_id=connection,
            provider=provider,
            owner=self.owner,
            now=self._now,
        )

    def _bucket_id(self, definition: Definition, asked: str) -> str:
        known = {**self._buckets, **self.document.buckets}
        if asked in known:
            return asked
        for bucket_id, bucket in known.items():
            if bucket.name == asked:
                return bucket_id
        raise _unknown(definition, "bucket_id", asked, "bucket", known)

    def _connection_of(self, definition: Definition, asked: str) -> tuple[str, ProviderType]:
        """Return id and provider of the connection that a sync names, in the files or in the store."""
        if asked in self.document.connections:
            planned = self._planned.get(asked)
            # A connection with problems of its own has no step; its id is never used then.
            identifier = planned.identifier if planned is not None else "none"
            return identifier, self.document.connections[asked].provider_type
        for connection in self._connections.values():
            if asked in (connection.name, connection.connection_id) and self._stays(connection):
                return connection.connection_id, connection.provider_type
        known = [c.name for c in self._connections.values() if self._stays(c)]
        raise _unknown(definition, "connection_id", asked, "connection", [*self.document.connections, *known])

    def _stays(self, connection: StorageConnection) -> bool:
        return not self._prune or connection.name in self.document.connections

    def try_buckets(self, check: BucketCheck) -> None:
        """Ask the hosted buckets that are filled anew, once the steps are planned. Raises InvalidInput."""
        try_buckets(self.definitions.buckets, self._filling, self._changes, check)

    def trials(self) -> Trials:
        """Return what there is to try, once the steps are planned."""
        return Trials(
            store=self.store,
            definitions=self.definitions,
            document=self.document,
            changes=self._changes,
            stored={connection.name: connection for connection in self._connections.values()},
            other_syncs=self._other_syncs(),
            lookup=self.lookup,
        )

    def _removals(self) -> list[Step]:
        steps = []
        for sync in self._syncs.values():
            if sync.name not in self.document.syncs:
                applied = Applied("sync", sync.name, sync.sync_config_id, REMOVED)
                steps.append(Step(applied, _deleting(self.store.delete_sync, sync.sync_config_id)))
        for connection in self._connections.values():
            if connection.name not in self.document.connections:
                applied = Applied("connection", connection.name, connection.connection_id, REMOVED)
                steps.append(Step(applied, _deleting(self.store.delete_connection, connection.connection_id)))
        return steps


def _deleting(delete: Callable[[str], None], identifier: str) -> Callable[[], None]:
    return lambda: delete(identifier)


def _unknown(definition: Definition, name: str, asked: str, kind: str, known: Any) -> InvalidInput:
    names = ", ".join(sorted(set(known))) or "none"
    field = f"{definition.where}.{name}"
    said = f"{field}: there is no {kind} {asked}; the {kind}s are {names}."
    return InvalidInput([FieldProblem(field, asked, names, said)])
