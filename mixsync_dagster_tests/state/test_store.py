from mixsync_dagster.testing.contracts.state import StateStoreContract


class TestSqlStateStore(StateStoreContract):
    """On SQLite and on PostgreSQL, by the fixture `store`."""
