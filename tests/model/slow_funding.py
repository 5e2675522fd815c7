"""Funding in exact fractions: the rate as a clamped line, the index as the area under it. Beside ``slow_model``.

Rounded at two documented places only: the slope is truncated to 10⁻¹⁸ per day and millisecond, and where the line meets
the cap twice the area is rounded to whole units of that, away from where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
RATE = 10**18
PPB = 10**9


@dataclass
class SlowFunding:
    """One market's rate and index."""

    velocity: Fraction
    """Per day and day, at ``max_skew``."""
    cap: Fraction
    """Per day."""
    max_skew: Fraction
    """Lots."""
    max_price_age: int | None = None
    """Milliseconds."""
    at: int = 0
    """Up to when it counts."""
    price_at: int = 0
    is_halted: bool = False
    rate: Fraction = Fraction(0)
    """Per day; > 0: longs pay."""
    owed: Fraction = Fraction(0)
    """What one lot has paid since the listing, micros."""

    @property
    def index(self) -> int:
        """10⁻⁹ micros per lot, rounded down."""
        return floor(self.owed * PPB)

    def observed(self, at: int, *, skew: int, lot_worth: Fraction, is_held: bool, in_doubt: bool = False) -> None:
        """The venue looks at the market: ``lot_worth`` is what a lot is worth at the index price, micros.

        ``in_doubt``: nobody could act, because a price waited to be confirmed.
        """
        if at <= self.at:
            return
        if is_held:
            self._pass(0 if in_doubt else self._end(at) - self.at, skew, lot_worth)
        else:
            step = Fraction(floor(self.velocity / DAY_MS * RATE), RATE) * (at - self.at)
            self.rate = max(self.rate - step, Fraction(0)) if self.rate > 0 else min(self.rate + step, Fraction(0))
        self.at = at

    def _end(self, at: int) -> int:
        """Time in which nobody could act does not count, and of unseen time no more than an hour does."""
        if self.is_halted:
            return self.at
        ends = [at, self.at + HOUR_MS]
        if self.max_price_age is not None:
            ends.append(self.price_at + self.max_price_age)
        return max(min(ends), self.at)

    def _pass(self, elapsed: int, skew: int, lot_worth: Fraction) -> None:
        steep = floor(self.velocity * abs(skew) / self.max_skew / DAY_MS * RATE)
        slope = Fraction(steep if skew > 0 else -steep, RATE)
        begun = max(-self.cap, min(self.cap, self.rate))
        target = self.cap if slope > 0 else -self.cap
        meets = min(Fraction(elapsed), (target - begun) / slope) if slope else Fraction(elapsed)
        ended = begun + slope * meets
        doubled = (begun + ended) * meets + 2 * ended * (elapsed - meets)
        whole = (ceil if slope > 0 else floor)(doubled * RATE)
        self.owed += lot_worth * Fraction(whole, 2 * DAY_MS * RATE)
        self.rate = ended
