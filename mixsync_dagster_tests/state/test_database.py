"""What is accepted as a database, and how its failures are told."""

from __future__ import annotations

import psycopg
import pytest

from mixsync_dagster.errors import ConfigurationError, StoreUnavailable
from mixsync_dagster.state.database import Database
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.contracts.state_samples import seed


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "not a url", ""])
def test_other_databases_are_refused_with_the_accepted_form(url, clock):
    with pytest.raises(ConfigurationError, match="give sqlite:////path/to/file or postgresql://user@host/name"):
        Database.open(url, clock=clock)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_is_taken(scheme, clock):
    database = Database.open(f"{scheme}://user:secret@127.0.0.1:1/d", clock=clock)
    assert database.url.drivername == "postgresql+psycopg"
    assert database.path is None


def test_a_server_that_does_not_answer_is_told_without_the_password(clock):
    database = Database.open("postgresql://user:planted-secret@127.0.0.1:1/d", clock=clock)
    with pytest.raises(StoreUnavailable) as failure, database.read():
        pass
    assert "planted-secret" not in str(failure.value)


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
def test_a_write_that_waits_too_long_for_another_process_is_told(store, url, clock, monkeypatch):
    monkeypatch.setattr("mixsync_dagster.state.database._BUSY_SECONDS", 0.05)
    seed(store)
    other = SqlStateStore.open(url, clock=clock, key=b"k" * 32)
    with store._database.write(), pytest.raises(StoreUnavailable, match="locked"):
        other.unlock("sync_videos")
    other.close()


def test_sessions_have_their_limits(store):
    expected = {"lock_timeout": "5s", "statement_timeout": "1min", "idle_in_transaction_session_timeout": "10s"}
    with store._database.read() as tx:
        if store._database.postgres:
            assert {name: tx.rows(f"SHOW {name}")[0][0] for name in expected} == expected
        else:
            pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            found = [tx.rows(f"PRAGMA {name}")[0][0] for name in pragmas]
            assert found == ["wal", 2, 1, 30_000]


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_a_server_that_ended_our_sessions_is_found_again(store, url):
    seed(store)
    ours = "datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(url) as operator:
        ended = operator.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}").fetchall()
    assert ended
    assert len(store.list_syncs()) == 2


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_a_session_that_ends_within_a_write_is_told_and_nothing_stays(store, url):
    seed(store)

    def cut_off() -> None:
        with store._database.write() as tx:
            tx.run("DELETE FROM syncs")
            tx.rows("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StoreUnavailable):
        cut_off()
    assert len(store.list_syncs()) == 2


def test_closing_twice_is_harmless(store):
    store.close()
    store.close()
