"""What every handler can reach: one object, filled by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from actors.bridge import Bridge
from actors.ports import Clock
from perps.journal import Row
from perps.query_rows import Candle, FillRecord, LegRecord, PositionRecord, PriceRecord
from web.answers.errors import not_found
from web.auth import Keys
from web.limits.shares import Arrivals, ReadShares, Turns
from web.metrics import Metrics
from web.process.recorder import Recorder
from web.process.snapshots import Snapshots
from web.process.watchdog import Problem
from web.readside.model import MarketView, ReadModel
from web.streams.sse import Streams

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

    async def positions(
        self, user: str, *, status: str, ticker: str | None = None, before: Page = None, limit: int
    ) -> list[PositionRecord]:
        """Positions of a user: ``open``, ``closed`` (liquidated ones too) or ``all``."""
        ...

    async def owner(self, position_id: str) -> str | None:
        """Whose a position is or was; None if there never was one."""
        ...

    async def candles(self, ticker: str, *, interval_ms: int, start_ms: int, end_ms: int, limit: int) -> list[Candle]:
        """The newest candles that open in [start, end), oldest first."""
        ...


@dataclass(slots=True)
class Context:
    """The running venue, as the handlers see it."""

    bridge: Bridge
    model: ReadModel
    queries: Queries
    keys: Keys
    streams: Streams
    snapshots: Snapshots
    metrics: Metrics
    recorder: Recorder
    clock: Clock
    problems: Callable[[], Mapping[str, Problem]]
    """What is not well, by part (a ticker, ``core``, or what an actor is called). Empty: ready."""
    started: bool = False
    """Whether recovery has ended: before that there is nothing true to serve."""
    draining: bool = False
    turns: Turns = field(default_factory=Turns)
    read_shares: ReadShares = field(default_factory=ReadShares)
    arrivals: Arrivals = field(default_factory=Arrivals)

    def looking_up(self, request: web.Request) -> AbstractAsyncContextManager[None]:
        """While a request has something read from the database. Raises ``rate_limited``."""
        return self.read_shares.one(self.keys.payer(request))

    def market(self, ticker: str) -> MarketView:
        """A market by ticker. Raises ``market_not_found``."""
        view = self.model.markets.get(ticker)
        if view is None:
            raise not_found("market", ticker=ticker)
        return view


CONTEXT: Final = web.AppKey("context", Context)

COMMAND: Final = web.RequestKey("command", object)
"""What a request asked for, once that is known: for the log line of a refusal."""

IS_DONE: Final = web.RequestKey("is_done", bool)
"""Its command is durable: whatever goes wrong from here on, it must not be told that nothing was done."""

REQUEST_ID: Final = web.RequestKey("request_id", str)
"""What a request is called in its answer, its errors and the logs."""
