"""Snowflake: a table whose rows are named by paths, at fakesnow's server and through the real connector."""

from __future__ import annotations

import itertools
from collections import Counter
from types import MappingProxyType
from typing import Any

from mixsync_dagster.model.paths import SnowflakeTable
from mixsync_dagster.providers.snowflake.client import SnowflakeClient
from mixsync_dagster.providers.snowflake.settings import SnowflakeSettings
from mixsync_dagster.testing.snowflake_simulator import Fault, SnowflakeSimulator
from mixsync_dagster_tests.scenarios.worlds import SCOPE, Item, World

_DATABASE = "SCENARIOS"
_NUMBERS = itertools.count()
_COLUMNS = "(PATH VARCHAR, TEAM VARCHAR, CONTENT BINARY, UPDATED_AT TIMESTAMP_TZ)"
_NOW = "UPDATED_AT = CURRENT_TIMESTAMP()"


class _ExpiredSession(Fault):
    """Refuses statements until somebody signs in anew."""

    def __init__(self, simulator: SnowflakeSimulator, match: str) -> None:
        self._simulator = simulator
        self._sign_ins = len(simulator.logins)
        super().__init__(match, code="390114", message="Authentication token has expired.")

    def __getattribute__(self, name: str) -> Any:
        if name != "times":
            return super().__getattribute__(name)
        return int(len(self._simulator.logins) == self._sign_ins + 1)


class SnowflakeWorld(World):
    """Rows of one table; those of another folder than the scope's are rows of another table."""

    provider = "snowflake"
    lacks = MappingProxyType(
        {
            "moved": "rows lie in no folders: one that is in another table is another row",
            "folder renamed": "rows lie in no folders",
            "refused position": "what is remembered is compared here, and refused by nobody",
        }
    )
    keeps_identity = False
    renamed = ({"created": 1, "removed": 1},)
    relabelled = MappingProxyType({"replaced": 1})
    tells_throttling = False
    has_folders = False
    quiet_requests = MappingProxyType({"DESCRIBE": 1, "last commit": 1})

    def __init__(self, simulator: SnowflakeSimulator) -> None:
        super().__init__()
        simulator.clear()
        self.simulator = simulator
        self.schema = f"S{next(_NUMBERS)}"
        self.source_path = f"{_DATABASE}.{self.schema}.{SCOPE.upper()}"
        settings = SnowflakeSettings(
            "acct",
            "WH",
            SnowflakeTable(_DATABASE, self.schema, "ANY"),
            "writer",
            password="of-no-value",
            host=simulator.host,
            port=simulator.port,
            protocol="http",
        )
        self._writer = SnowflakeClient(settings)
        self._run(f"CREATE SCHEMA IF NOT EXISTS {_DATABASE}.{self.schema}")
        for name in (SCOPE, "out"):
            self._run(f"CREATE TABLE {self._table(name)} {_COLUMNS}")

    def close(self) -> None:
        self._writer.close()

    def connection(self) -> dict[str, Any]:
        return {
            "provider_type": self.provider,
            "account": "acct",
            "warehouse": "WH",
            "host": self.simulator.host,
            "port": self.simulator.port,
            "protocol": "http",
            "primary_key_columns": ["PATH"],
            "credentials": {"type": "username_password", "username": "reader", "password": "of-no-value"},
        }

    def settings(self) -> dict[str, Any]:
        return {"provider_filters": {"content_column": "CONTENT"}}

    def mapping(self) -> dict[str, Any]:
        made = super().mapping()
        made["mappings"]["team"]["required"] = True
        return made

    def team_source(self) -> dict[str, str]:
        return {"type": "column", "name": "TEAM"}

    def identity(self, path: str) -> str:
        return f'{_DATABASE}.{self.schema}.{SCOPE.upper()}/["{path}"]'

    def break_item(self, path: str) -> str:
        self._run(f"UPDATE {self._table(path)} SET TEAM = NULL, {_NOW} WHERE PATH = ?", path)
        return "schema_mismatch"

    def heal_item(self, path: str) -> None:
        self._run(f"UPDATE {self._table(path)} SET TEAM = ?, {_NOW} WHERE PATH = ?", str(self.items[path].team), path)

    def throttle(self) -> None:
        self.simulator.faults += [Fault("ORDER BY", status=429), Fault(self._reading, status=429)]

    def expire_token(self) -> None:
        self.simulator.faults.append(_ExpiredSession(self.simulator, self._reading))

    def renew_credentials(self) -> None:
        raise NotImplementedError("a run signs in by itself")

    def requests(self) -> dict[str, int]:
        return dict(Counter(self._kind(sent.sql) for sent in self.simulator.statements))

    def reads(self) -> int:
        return self.requests().get("read", 0)

    def forget(self) -> None:
        self.simulator.statements.clear()

    def _put(self, path: str, item: Item) -> None:
        self._remove(path)
        insert = f"INSERT INTO {self._table(path)} SELECT ?, ?, TO_BINARY(?, 'HEX'), CURRENT_TIMESTAMP()"
        self._run(insert, path, str(item.team), item.content.hex())

    def _move(self, path: str, to: str) -> None:
        self._run(f"UPDATE {self._table(path)} SET PATH = ?, {_NOW} WHERE PATH = ?", to, path)

    def _remove(self, path: str) -> None:
        self._run(f"DELETE FROM {self._table(path)} WHERE PATH = ?", path)

    @property
    def _reading(self) -> str:
        return f'{self._table(SCOPE)} WHERE "PATH"'

    def _kind(self, sql: str) -> str:
        if "SYSTEM$LAST_CHANGE_COMMIT_TIME" in sql:
            return "last commit"
        if self._reading in sql:
            return "read"
        return "listing" if "ORDER BY" in sql else sql.partition(" ")[0]

    def _table(self, path: str) -> str:
        return f'"{_DATABASE}"."{self.schema}"."{path.partition("/")[0].upper()}"'

    def _run(self, sql: str, *binds: str) -> None:
        self._writer.rows(sql, binds)


class WatermarkWorld(SnowflakeWorld):
    """The same table, followed by the column that tells when a row was changed."""

    following = ("--full",)  # rows that are gone have no watermark, and wait for the daily listing
    quiet_requests = MappingProxyType({"DESCRIBE": 1, "SELECT": 1})

    def connection(self) -> dict[str, Any]:
        return {**super().connection(), "incremental_column": "UPDATED_AT"}
