"""A whole core on a memory store: host, bridge, actors, read model; no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from msgspec.structs import replace

from actors.clock import VenueClock
from actors.messages import Outcome, Settled
from actors.ports import Journal
from perps.commands import ClosePosition, Command, CreateUser, ListMarket, OpenPosition, PriceSource, Side, UpdatePrice
from perps.units import PPB, Micros, Millis, Ppb, Ticks
from perps.wire.base import Number
from perps.wire.listing import MarketBody
from tests.support.memory import MemoryQueries, MemoryStore
from web.api.bodies.commands import list_command
from web.metrics import Metrics
from web.process.host import Host, OpenJournal
from web.readside.model import ROWS_KEPT, ReadModel
from web.streams.hub import Hub

USD = 10**6


class FixedClock:
    """Wall time stands still unless a test moves it; durations are counted, not measured."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000
        self._ns = count(1)

    def now_ms(self) -> Millis:
        """The test's time."""
        return Millis(self.ms)

    def monotonic_ns(self) -> int:
        """One nanosecond further at each call."""
        return next(self._ns)

    def pass_ns(self, ns: int) -> None:
        """Let durations grow."""
        self._ns = count(next(self._ns) + ns)


@dataclass
class Running:
    """A running core and what a test does with it."""

    host: Host
    model: ReadModel
    clock: FixedClock
    store: MemoryStore
    metrics: Metrics
    hub: Hub

    async def send(self, command: Command, *, sender: str = "@admin", order_id: str | None = None) -> Outcome:
        """Send a command as the web layer would."""
        return await self.host.bridge.send(
            command, sender=sender, client_order_id=order_id, fresh=order_id is None, trace_id="test"
        )

    async def do(self, command: Command, *, sender: str = "@admin", order_id: str | None = None) -> Settled:
        """Send a command that must succeed."""
        outcome = await self.send(command, sender=sender, order_id=order_id)
        assert isinstance(outcome, Settled), outcome
        return outcome

    async def list_market(self, ticker: str, **more: Any) -> None:
        """A market at a price of 100."""
        await self.do(listing(ticker, **more))

    async def add_user(self, user: str, dollars: int = 1_000) -> None:
        """A user with money."""
        await self.do(CreateUser(user=user, deposit=Micros(dollars * USD)))

    async def rebuilt(self) -> None:
        """Until every part is well again: commands are refused as unavailable until then."""
        async with asyncio.timeout(5):
            while self.host.health:  # noqa: ASYNC110 - health is a plain value, polled as /readyz would
                await asyncio.sleep(0)

    async def settled_market(self) -> None:
        """Wait until everything told to the markets so far has come back: a price goes the whole way."""
        for ticker in self.model.markets:
            await self.send(set_price(ticker, 100))


def listing(ticker: str, **more: Any) -> ListMarket:
    """A market at a price of 100."""
    return list_command(MarketBody(ticker=ticker, organization_id="org", name=ticker, price=Number(100), **more))


def open_long(ticker: str, user: str, dollars: int = 100, leverage: int = 10) -> OpenPosition:
    """An open of some notional."""
    return OpenPosition(ticker=ticker, user=user, side=Side.LONG, size=Micros(dollars * USD), leverage=leverage)


def close(ticker: str, user: str, number: int) -> ClosePosition:
    """A close of all of a position."""
    return ClosePosition(ticker=ticker, user=user, position_id=f"{ticker}-{number}", share=Ppb(PPB))


def set_price(ticker: str, dollars: int) -> UpdatePrice:
    """A price from a feed."""
    return UpdatePrice(ticker=ticker, price=Ticks(dollars * 100), source=PriceSource.ORACLE)


def poison(ticker: str, user: str) -> OpenPosition:
    """An open that the web layer would never let through: its market cannot compute with it."""
    words: Any = "not a number"
    return replace(open_long(ticker, user), max_slippage_bps=words)


@asynccontextmanager
async def running(
    store: MemoryStore | None = None, *, open_journal: OpenJournal | None = None, rows_kept: int = ROWS_KEPT
) -> AsyncIterator[Running]:
    """A core on ``store``, stopped in order at the end."""
    store = MemoryStore() if store is None else store
    model, clock, metrics = ReadModel(rows_kept=rows_kept), FixedClock(), Metrics()
    hub = Hub(model, MemoryQueries(store).rows_after)

    def acquire() -> Journal:
        return store.acquire()

    host = Host(open_journal or acquire, store, VenueClock(clock), model, hub, metrics)
    await host.start()
    try:
        yield Running(host, model, clock, store, metrics, hub)
    finally:
        await host.stop()
