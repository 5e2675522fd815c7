"""House hedger: takes the side that the house has too much of, and earns funding and the maker's fee for it."""

from __future__ import annotations

from typing import Final

from perps.agents import Strategy

BEGIN: Final = 0.05
"""The share of the market's largest skew at which it steps in …"""
END: Final = 0.01
"""… and at which it leaves again."""


class Hedger(Strategy):
    """The house is the other side of every trade. While all go long it is short, and this agent sells, and so on."""

    every_s = 2.0
    positions_max = 5

    async def decide(self) -> None:
        market = self.market
        share = market.skew / market.max_skew
        side = "short" if share > 0 else "long"
        needless = [one for one in self.positions if one.side != side or abs(share) < END]
        if needless:
            await self.leave(needless[0])
        elif abs(share) > BEGIN and not self.is_full:
            await self.enter(side, min(abs(share) / BEGIN, 4.0))
