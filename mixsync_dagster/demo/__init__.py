"""The demonstration: a source made on the fly, a sync through Dagster, and what landed."""
