"""Agents: strategies that trade by themselves, with no access but the client.

    from perps.agents import Strategy

    class Contrarian(Strategy):
        async def decide(self) -> None:
            if self.market.quote < self.market.index:
                await self.enter("long")

    perps agents run contrarian.py:Contrarian --count 50 --seed 7

Reading order: ``strategy`` (what a strategy has and does), ``strategies`` (eight examples), ``views`` (markets and
one's own account, as the streams tell them), ``desk`` (commands, counted), ``trader`` (one agent at work),
``crowd`` (many of them), ``line`` (which transport carries all this), ``catalogue`` (a strategy by its name or file).
Processes, keys and tables are in ``tools/agents``; the agents of a world in ``tools/worlds``.
"""

from perps.agents.strategy import Seat, Strategy
from perps.agents.views import Account, MarketView
from perps.client import Event, Refused

__all__ = ["Account", "Event", "MarketView", "Refused", "Seat", "Strategy"]
