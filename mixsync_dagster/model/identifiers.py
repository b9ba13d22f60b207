"""Identifiers that follow from what they name, so that every repeat and every worker computes the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_OBJECT_PREFIX = "obj_"
_BATCH_PREFIX = "btch_"


def _digest(kind: bytes, parts: Iterable[str]) -> str:
    # Length prefixes keep ("a", "bc") and ("ab", "c") apart; surrogatepass keeps names that are not valid Unicode
    # distinct.
    told = [kind]
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        told.append(b"%d:%s" % (len(data), data))
    return hashlib.blake2b(b"".join(told), digest_size=16).hexdigest()


def object_id_for(bucket_id: str, source_provider: str, source_object_id: str) -> str:
    """Return the id of the one object that stands for this identity; the same for every call, run and worker."""
    return _OBJECT_PREFIX + _digest(b"object:", (bucket_id, source_provider, source_object_id))


def batch_id_for(sync_config_id: str, members: Iterable[tuple[str, str]]) -> str:
    """Return the id of the batch of exactly these (object_id, version) members, whatever their order."""
    parts = [sync_config_id]
    for object_id, version in sorted(members):
        parts += (object_id, version)
    return _BATCH_PREFIX + _digest(b"batch:", parts)
