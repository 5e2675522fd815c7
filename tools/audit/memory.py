"""Digests of what a running venue's actors hold in memory, beside the digests of a replay to the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from perps.snapshot.images import digest
from perps.snapshot.verification import Finding
from perps.wire.venue import STATE
from tools.audit.live import Follower
from tools.client import venue_at
from tools.settings import Access

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
"""SHA-256 in hex."""


class LedgerDigest(Struct, frozen=True):
    """All accounts and users after row ``offset``."""

    offset: int
    seq: int
    hash: Digest


class MarketDigest(Struct, frozen=True):
    """One market after row ``seq`` of its stream."""

    ticker: str
    seq: int
    hash: Digest


class Memory(Struct, frozen=True):
    """The answer of ``GET /api/admin/state``. Every row that it rests on is durable."""

    ledger: LedgerDigest
    markets: Sequence[MarketDigest]


async def ask_memory(access: Access) -> Memory:
    """Ask for the digests of what the actors hold now."""
    async with venue_at(access) as venue:
        return await venue.call(STATE, Memory)


def contradictions_of_memory(follower: Follower, memory: Memory) -> Iterator[Finding]:
    """The ledger and the markets whose memory is not what the rows lead to. Raises ``JournalCorrupt``."""
    markets = {market.ticker: market for market in memory.markets}
    ledger: LedgerDigest | None = memory.ledger
    while True:
        state = follower.state
        if ledger is not None and state.offset == ledger.offset:
            if digest(state.ledger.image(state.offset).chunks()) != bytes.fromhex(ledger.hash):
                yield Finding("the running ledger's memory differs from what the rows up to here lead to", state.offset)
            for ticker in state.markets.keys() - {market.ticker for market in memory.markets}:
                yield Finding(
                    "the running venue does not have this market in memory: the market is down", state.offset, ticker
                )
            ledger = None
        for ticker, market in list(markets.items()):
            replayed = state.markets.get(ticker)
            if replayed is not None and replayed.seq == market.seq:
                if digest(replayed.image().chunks()) != bytes.fromhex(market.hash):
                    problem = (
                        f"the running market's memory differs from what its rows up to number {market.seq} lead to"
                    )
                    yield Finding(problem, state.offset, ticker)
                del markets[ticker]
        if (ledger is None and not markets) or not follower.follow(state.offset + 1):
            break
    if ledger is not None:
        yield Finding(
            f"the running ledger is at row {ledger.offset}, but the journal ends at row {follower.state.offset}"
        )
    for ticker, market in markets.items():
        yield Finding(
            f"the running market is at its row number {market.seq}, which the journal does not have", None, ticker
        )
