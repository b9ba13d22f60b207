"""QuickXorHash, the one checksum that SharePoint and OneDrive for Business promise.

Written from the published description (OneDrive documentation, "Code Snippets: QuickXorHash Algorithm"): byte number i
is xor-ed into a register of 160 bits, rotated left by 11 * i bits; the length is xor-ed into its last 64 bits. Since
160 * 11 is a multiple of 160, bytes that lie 160 apart meet in the same place, so that whole blocks are xor-ed first.
"""

from __future__ import annotations

import base64

_BLOCK = 160
_BITS = 160
_SHIFT = 11
_REGISTER = (1 << _BITS) - 1
_LENGTH = (1 << 64) - 1


class QuickXor:
    """The hash of what `update` was given; not for several threads at once."""

    def __init__(self) -> None:
        self._block = 0
        """The xor of all blocks, as a little-endian number of 160 bytes."""
        self._length = 0

    def update(self, data: bytes) -> None:
        """Add bytes."""
        phase = self._length % _BLOCK
        self._length += len(data)
        self._block ^= _folded(bytes(phase) + data if phase else data)

    def digest(self) -> bytes:
        """Return the 20 bytes of the hash."""
        register = 0
        for position, byte in enumerate(self._block.to_bytes(_BLOCK, "little")):
            shift = position * _SHIFT % _BITS
            placed = byte << shift
            register ^= (placed & _REGISTER) | (placed >> _BITS)
        register ^= (self._length & _LENGTH) << (_BITS - 64)
        return register.to_bytes(_BITS // 8, "little")

    def base64(self) -> str:
        """Return the hash as Graph writes it."""
        return base64.b64encode(self.digest()).decode("ascii")


def _folded(data: bytes) -> int:
    """Return the xor of the blocks of `data`, by halves, which leaves the loop over bytes to the interpreter's C."""
    while len(data) > _BLOCK:
        half = (len(data) + 2 * _BLOCK - 1) // (2 * _BLOCK) * _BLOCK
        both = int.from_bytes(data[:half], "little") ^ int.from_bytes(data[half:], "little")
        data = both.to_bytes(half, "little")
    return int.from_bytes(data, "little")
