"""Trend with stops: few entries, and never without a way out that the venue itself takes."""

from __future__ import annotations

from collections import deque
from typing import Final

from perps.agents import Seat, Strategy

CHANNEL: Final = 30
"""Marks whose highest and lowest a breakout must pass."""
STOP: Final = 0.01
"""Distance of the stop-loss from the mark price."""
TRAIL: Final = 0.002
"""The least by which a stop is moved, as a fraction of the price."""


class Trend(Strategy):
    """Enters when the mark leaves the channel of the last marks. Its stop-loss follows the price, never back."""

    positions_max = 1

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self.marks: deque[float] = deque(maxlen=CHANNEL)

    async def decide(self) -> None:
        mark = self.market.mark
        if self.positions:
            position = self.positions[0]
            sign = 1 if position.side == "long" else -1
            stop, wanted = float(position.stop_loss or 0), mark * (1 - sign * STOP)
            if not stop or sign * (wanted - stop) > mark * TRAIL:
                await self.venue.set_triggers(position.id, stop_loss=self.price(wanted))
        elif not self.is_full and len(self.marks) == CHANNEL and not min(self.marks) <= mark <= max(self.marks):
            sign = 1 if mark > max(self.marks) else -1
            await self.enter("long" if sign > 0 else "short", stop_loss=self.price(mark * (1 - sign * STOP)))
        self.marks.append(mark)
