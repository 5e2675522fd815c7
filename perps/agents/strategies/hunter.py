"""Liquidation hunter: others are forced to trade, and it stands on the other side."""

from __future__ import annotations

from typing import Final

from perps.agents import Event, Seat, Strategy

HOLD: Final = 20
"""Decisions after which it leaves, whatever the price did."""


class Hunter(Strategy):
    """A liquidated long is sold at any price, so it buys; a liquidated short is bought, so it sells. It leaves soon."""

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self.prey: str | None = None
        """The side of the last liquidation that it has not acted on."""
        self.age: dict[str, int] = {}

    def see(self, event: Event) -> None:
        if event.name == "liquidation" and event.data.get("userId") is None:
            self.prey = event.data["side"]
            self.now()

    async def decide(self) -> None:
        side, self.prey = self.prey, None
        if side is not None and not self.is_full:
            await self.enter(side)
            return
        self.age = {one.id: self.age.get(one.id, 0) + 1 for one in self.positions}
        old = [one for one in self.positions if self.age[one.id] >= HOLD]
        if old:
            await self.leave(old[0])
