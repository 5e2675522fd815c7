"""Images: a market's or the ledger's whole state as one frozen value, and its canonical bytes.

An image is cheap to take, because what it holds is frozen already: positions are shared, not copied. Its bytes are
canonical (sorted, cut into chunks of a fixed number of items), so equal states have equal digests, wherever they come
from: the live actor, a snapshot with the rows after it, or a replay of the whole journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from heapq import merge
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any, Final

import msgspec
from msgspec import Struct

from perps.market.deleveraging import Deleveraging
from perps.market.holding import HeldPrice
from perps.market.order import Order
from perps.market.position import Position
from perps.market.settling import Settling
from perps.params import MarketParams, Mode
from perps.units import FundingIndex, Micros, Millis, Ticks

CHUNK_ITEMS: Final = 1_024
"""Items encoded at a time: half a millisecond, after which another thread may have its turn."""


class MarketHead(Struct, frozen=True, array_like=True):
    """What a market is after row ``seq`` of its stream, but for its positions and the sums that follow from them."""

    params: MarketParams
    seq: int
    at: Millis
    mode: Mode
    mode_reason: str
    index_price: Ticks
    price_at: Millis
    source_times: dict[str, Millis]
    """By source, sorted."""
    source_sequences: dict[str, int]
    funding_index: FundingIndex
    next_number: int
    house: Micros
    insurance: Micros
    funding_rate: int = 0
    funding_carry: int = 0
    funding_at: Millis = Millis(0)
    hour_index: FundingIndex = FundingIndex(0)
    held_price: HeldPrice | None = None
    settling: Settling | None = None
    next_order: int = 1
    position_count: int | None = None
    """Of what stands behind the head: so many positions, then orders. None: positions only."""
    cancel_timers: dict[str, Millis] = {}
    """By user, sorted."""
    decided_before: Millis = Millis(0)
    deleveraging: Deleveraging | None = None


class MarketImage(Struct, frozen=True):
    """A market, its open positions and its resting orders, both in any order."""

    head: MarketHead
    positions: tuple[Position, ...]
    orders: tuple[Order, ...] = ()

    def chunks(self) -> Iterator[bytes]:
        """The canonical bytes: the head, then the positions by number, then the orders by number."""
        yield _encode(self.head)
        yield from _in_chunks(self.positions, attrgetter("number"))
        yield from _in_chunks(self.orders, attrgetter("number"))

    @classmethod
    def from_chunks(cls, chunks: Sequence[bytes]) -> MarketImage:
        """The image with these bytes. Raises ``msgspec.MsgspecError`` on bytes that are no image's."""
        if not chunks:
            raise msgspec.ValidationError("a market without a head")
        head = _head.decode(chunks[0])
        count = head.position_count
        split = len(chunks) if count is None else 1 - (-count // CHUNK_ITEMS)
        positions = tuple(position for chunk in chunks[1:split] for position in _positions.decode(chunk))
        orders = tuple(order for chunk in chunks[split:] for order in _orders.decode(chunk))
        if count is not None and len(positions) != count:
            raise msgspec.ValidationError(f"not {count} positions")
        return cls(head, positions, orders)


class LedgerImage(Struct, frozen=True):
    """All accounts and users after row ``offset`` of the journal."""

    offset: int
    seq: int
    balances: dict[str, int]
    referrers: dict[str, str | None]

    def chunks(self) -> Iterator[bytes]:
        """The canonical bytes: offset, sequence and sizes, then accounts by name, then users by name."""
        yield _encode((self.offset, self.seq, len(self.balances), len(self.referrers)))
        yield from _in_chunks(self.balances.items(), itemgetter(0))
        yield from _in_chunks(self.referrers.items(), itemgetter(0))

    @classmethod
    def from_chunks(cls, chunks: Sequence[bytes]) -> LedgerImage:
        """The image with these bytes. Raises ``msgspec.MsgspecError`` on bytes that are no image's."""
        if not chunks:
            raise msgspec.ValidationError("a ledger without a head")
        offset, seq, accounts, users = _ledger_head.decode(chunks[0])
        split = 1 + -(-accounts // CHUNK_ITEMS)
        balances = dict(item for chunk in chunks[1:split] for item in _balances.decode(chunk))
        referrers = dict(item for chunk in chunks[split:] for item in _referrers.decode(chunk))
        if (len(balances), len(referrers)) != (accounts, users):
            raise msgspec.ValidationError(f"not {accounts} accounts and {users} users")
        return cls(offset, seq, balances, referrers)


def digest(chunks: Iterable[bytes]) -> bytes:
    """SHA-256 over an image's canonical bytes, each chunk with its length before it. 32 bytes."""
    whole = sha256()
    for chunk in chunks:
        whole.update(len(chunk).to_bytes(8, "big"))
        whole.update(chunk)
    return whole.digest()


def in_order(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, sorted by key."""
    return dict(sorted(mapping.items()))


def _in_chunks(items: Iterable[Any], key: Callable[[Any], Any]) -> Iterator[bytes]:
    """``items`` in the order of ``key``, encoded a chunk at a time.

    Sorted in pieces and merged: sorting 100,000 at once would keep every other thread waiting for 20 ms.
    """
    merged = merge(*(sorted(piece, key=key) for piece in _pieces(items)), key=key)
    for piece in _pieces(merged):
        yield _encode(piece)


def _pieces(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while piece := list(islice(iterator, CHUNK_ITEMS)):
        yield piece


_encode = msgspec.msgpack.Encoder().encode
_head = msgspec.msgpack.Decoder(MarketHead)
_positions = msgspec.msgpack.Decoder(list[Position])
_orders = msgspec.msgpack.Decoder(list[Order])
_ledger_head = msgspec.msgpack.Decoder(tuple[int, int, int, int])
_balances = msgspec.msgpack.Decoder(list[tuple[str, int]])
_referrers = msgspec.msgpack.Decoder(list[tuple[str, str | None]])
