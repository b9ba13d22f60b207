"""The Dagster skin: resources, ops, jobs, sensors and assets over the engine; the only importer of dagster."""

import gc

# What Dagster has loaded by now lives as long as the process. Looking through it for garbage again and again, while the
# modules below are loaded, would cost a fifth of a short run.
gc.freeze()
