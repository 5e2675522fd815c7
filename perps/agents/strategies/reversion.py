"""Mean reversion: what has gone far comes back."""

from __future__ import annotations

from collections import deque
from statistics import fmean
from typing import Final

from perps.agents import Seat, Strategy

MEMORY: Final = 40
"""Marks that the mean is taken of."""
LEAST: Final = 10
"""Marks that are needed to begin."""
SIGNAL: Final = 0.0002
"""The least distance from the mean that counts, as a fraction of the mean."""


class Reversion(Strategy):
    """Sells above the mean of the last marks and buys below it; leaves a position when the price is at the mean."""

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self.marks: deque[float] = deque(maxlen=MEMORY)

    async def decide(self) -> None:
        self.marks.append(self.market.mark)
        if len(self.marks) < LEAST:
            return
        distance = self.marks[-1] / fmean(self.marks) - 1
        back = [one for one in self.positions if distance >= 0 and one.side == "long"]
        back += [one for one in self.positions if distance <= 0 and one.side == "short"]
        if back:
            await self.leave(back[0])
        elif abs(distance) > SIGNAL and not self.is_full:
            await self.enter("short" if distance > 0 else "long")
