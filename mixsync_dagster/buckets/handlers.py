"""What processes the batches of an embedded bucket when nobody says otherwise."""

from __future__ import annotations


class ManifestHandler:
    """A BatchHandler that leaves a batch to whoever reads its manifest: there is no task, so there is no task id.

    Submitted batches are listed by the catalog; a Dagster sensor picks them up from there and starts the user's own
    job for each, with the batch id as run key, so that a repeat starts nothing twice.
    """

    def handle(self, batch_id: str, manifest: str, *, idempotency_key: str) -> str | None:  # noqa: ARG002 - the port's names
        """Take note of nothing and return None; any number of times."""
        return None
