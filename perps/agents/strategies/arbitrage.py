"""Arbitrage: brings the quote to the index, and is paid for it."""

from __future__ import annotations

from typing import Final

from perps.agents import Strategy

EDGE: Final = 0.0005
"""What must be left after the fees of both ways, as a fraction of the price."""
HOME: Final = 0.25
"""It leaves when the quote has come back to this share of the distance at which it enters."""


class Arbitrage(Strategy):
    """Sells where the quote is above the index by more than fees, buys where it is below, leaves when they meet."""

    every_s = 0.5

    async def decide(self) -> None:
        market = self.market
        enough = 2 * market.taker_fee + EDGE
        premium = market.premium
        for position in self.positions:
            ahead = premium if position.side == "short" else -premium
            if ahead < enough * HOME:
                await self.leave(position)
                return
        if abs(premium) > enough and not self.is_full:
            await self.enter("short" if premium > 0 else "long", min(abs(premium) / enough, 4.0))
