"""Cutting work into calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def parts_of(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`, the last one shorter; nothing for no items."""
    remaining = iter(items)
    while part := list(islice(remaining, size)):
        yield part
