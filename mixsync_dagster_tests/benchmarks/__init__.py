"""Benchmarks: first syncs, unchanged passes and start-up, paired with the tools that people use for the same work."""
