"""Whose things are whose: an organisation, and its namespaces."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace of one organisation.

    Names of buckets and syncs are unique in it, those of connections in the organisation.
    """

    internal_id: str
    """The organisation (int_...)."""
    namespace_id: str
    """The namespace (ns_...); another organisation may have one of the same id."""


LOCAL_NAMESPACE = Namespace("int_local", "ns_default")
"""Where everything lives that is defined by files and on the command line."""
