"""News reader: a price with a reason is a story, and a story says which way."""

from __future__ import annotations

import re
from typing import Final

from perps.agents import Event, Seat, Strategy

GOOD: Final = frozenset(("buys", "gains", "growth", "home", "lands", "orders", "profit", "record", "rises", "wins"))
BAD: Final = frozenset(("bankrupt", "crash", "cuts", "delay", "fails", "fraud", "loss", "off", "rival", "sells"))
HOLD: Final = 15
"""Decisions for which a story counts."""


class News(Strategy):
    """Buys after good news and sells after bad, before the others have read it; leaves when the story is old."""

    positions_max = 2

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self.story, self.age = 0, 0
        """Above 0: good; below 0: bad."""

    def see(self, event: Event) -> None:
        if event.name == "price" and event.data.get("reason"):
            words = set(re.findall(r"[a-z]+", event.data["reason"].lower()))
            self.story, self.age = len(words & GOOD) - len(words & BAD), 0
            self.now()

    async def decide(self) -> None:
        self.age += 1
        side = "long" if self.story > 0 else "short"
        wrong = [one for one in self.positions if one.side != side or self.age > HOLD]
        if wrong:
            await self.leave(wrong[0])
        elif self.story and self.age == 1 and not self.is_full:
            await self.enter(side, float(abs(self.story)))
