"""What users have at a moment and have done by then: looked at in pieces, so that nothing waits for it.

One user is looked at as of one row. Of all users each is looked at as of a row of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from perps.market.position import equity
from perps.query_rows import EquityRecord
from web.readside.model import ReadModel

POSITIONS_AT_ONCE: Final = 256
"""Positions that are valued in one turn of the event loop: 0.2 ms."""


class EquityStore(Protocol):
    """Where observations are kept. ``persistence`` implements it; each method raises ``JournalUnavailable``."""

    async def round_at(self, at: int) -> int | None:
        """When the last round at or before ``at`` was, or the first of all; None: there was none."""
        ...

    async def add(self, records: Sequence[EquityRecord]) -> None:
        """Keep a round. Of a user and a moment that are known already nothing changes."""
        ...

    async def before(self, users: Sequence[str], at: int) -> dict[str, EquityRecord]:
        """What these users had when they were last observed, at or before ``at``; nothing of who was not."""
        ...

    async def thin(self, before: int) -> None:
        """Of each day keep only what was observed last, of all that is older than ``before``."""
        ...

    async def volumes(self, offset: int) -> dict[str, int]:
        """Σ |cost| of each user's fills up to a row, micros."""
        ...


class Standing(NamedTuple):
    """Micros."""

    equity: int = 0
    """Wallet, margins and unrealised PnL: without exit impact and fees."""
    paid_in: int = 0
    pnl: int = 0
    """Realised, before fees."""
    volume: int = 0


async def standing(model: ReadModel, user: str) -> Standing:
    """What a user has now. The caller has seen that the user exists."""
    view = model.users[user]
    worth, positions = model.wallet(user) + view.reserved, list(view.positions.items())
    done = Standing(0, view.deposited - view.withdrawn, view.pnl, view.volume)
    prices = {}
    for ticker in {ticker for (ticker, _), _ in positions}:
        market = model.markets[ticker].market
        prices[ticker] = market.mark, market.unit, market.funding_index
    for count, ((ticker, _), position) in enumerate(positions, 1):
        worth += equity(position, *prices[ticker])
        if not count % POSITIONS_AT_ONCE:
            await asyncio.sleep(0)
    return done._replace(equity=worth)


async def standings(model: ReadModel) -> dict[str, Standing]:
    """What each user has now."""
    found, looked_at = dict[str, Standing](), 0
    for user in list(model.users):
        found[user] = await standing(model, user)
        looked_at += 1 + len(model.users[user].positions)
        if looked_at >= POSITIONS_AT_ONCE:
            looked_at = 0
            await asyncio.sleep(0)
    return found
