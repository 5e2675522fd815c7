"""Old snapshots: from the layout a format had to the present one.

A snapshot's chunks are kept as they were stored, so that its checksum and its state hash are those of its own format.
They are brought to the present layout when a state is made of them. Between formats states are compared, not hashes:
the same state has other bytes in another layout (``Snapshot.hash_of_state``).

A format that only adds fields with a default to the end of ``MarketHead`` or ``Position`` needs no entry here: the old
bytes decode as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

FORMAT: Final = 2
"""The layout that this program writes.

1: the first release. 2: says the time of the newest row.
"""

HEADS: Final[Mapping[int, Callable[[list[Any]], list[Any]]]] = {}
"""By the format they are of: how a market's head becomes that of the next format, as plain lists."""

POSITIONS: Final[Mapping[int, Callable[[list[Any]], list[Any]]]] = {}
"""The same for one position."""


def market_chunks(chunks: Sequence[bytes], of: int) -> Sequence[bytes]:
    """A market's chunks of format ``of`` in the present layout. Raises ``msgspec.MsgspecError`` on other bytes."""
    heads, positions = _from(HEADS, of), _from(POSITIONS, of)
    if not chunks or not (heads or positions):
        return chunks
    head = _all(msgspec.msgpack.decode(chunks[0]), heads)
    pieces = [[_all(position, positions) for position in msgspec.msgpack.decode(chunk)] for chunk in chunks[1:]]
    return [msgspec.msgpack.encode(part) for part in (head, *pieces)]


def _from(upcasts: Mapping[int, Callable[[list[Any]], list[Any]]], of: int) -> list[Callable[[list[Any]], list[Any]]]:
    return [upcast for format_, upcast in sorted(upcasts.items()) if format_ >= of]


def _all(plain: list[Any], upcasts: Sequence[Callable[[list[Any]], list[Any]]]) -> list[Any]:
    for upcast in upcasts:
        plain = upcast(plain)
    return plain
