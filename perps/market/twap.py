"""How far a TWAP order has come: what it is to take in slices, one an interval, and what it has taken."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from perps.units import Lots, Micros, Millis

COMPLETED: Final = "completed"
"""Why an order ended: the time of its last slice has come, and that slice took nothing."""


class Twap(Struct, frozen=True, array_like=True, gc=False):
    """The slices of an order. What they have not taken yet is the order's own ``size``."""

    slices: int
    interval: Millis
    """From the time of one slice to the time of the next one."""
    size: Micros
    """The most notional that all slices take together."""
    next_at: Millis
    """When the next slice is due; of an order that has ended, when one more would have been."""
    done: int = 0
    """Slices whose turn has come: made or skipped."""
    skipped: int = 0
    """Those of them that took nothing."""
    reason: str | None = None
    """The code that the last skipped slice was refused with."""
    lots: Lots = Lots(0)
    """What the slices have taken (unsigned) …"""
    cost: Micros = Micros(0)
    """… and the notional of that, Σ|C|."""

    @property
    def is_over(self) -> bool:
        """Whether no slice is left."""
        return self.done >= self.slices

    def made(self, at: Millis, lots: int, cost: int) -> Twap:
        """A slice has taken ``lots`` for ``cost``, both unsigned."""
        after = replace(self, lots=Lots(self.lots + lots), cost=Micros(self.cost + cost))
        return after._turned(at)

    def passed_over(self, at: Millis, reason: str) -> Twap:
        """A slice was refused: what it would have taken goes to those behind it."""
        return replace(self, skipped=self.skipped + 1, reason=reason)._turned(at)

    def _turned(self, at: Millis) -> Twap:
        """The next slice comes an interval after this one was due, and at least half an interval after it was made.

        So slices never catch up: one that is an interval late makes those behind it later.
        """
        regular = self.next_at + self.interval
        late = at + self.interval
        due = regular if at < regular else late
        return replace(self, done=self.done + 1, next_at=Millis(max(due, at + self.interval // 2)))
