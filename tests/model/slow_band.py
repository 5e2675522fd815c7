"""Which prices are believed at once, in exact fractions. Beside ``slow_model``."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

HOLD_MS = 30_000


@dataclass
class SlowBand:
    """One market's band: what waits, and who has said it when."""

    band: Fraction
    needed: int
    source: str = ""
    said: list[tuple[Fraction, int]] = field(default_factory=list)
    """The prices that counted, and how old each was."""
    until: int = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a price is held."""
        return bool(self.said)

    def takes(self, price: Fraction, index: Fraction, source: str, at: int, now: int) -> bool:
        """A price of age ``at`` comes at ``now``: whether it is taken; if not, it is held."""
        if abs(price / index - 1) <= self.band:
            self.said = []
            return True
        if self.said and abs(price / self.said[-1][0] - 1) <= self.band:
            if source != self.source or at <= self.said[-1][1]:
                return False
        else:
            self.said, self.source = [], source
        self.said.append((price, at))
        self.until = now + HOLD_MS
        if len(self.said) >= self.needed:
            self.said = []
            return True
        return False
