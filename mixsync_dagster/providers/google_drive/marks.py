"""What a position of the feed remembers of the folders of its scope, in under 3 KiB.

A change that takes something away tells an id and nothing else. Whether it was a folder of the scope, with files in it,
or somebody's file elsewhere, only memory can tell. It is kept as a Bloom filter: it never forgets a folder, and takes
something else for one with a probability that grows with the number of folders (under one in a million up to 600, one
in a hundred at 2,000, one in two at 20,000). The price of an error is a full listing.

Up to 230 folders it also remembers where and under what name a folder was, so that a change of a folder that means
nothing (somebody looked at it) is told from a move. There an error costs a move that is seen by the next full listing
only; its probability is under one in a hundred million.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable
from hashlib import blake2b

from mixsync_dagster.errors import CursorExpired

_MOST_BYTES = 2_300
_LEAST_BYTES = 16
_BYTES_PER_ENTRY = 5
_MOST_HASHES = 24
_STATEFUL = 230
"""Up to so many folders their states are remembered as well: 40 bits for each of both."""
_BITS = 8
_HASH_BITS = 21
"""24 times 21 bits are in the 512 of a digest."""
_HASH_RANGE = 1 << _HASH_BITS


class Marks:
    """A set of texts that never says no wrongly."""

    def __init__(self, bits: bytearray, hashes: int, *, stateful: bool) -> None:
        self._bits = bits
        self._hashes = hashes
        self.stateful = stateful

    @classmethod
    def of(cls, states: Iterable[tuple[str, str]]) -> Marks:
        """Return the marks of folders and shortcuts, each with its id and its state."""
        known = list(states)
        stateful = len(known) <= _STATEFUL
        entries = [entry for pair in known for entry in (pair if stateful else pair[:1])]
        size = max(_LEAST_BYTES, min(_MOST_BYTES, len(entries) * _BYTES_PER_ENTRY))
        hashes = max(1, min(_MOST_HASHES, size * _BITS * 7 // (10 * max(1, len(entries)))))
        marks = cls(bytearray(size), hashes, stateful=stateful)
        for entry in entries:
            marks._add(entry)
        return marks

    def __contains__(self, entry: str) -> bool:
        return all(self._bits[at // _BITS] >> at % _BITS & 1 for at in self._places(entry))

    def text(self) -> str:
        """Return the marks as printable text."""
        packed = base64.urlsafe_b64encode(zlib.compress(bytes(self._bits), 9)).decode("ascii")
        return f"{int(self.stateful)}.{self._hashes}.{packed}"

    @classmethod
    def read(cls, text: str) -> Marks:
        """Return the marks of `text()`. Raises CursorExpired when it is none."""
        try:
            stateful, hashes, packed = text.split(".")
            bits = zlib.decompress(base64.urlsafe_b64decode(packed))
            marks = cls(bytearray(bits), int(hashes), stateful=stateful == "1")
        except (ValueError, binascii.Error, zlib.error):
            raise CursorExpired("The position holds marks that cannot be read.") from None
        if not bits or not 1 <= marks._hashes <= _MOST_HASHES:
            raise CursorExpired("The position holds marks that cannot be read.")
        return marks

    def _add(self, entry: str) -> None:
        for at in self._places(entry):
            self._bits[at // _BITS] |= 1 << at % _BITS

    def _places(self, entry: str) -> list[int]:
        # Independent of each other: steps from one number to the next would make small sets look alike.
        digest = int.from_bytes(blake2b(entry.encode("utf-8", "replace"), digest_size=64).digest(), "big")
        size = len(self._bits) * _BITS
        return [(digest >> number * _HASH_BITS) % _HASH_RANGE % size for number in range(self._hashes)]
