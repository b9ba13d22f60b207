"""Adapters, one folder an external storage; none imports another, and each is imported on first use."""
