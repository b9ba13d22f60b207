"""Every setting of the project, read from the environment in this one place."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixsync_dagster.errors import ConfigurationError, FieldProblem, InvalidInput
from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster.transport.fetch_hosts import FetchHosts

PREFIX = "MIXSYNC_"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as the README lists it."""

    name: str
    """The environment variable."""
    default: str
    """The default in words; "-" when there is none."""
    accepted: str
    """The accepted form; finishes the sentence "give ..."."""
    meaning: str


SETTING_ROWS: tuple[SettingRow, ...] = (
    SettingRow(
        "MIXSYNC_HOME",
        "./.mixsync",
        "the path of a folder",
        "Folder of the state store, the blobs, the secret key and the Dagster instance.",
    ),
    SettingRow(
        "MIXSYNC_DATABASE_URL",
        "sqlite:///<home>/state.db",
        "a URL that begins with sqlite:///, postgresql:// or postgresql+psycopg://",
        "State store: SQLite for one machine, PostgreSQL for several.",
    ),
    SettingRow(
        "MIXSYNC_SECRET_KEY",
        "the contents of <home>/secret.key",
        "base64 of 32 bytes, or a passphrase of at least 32 characters",
        "Encrypts the credentials in the state store.",
    ),
    SettingRow(
        "MIXSYNC_OLD_SECRET_KEYS",
        "-",
        "keys as MIXSYNC_SECRET_KEY takes them, one a line",
        "Keys before the present one, until `mixsync keys rotate-secret` has encrypted everything anew.",
    ),
    SettingRow(
        "MIXSYNC_BLOB_URL",
        "<home>/blobs",
        "a file://, s3://, gs:// or az:// URL",
        "Where embedded buckets keep the bytes of their objects.",
    ),
    SettingRow(
        "MIXSYNC_SPOOL_URL",
        "<home>/spool",
        "a file://, s3:// or gs:// URL",
        "Where the steps of a run hand tables on; shared storage when they run on several machines.",
    ),
    SettingRow(
        "MIXSYNC_NAMED_SYNCS",
        "50",
        "a whole number from 0 to 200",
        "How many syncs get a sensor or schedule and an asset of their own in Dagster.",
    ),
    SettingRow(
        "MIXSYNC_LEASE_SECONDS",
        "60",
        "a number from 5 to 3600 (seconds)",
        "How long a run's lock outlives its worker; it is renewed every third of it.",
    ),
    SettingRow(
        "MIXSYNC_SYNC_CONCURRENCY",
        "256",
        "a whole number from 1 to 1024",
        "Most transfers at once in one run; a sync's own `sync_concurrency` lowers it.",
    ),
    SettingRow(
        "MIXSYNC_CHECK_SECONDS",
        "10",
        "a number from 0.1 to 600 (seconds)",
        "How long `mixsync check` and the tests of `mixsync apply` wait for one source path.",
    ),
    SettingRow(
        "MIXSYNC_GRACE_DAYS",
        "7",
        "a number from 0 to 3650 (days)",
        "How long a removed object and its bytes are kept before `mixsync gc` takes them.",
    ),
    SettingRow(
        "MIXSYNC_SYNCS_DIR",
        "-",
        "the path of a folder of YAML files that exists",
        "Applied whenever Dagster loads the code location.",
    ),
    SettingRow(
        "MIXSYNC_API_REQUESTS_PER_MINUTE",
        "6000",
        "a whole number from 0 to 10000000; 0 sets no limit",
        "Most requests of one API key to one `mixsync api` process, a minute's number at once; then 429 answers.",
    ),
    SettingRow(
        "MIXSYNC_TRACES_URL", "-", "an http:// or https:// URL", "Collector (OTLP over HTTP) of OpenTelemetry traces."
    ),
    SettingRow(
        "MIXSYNC_LOG_FORMAT",
        "text",
        "text or json",
        "Form of the log lines on stderr.",
    ),
    SettingRow(
        "MIXSYNC_CA_BUNDLE",
        "the system's",
        "the path of a PEM file that exists",
        "Certificates that every client trusts.",
    ),
    SettingRow(
        "MIXSYNC_ALLOWED_ADDRESSES",
        "-",
        "host names, *.names, addresses and CIDR ranges, separated by commas",
        "What may be connected to besides public addresses where users name the host.",
    ),
    SettingRow(
        "MIXSYNC_FETCH_HOSTS",
        "-",
        "host, *.host or * for all, each also with http:// before it and :port behind it, separated by commas",
        "Hosts whose URLs in a table's column are fetched as blobs; unset, none are.",
    ),
    SettingRow(
        "MIXSYNC_FETCH_BYTES",
        "1073741824",
        "a whole number from 1 to 1099511627776 (bytes)",
        "Longest content that is fetched from a URL.",
    ),
    SettingRow(
        "MIXSYNC_FETCH_SECONDS",
        "300",
        "a number from 0.1 to 86400 (seconds)",
        "Longest time that fetching a URL may take, redirects and all bytes included.",
    ),
    SettingRow(
        "MIXSYNC_TENANT_ROLES",
        "false",
        "true or false",
        "Whether connections of organisations other than `local` may assume AWS roles by this machine's own identity.",
    ),
    SettingRow(
        "MIXSYNC_AUDIT_DAYS",
        "400",
        "a number from 1 to 3650 (days)",
        "How long the record of who changed what is kept.",
    ),
)
"""All settings, in the order in which they are documented."""

_ACCEPTED: Mapping[str, str] = {row.name: row.accepted for row in SETTING_ROWS}
_DATABASE_SCHEMES = ("sqlite:///", "postgresql://", "postgresql+psycopg://")
_BLOB_SCHEMES = ("file://", "s3://", "gs://", "az://")
_SPOOL_SCHEMES = ("file://", "s3://", "gs://")


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """The settings of one process; `repr` shows neither the key nor a database password."""

    home: Path
    database_url: str
    secret_key: str | None = None
    """None: the key file under the home folder holds it."""
    old_secret_keys: tuple[str, ...] = ()
    blob_url: str | None = None
    """None: a folder under the home folder."""
    spool_url: str | None = None
    """None: a folder under the home folder."""
    named_syncs: int = 50
    lease_seconds: float = 60.0
    sync_concurrency: int | None = None
    """None: the engine's own bound."""
    check_seconds: float = 10.0
    grace_days: float = 7.0
    syncs_dir: Path | None = None
    api_requests_per_minute: int = 6000
    traces_url: str | None = None
    log_format: str = "text"
    ca_bundle: Path | None = None
    allowed_addresses: tuple[str, ...] = ()
    """Entries of AddressPolicy.of."""
    fetch_hosts: tuple[str, ...] = ()
    """Entries of FetchHosts.of; without one, no URL is fetched."""
    fetch_bytes: int = 1024 * 1024 * 1024
    fetch_seconds: float = 300.0
    tenant_roles: bool = False
    audit_days: float = 400.0

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; an empty variable counts as unset.

        Raises InvalidInput with one sentence for each value that is not accepted.
        """
        source = os.environ if environ is None else environ
        given = {name: value.strip() for name, value in source.items() if name.startswith(PREFIX)}
        given = {name: value for name, value in given.items() if value}
        problems: list[FieldProblem] = []
        values = _values(given, problems)
        if problems:
            raise InvalidInput(problems)
        home = Path(given.get("MIXSYNC_HOME", ".mixsync")).expanduser().absolute()
        return cls(**{"home": home, "database_url": f"sqlite:///{home / 'state.db'}", **values})

    def __repr__(self) -> str:
        return f"Settings(home={str(self.home)!r})"

    @property
    def key_file(self) -> Path:
        """The file that holds the encryption key when no setting gives it."""
        return self.home / "secret.key"

    @property
    def blobs_dir(self) -> Path:
        """The folder of embedded buckets' bytes when no URL is set."""
        return self.home / "blobs"

    @property
    def manifests_dir(self) -> Path:
        """The folder of submitted batches' manifests."""
        return self.home / "manifests"

    @property
    def spool_dir(self) -> Path:
        """The folder of tables on their way between steps when no URL is set."""
        return self.home / "spool"

    @property
    def uploads_dir(self) -> Path:
        """The folder of contents on their way to a hosted bucket; its files have no names."""
        return self.home / "uploads"

    @property
    def dagster_dir(self) -> Path:
        """The folder of the Dagster instance that `mixsync init` prepares."""
        return self.home / "dagster"


def _values(given: Mapping[str, str], problems: list[FieldProblem]) -> dict[str, Any]:
    """Return Settings' arguments for the variables that are set; what is not accepted goes to `problems`."""
    values: dict[str, Any] = {}
    for name, (field, parse) in _PARSERS.items():
        if name not in given:
            continue
        try:
            values[field] = parse(given[name])
        except ValueError:
            shown = "" if name in _SECRETS else given[name]
            said = f"{name}: {shown} is not accepted" if shown else f"{name}: the value is not accepted"
            problems.append(FieldProblem(name, shown, _ACCEPTED[name], f"{said}; give {_ACCEPTED[name]}."))
    return values


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = float(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return parse


def _beginning_with(prefixes: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not text.startswith(prefixes):
            raise ValueError(text)
        return text

    return parse


def _log_format(text: str) -> str:
    if text not in ("text", "json"):
        raise ValueError(text)
    return text


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _folder(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        raise ValueError(text)
    return path


def _file(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise ValueError(text)
    return path


def _entries(check: Callable[[tuple[str, ...]], object]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        entries = tuple(entry.strip() for entry in text.split(","))
        check(entries)
        return entries

    return parse


_PARSERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "MIXSYNC_DATABASE_URL": ("database_url", _beginning_with(_DATABASE_SCHEMES)),
    "MIXSYNC_SECRET_KEY": ("secret_key", str),
    "MIXSYNC_OLD_SECRET_KEYS": ("old_secret_keys", _lines),
    "MIXSYNC_BLOB_URL": ("blob_url", _beginning_with(_BLOB_SCHEMES)),
    "MIXSYNC_SPOOL_URL": ("spool_url", _beginning_with(_SPOOL_SCHEMES)),
    "MIXSYNC_NAMED_SYNCS": ("named_syncs", _whole(0, 200)),
    "MIXSYNC_LEASE_SECONDS": ("lease_seconds", _number(5, 3600)),
    "MIXSYNC_SYNC_CONCURRENCY": ("sync_concurrency", _whole(1, 1024)),
    "MIXSYNC_CHECK_SECONDS": ("check_seconds", _number(0.1, 600)),
    "MIXSYNC_GRACE_DAYS": ("grace_days", _number(0, 3650)),
    "MIXSYNC_SYNCS_DIR": ("syncs_dir", _folder),
    "MIXSYNC_API_REQUESTS_PER_MINUTE": ("api_requests_per_minute", _whole(0, 10_000_000)),
    "MIXSYNC_TRACES_URL": ("traces_url", _beginning_with(("http://", "https://"))),
    "MIXSYNC_LOG_FORMAT": ("log_format", _log_format),
    "MIXSYNC_CA_BUNDLE": ("ca_bundle", _file),
    "MIXSYNC_ALLOWED_ADDRESSES": ("allowed_addresses", _entries(AddressPolicy.of)),
    "MIXSYNC_FETCH_HOSTS": ("fetch_hosts", _entries(FetchHosts.of)),
    "MIXSYNC_FETCH_BYTES": ("fetch_bytes", _whole(1, 1024**4)),
    "MIXSYNC_FETCH_SECONDS": ("fetch_seconds", _number(0.1, 86400)),
    "MIXSYNC_TENANT_ROLES": ("tenant_roles", _yes_or_no),
    "MIXSYNC_AUDIT_DAYS": ("audit_days", _number(1, 3650)),
}

_SECRETS = frozenset({"MIXSYNC_SECRET_KEY", "MIXSYNC_OLD_SECRET_KEYS", "MIXSYNC_DATABASE_URL"})
"""Settings whose value no message may repeat; a database URL may hold a password."""


def environment_value(variable: str) -> str | None:
    """Return the value of the variable that a reference `{env: NAME}` names; None when it is unset or empty."""
    return os.environ.get(variable) or None


def resolve_env(
    variable: str, *, connection: str, field: str, lookup: Callable[[str], str | None] = environment_value
) -> str:
    """Return the value that `{env: variable}` stands for in a connection's field.

    Raises ConfigurationError naming the connection, the field and the variable when it is unset or empty.
    """
    value = lookup(variable)
    if not value:
        raise ConfigurationError(
            f"connections.{connection}.{field}: the environment variable {variable} is not set; "
            "set it where mixsync and Dagster run, or give another one."
        )
    return value


def trust_by_environment(ca_bundle: Path) -> None:
    """Make every client of this process trust the certificates that looks them up as the library `requests` does."""
    os.environ["REQUESTS_CA_BUNDLE"] = str(ca_bundle)


def child_environment(extra: Mapping[str, str], *, without_prefix: str | None = None) -> dict[str, str]:
    """Return this process's environment for a process to be started: some variables set, others left out."""
    kept = {k: v for k, v in os.environ.items() if without_prefix is None or not k.startswith(without_prefix)}
    return {**kept, **extra}


def dagster_home() -> Path | None:
    """Return the folder that DAGSTER_HOME names; None when it is unset, and the one under the home serves."""
    value = os.environ.get("DAGSTER_HOME", "").strip()
    return Path(value).absolute() if value else None
