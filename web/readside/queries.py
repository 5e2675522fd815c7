"""What the database answers beside the read model: history. The interface that ``persistence`` implements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perps.journal import Row
from perps.query_rows import (
    Candle,
    EquityRecord,
    FillRecord,
    FundingRecord,
    LegRecord,
    OrderRecord,
    PositionRecord,
    PriceRecord,
)

Page = tuple[int, int] | None
"""Where a list goes on: the last (offset, n) already seen; None for its newest entries."""


class Queries(Protocol):
    """What the query tables answer: history, newest first. ``persistence`` implements it."""

    async def row(self, offset: int) -> Row | None:
        """One journal row."""
        ...

    async def rows_after(self, offset: int, limit: int) -> list[Row]:
        """Journal rows behind an offset, in order."""
        ...

    async def fills(
        self,
        *,
        user: str | None = None,
        ticker: str | None = None,
        kinds: Sequence[str] | None = None,
        before: Page = None,
        limit: int,
    ) -> list[FillRecord]:
        """Trades of a user or a market."""
        ...

    async def transactions(self, user: str, *, before: Page = None, limit: int) -> list[LegRecord]:
        """Movements of a wallet."""
        ...

    async def prices(self, ticker: str, *, before: Page = None, limit: int) -> list[PriceRecord]:
        """Prices a market took."""
        ...

    async def funding(self, ticker: str, *, before: Page = None, limit: int) -> list[FundingRecord]:
        """Hours of a market's funding."""
        ...

    async def equity(self, user: str, *, since: int, before: int | None = None, limit: int) -> list[EquityRecord]:
        """What a user had, newest first: from the last observation at or before ``since`` on, and before ``before``."""
        ...

    async def positions(
        self, user: str, *, status: str, ticker: str | None = None, before: Page = None, limit: int
    ) -> list[PositionRecord]:
        """Positions of a user: ``open``, ``closed`` (liquidated ones too) or ``all``."""
        ...

    async def orders(
        self, user: str, *, status: str, ticker: str | None = None, before: Page = None, limit: int
    ) -> list[OrderRecord]:
        """Orders of a user: ``open``, ``closed`` (however they ended) or ``all``."""
        ...

    async def order(self, order_id: str) -> OrderRecord | None:
        """One order; None if there never was one."""
        ...

    async def fills_of_order(self, ticker: str, number: int, *, limit: int) -> list[FillRecord]:
        """The trades that an order made, newest first."""
        ...

    async def owner(self, position_id: str) -> str | None:
        """Whose a position was that has been closed, or changed since its open; None of any other."""
        ...

    async def candles(
        self, ticker: str, *, interval_ms: int, start_ms: int, end_ms: int, limit: int, newest: bool
    ) -> list[Candle]:
        """The newest or oldest ``limit`` candles that open in [start, end), oldest first."""
        ...
