"""The Dagster skin: resources, ops, jobs, sensors and assets over the engine; the only importer of dagster."""
