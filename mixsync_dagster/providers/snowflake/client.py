"""Statements sent to Snowflake through its own connector, over the connection that `dagster_snowflake` makes.

The only module of this provider that imports a vendor's library, on first use: that costs seconds. It returns plain
rows and raises our errors.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from mixsync_dagster.errors import ConfigurationError, ProviderUnavailable
from mixsync_dagster.providers.snowflake.columns import spelled
from mixsync_dagster.providers.snowflake.errors import HTTP_CODES, Failure, Kind, Place, Stage, told
from mixsync_dagster.providers.snowflake.settings import SnowflakeSettings

Row = tuple[Any, ...]

_CLOCK = "HH24:MI:SS.FF9"
_MOMENT = f'YYYY-MM-DD"T"{_CLOCK}'
SESSION_PARAMETERS: dict[str, Any] = {
    "TIMEZONE": "UTC",
    # A text of every time that loses nothing: Python's own datetime ends at microseconds.
    "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
    "TIME_OUTPUT_FORMAT": _CLOCK,
    "TIMESTAMP_NTZ_OUTPUT_FORMAT": _MOMENT,
    "TIMESTAMP_LTZ_OUTPUT_FORMAT": f"{_MOMENT}TZH:TZM",
    "TIMESTAMP_TZ_OUTPUT_FORMAT": f"{_MOMENT}TZH:TZM",
    "BINARY_OUTPUT_FORMAT": "HEX",
    # An account may say otherwise, and then "id" would mean ID.
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "ABORT_DETACHED_QUERY": True,
    "MULTI_STATEMENT_COUNT": 1,
    "CLIENT_TELEMETRY_ENABLED": False,
    "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False,
}
"""Set for every session; QUERY_TAG and STATEMENT_TIMEOUT_IN_SECONDS are added by the connection."""

_ABOUT = (
    ("certificate", re.compile(r"certificate verify failed|\bhostname\b.*\bdoesn't match", re.IGNORECASE)),
    ("role", re.compile(r"\brole\b.*\b(?:not exist|not authorized|not granted)", re.IGNORECASE | re.DOTALL)),
    ("network_policy", re.compile(r"network policy|not allowed to access snowflake", re.IGNORECASE)),
    (
        "warehouse",
        re.compile(
            r"\bwarehouse\b.*\b(?:not exist|missing|suspended|no active)|no active warehouse", re.IGNORECASE | re.DOTALL
        ),
    ),
)
_HIGHEST_CODE = 500_000
_SQL_STATE = re.compile(r"[0-9A-Z]{5}")
_PREFETCHING_THREADS = 2
"""Parts of a result that the connector may hold ahead of the one being read; each is some tens of megabytes at most."""


class SnowflakeClient:
    """One session, begun with the first statement; for any number of threads. Nothing is repeated here.

    The connector itself goes on after requests without an answer for `network_timeout_seconds`.
    """

    def __init__(self, settings: SnowflakeSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._connection: Any = None
        self._held = ExitStack()
        self.place = Place(
            account=settings.account,
            username=settings.username,
            role=settings.role,
            warehouse=settings.warehouse,
            table=settings.table.quoted,
            query_timeout_seconds=settings.query_timeout_seconds,
        )

    def chunks(self, sql: str, binds: Sequence[Any] = (), *, rows: int) -> Iterator[list[Row]]:
        """Yield a statement's rows, at most `rows` at a time; what `?` stands for is bound by the server.

        Raises AccessDenied, PathNotFound, ConfigurationError, ProviderUnavailable, RateLimited.
        Closing the iterator early gives the rest of the result up.
        """
        try:
            yield from self.raw_chunks(sql, binds, rows=rows)
        except Failure as failure:
            raise told(failure, self.place) from None

    def rows(self, sql: str, binds: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a statement whose answer is small; raises as `chunks`."""
        return [row for chunk in self.chunks(sql, binds, rows=1000) for row in chunk]

    def first_named(self, sql: str, name: str, wanted: Mapping[str, str]) -> Any:
        """Return the value of a column, by its lower-case name, of the first row with the wanted values; else None.

        For answers whose columns grow with Snowflake's releases. Raises as `chunks`.
        """
        names: list[str] = []
        try:
            for chunk in self.raw_chunks(sql, rows=1000, names=names):
                for row in chunk:
                    values = dict(zip(names, row, strict=True))
                    if all(values.get(key) == value for key, value in wanted.items()):
                        return values.get(name)
        except Failure as failure:
            raise told(failure, self.place) from None
        return None

    def raw_chunks(
        self, sql: str, binds: Sequence[Any] = (), *, rows: int, names: list[str] | None = None
    ) -> Iterator[list[Row]]:
        """Yield as `chunks` does, and raise Failure where Snowflake refuses: the caller knows what it means.

        The names of the answer's columns, in lower case, are added to `names` before the first rows come.
        """
        from snowflake.connector.errors import Error

        connection = self._connected()
        cursor = None
        try:
            cursor = connection.cursor()
            cursor.execute(sql, tuple(binds) or None)
            if names is not None:
                names.extend(one.name.lower() for one in cursor.description)
            while chunk := cursor.fetchmany(rows):
                yield chunk
        except Error as error:
            failure = _failure(error, Stage.STATEMENT)
            if failure.session_ended:
                self._forget(connection)
            raise failure from None
        except OSError as error:
            raise ProviderUnavailable(f"The connection to Snowflake broke ({type(error).__name__}).") from None
        finally:
            if cursor is not None:
                cursor.close()

    def close(self) -> None:
        """End the session. Twice is harmless."""
        with self._lock:
            begun, self._connection = self._connection is not None, None
            held, self._held = self._held, ExitStack()
        if begun:
            _close(held)

    def _forget(self, connection: Any) -> None:
        """Let the next statement sign in anew, unless another thread has seen to it."""
        with self._lock:
            if self._connection is connection:
                self._connection = None
                self._held = ExitStack()

    def _connected(self) -> Any:
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection

    def _connect(self) -> Any:
        # The connector logs statements and hosts with every step; warnings remain.
        logging.getLogger("snowflake.connector").setLevel(logging.WARNING)
        from dagster_snowflake import SnowflakeResource
        from snowflake.connector.errors import Error

        settings = self._settings
        resource_settings: dict[str, Any] = {
            "account": settings.account,
            "user": settings.username,
            "warehouse": settings.warehouse,
            "role": settings.role,
            "database": spelled(settings.table.database or ""),
            "schema": spelled(settings.table.schema or ""),
            "paramstyle": "qmark",
            "autocommit": True,
            "login_timeout": settings.login_timeout_seconds,
            "network_timeout": settings.network_timeout_seconds,
            "client_prefetch_threads": _PREFETCHING_THREADS,
            "additional_snowflake_connection_args": self._more_arguments(),
        }
        if settings.private_key is not None:
            resource_settings |= {
                "private_key": settings.private_key,
                "private_key_password": settings.private_key_passphrase,
            }
        else:
            resource_settings["password"] = settings.password
        try:
            resource = SnowflakeResource(
                **{key: value for key, value in resource_settings.items() if value is not None}
            )
            return self._held.enter_context(resource.get_connection())
        except Error as error:
            raise told(_failure(error, Stage.SIGN_IN), self.place) from None
        except (ValueError, TypeError):
            # What cryptography says about a key that it cannot read may quote it.
            raise ConfigurationError(
                "credentials.private_key: the key cannot be read; give a PEM private key in PKCS#8 form, and "
                "private_key_passphrase if and only if it is encrypted."
            ) from None
        except OSError as error:
            raise ProviderUnavailable(
                f"The account {settings.account} cannot be reached ({type(error).__name__})."
            ) from None

    def _more_arguments(self) -> dict[str, Any]:
        settings = self._settings
        parameters = {
            **SESSION_PARAMETERS,
            "QUERY_TAG": query_tag(settings),
            "STATEMENT_TIMEOUT_IN_SECONDS": settings.query_timeout_seconds,
        }
        arguments: dict[str, Any] = {"session_parameters": parameters, "client_session_keep_alive": False}
        if settings.host is not None:
            arguments["host"] = settings.host
        if settings.port is not None:
            arguments["port"] = settings.port
        if settings.protocol != "https":
            arguments["protocol"] = settings.protocol
        return arguments


def query_tag(settings: SnowflakeSettings) -> str:
    """Return what Snowflake's query history shows with every statement, as JSON."""
    connection = {} if settings.connection_id is None else {"connection_id": settings.connection_id}
    tag = {"application": "mixsync_dagster", **connection, "source_path": settings.table.quoted}
    # Snowflake refuses longer ones; a table's name may have 255 characters, each of them a quote.
    return json.dumps(tag)[:2000]


def _close(held: ExitStack) -> None:
    from snowflake.connector.errors import Error

    try:
        held.close()
    except (Error, OSError):
        # The session ends by itself; there is nothing that could be done about it.
        logging.getLogger(__name__).debug("a session with Snowflake was not ended in good order")


def _failure(error: Any, stage: Stage) -> Failure:
    """Return the failure in plain values; the vendor's words are looked at here and go no further."""
    from snowflake.connector import errors as vendor

    code = error.errno if isinstance(error.errno, int) and error.errno > 0 else None
    if code is not None and code > _HIGHEST_CODE:
        # The connector adds its number for HTTP to codes that are none, or that have it already.
        code -= HTTP_CODES
    words = str(error.msg or "")
    about = (
        "account"
        if isinstance(error, vendor.ForbiddenError)
        else next((name for name, pattern in _ABOUT if pattern.search(words)), "")
    )
    refusals = (vendor.ProgrammingError, vendor.IntegrityError, vendor.DataError, vendor.NotSupportedError)
    outages = (vendor.OperationalError, vendor.InternalError, vendor.InterfaceError)
    refused = isinstance(error, refusals) or (
        isinstance(error, vendor.DatabaseError) and not isinstance(error, outages)
    )
    return Failure(Kind.REFUSAL if refused else Kind.OUTAGE, stage, code, _state(error.sqlstate), about)


def _state(text: object) -> str | None:
    return text if isinstance(text, str) and _SQL_STATE.fullmatch(text) else None
