"""Noise: trades for no reason. It makes the market that the others live on."""

from __future__ import annotations

from typing import Final

from perps.agents import Strategy

OPEN_CHANCE: Final = 0.5
CLOSE_CHANCE: Final = 0.06
PART_CHANCE: Final = 0.25
"""The chance that a close closes only half."""
SPREAD: Final = 0.7
"""Of the lognormal sizes."""
SCALE_MAX: Final = 6.0


class Noise(Strategy):
    """Tosses coins: whether to open, which side, how much; and when to close its oldest position."""

    positions_max = 4

    async def decide(self) -> None:
        if self.positions and (self.is_full or self.random.random() < CLOSE_CHANCE):
            is_part = self.random.random() < PART_CHANCE
            await self.leave(self.positions[0], "0.5" if is_part else None)
        elif not self.is_full and self.random.random() < OPEN_CHANCE:
            side = self.random.choice(("long", "short"))
            await self.enter(side, min(self.random.lognormvariate(0.0, SPREAD), SCALE_MAX))
