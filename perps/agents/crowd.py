"""Many agents in one process: one stream tells all of them the markets."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from perps.agents.desk import Desk
from perps.agents.line import Line
from perps.agents.strategy import Seat, Strategy
from perps.agents.trader import TopUp, Trader
from perps.agents.views import Account, Markets


class Crowd:
    """The agents, and the markets that they hear of."""

    def __init__(self) -> None:
        self._markets = Markets()
        self._traders: list[Trader] = []

    async def hear(self, line: Line, tickers: Collection[str]) -> None:
        """Hear the markets, for ever. Errors: VenueError."""
        async for row in line.stream(sorted(set(tickers))):
            self._markets.take(row)
            for trader in tuple(self._traders):
                trader.take_market(row)

    def add(
        self,
        line: Line,
        kind: type[Strategy],
        *,
        user: str,
        ticker: str,
        random: Random,
        size: float,
        leverage: int,
        pace: float = 1.0,
        decisions_max: int | None = None,
        top_up: TopUp | None = None,
    ) -> Trader:
        """One more agent, to be run."""
        account = Account()
        seat = Seat(user, ticker, Desk(line, account), self._markets, account, random, size, leverage)
        trader = Trader(seat, kind, line, pace=pace, decisions_max=decisions_max, top_up=top_up)
        self._traders.append(trader)
        return trader

    def remove(self, trader: Trader) -> None:
        """One that has ended hears no more."""
        self._traders.remove(trader)
