"""Destination buckets: the embedded one, and the stores of its bytes and manifests."""
