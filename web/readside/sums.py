"""Sums over a lifetime have no bound, MessagePack's integers have: beyond 64 bits a sum is stored as text."""

from typing import Final

Sum = int | str
"""A sum as stored: a number, or its decimal digits where it is too large to be one."""

_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1


def packed(total: int) -> Sum:
    """A sum as it is stored."""
    return total if _LEAST <= total <= _MOST else str(total)


def unpacked(stored: Sum) -> int:
    """The sum that was stored. Raises ``ValueError`` on text that is no number."""
    return int(stored)
