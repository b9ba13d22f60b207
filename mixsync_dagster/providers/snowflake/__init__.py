"""Snowflake: rows of a table or view as items."""
