"""Nouns: what connections, buckets, syncs, items, objects and progress are. No I/O, no clock, no environment."""
