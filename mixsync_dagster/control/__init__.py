"""Use cases: what may be done to connections, buckets, syncs and due work, over the ports and the model alone."""
