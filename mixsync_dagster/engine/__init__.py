"""How a sync runs: pure Python and Arrow tables over the ports; no vendor, no orchestrator, no SQL."""
