"""Momentum: what moved goes on moving."""

from __future__ import annotations

from collections import deque
from typing import Final

from perps.agents import Seat, Strategy

LOOKBACK: Final = 10
"""Decisions that a move is measured over."""
SIGNAL: Final = 0.0002
"""The least move that counts, as a fraction of the price."""


class Momentum(Strategy):
    """Follows the last move of the mark price, and leaves what stands against it."""

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self.marks: deque[float] = deque(maxlen=LOOKBACK + 1)

    async def decide(self) -> None:
        self.marks.append(self.market.mark)
        if len(self.marks) <= LOOKBACK:
            return
        move = self.marks[-1] / self.marks[0] - 1
        if abs(move) < SIGNAL:
            return
        side = "long" if move > 0 else "short"
        against = [position for position in self.positions if position.side != side]
        if against:
            await self.leave(against[0])
        elif not self.is_full:
            await self.enter(side)
