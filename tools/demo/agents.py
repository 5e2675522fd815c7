"""The demo's agents: examples of ``perps.agents``, in the venue's own process. They hear the markets on one stream."""

from __future__ import annotations

import asyncio
from random import Random

from perps.agents.catalogue import strategy_of
from perps.agents.desk import Desk
from perps.agents.strategy import Seat
from perps.agents.trader import TopUp, Trader
from perps.agents.views import Account, Markets
from perps.client import Venue
from tools.demo.setup import AGENTS, AgentPlan
from tools.errors import ToolError


class Crowd:
    """All agents. ``pace``: how much faster than usual they decide."""

    def __init__(self, pace: float) -> None:
        self._pace, self._markets = pace, Markets()
        self._traders: set[Trader] = set()

    async def hear(self, venue: Venue) -> None:
        """Hear the markets, for ever. Errors: VenueError."""
        async for row in venue.stream(sorted({plan.ticker for plan in AGENTS})):
            self._markets.take(row)
            for trader in tuple(self._traders):
                trader.take_market(row)

    async def trade(self, plan: AgentPlan, venue: Venue, random: Random, top_up: TopUp, stop: asyncio.Event) -> None:
        """Run one agent with its own key until ``stop``. Errors: ToolError if it cannot go on."""
        account, kind = Account(), strategy_of(plan.strategy)
        seat = Seat(
            user=plan.user,
            ticker=plan.ticker,
            desk=Desk(venue, account),
            markets=self._markets,
            account=account,
            random=random,
            size=plan.size,
            leverage=plan.leverage,
        )
        trader = Trader(seat, kind, venue, pace=self._pace * kind.every_s / plan.pause_s, top_up=top_up)
        self._traders.add(trader)
        try:
            await trader.run(stop)
        finally:
            self._traders.discard(trader)
        if trader.problem:
            raise ToolError(trader.problem)
