"""Alembic's environment and the revisions, applied by `mixsync init` only."""
