"""Verbs: the protocols between the engine and its adapters. Their docstrings are the contracts that the suites test."""
