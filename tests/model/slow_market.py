"""One market of the slow model: its prices, what lots cost in it, and the positions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from tests.model.slow_band import SlowBand
from tests.model.slow_funding import PPB, SlowFunding
from tests.model.slow_rules import Rules


@dataclass
class SlowPosition:
    """Two numbers that matter, and the margin posted."""

    user: str
    ticker: str
    lots: int
    cash: int
    """Margin paid in, less what the lots cost; as if the funding index had been 0."""
    margin: int
    exits_at: int = 0
    """When the exits were set, where they wait for a younger price; 0: they do not."""
    take_profit: Fraction | None = None
    stop_loss: Fraction | None = None


@dataclass
class SlowMarket:
    """A price and a skew."""

    rules: Rules
    index_price: Fraction
    skew: int = 0
    house: int = 0
    insurance: int = 0
    index: int = 0
    """The funding index: 10⁻⁹ micros per lot."""
    price_at: int = 0
    is_halted: bool = False
    settles_at: Fraction = Fraction(0)
    """Quote currency per base unit."""
    funding: SlowFunding | None = None
    band: SlowBand | None = None
    true_since: int = 0
    """Everybody can have known the price only from then on: it decides what was ordered before."""

    def becomes_known(self, *, by_feed: bool, said_at: int, now: int) -> None:
        """A price is there: a feed's is as old as it says, and its clock may be off; the venue's own is of now."""
        self.true_since = min(said_at, now) - self.rules.clock_skew if by_feed else now

    def decides(self, placed_at: int) -> bool:
        """Whether the present price may decide what was ordered then."""
        return not self.rules.waits_for_price or placed_at < self.true_since

    def owed(self, lots: int) -> int:
        """What lots owe at the funding index, counted from 0: rounded up, against the trader."""
        return ceil(Fraction(lots * self.index, PPB))

    def quote(self, skew: int | Fraction) -> Fraction:
        """Price of the next small trade at a skew: S·(1 + K/Ks), exact."""
        return self.index_price * (1 + Fraction(skew) / self.rules.skew_scale)

    def cost(self, lots: int) -> int:
        """C: lots at the mean of the quote before and after. Rounded up, against the trader."""
        mean = (self.quote(self.skew) + self.quote(self.skew + lots)) / 2
        return ceil(lots * mean * self.rules.lot_value)

    def fee(self, lots: int) -> int:
        """Lots that make the skew smaller pay the maker's rate, the others the taker's; all have the mean price."""
        taker, maker = self.rules.taker_fee, self.rules.maker_fee
        nearer = min(abs(lots), abs(self.skew)) if self.skew * lots < 0 else 0
        mean = (nearer * (taker if maker is None else maker) + (abs(lots) - nearer) * taker) / abs(lots)
        return ceil(abs(self.cost(lots)) * mean)

    def settlement_cost(self, lots: int) -> int:
        """Lots at the price of the settlement. Rounded up, against the trader."""
        return ceil(lots * self.settles_at * self.rules.lot_value)

    @property
    def mark(self) -> Fraction:
        """The index, or the quote; exact, or rounded down to a whole tick, at least one."""
        if not self.rules.mark_is_quote:
            return self.index_price
        return self.quote(self.skew) if self.rules.mark_is_exact else self.shown_mark

    @property
    def shown_mark(self) -> Fraction:
        """The mark as it is shown: on a tick, rounded down, at least one."""
        if not self.rules.mark_is_quote:
            return self.index_price
        tick = self.rules.tick_size
        return max(floor(self.quote(self.skew) / tick), 1) * tick

    def changed(self, change: Fraction) -> Fraction:
        """The index price ·(1 + c), or ÷(1 + |c|) down; to the nearest tick, half up; a tick at least for c ≠ 0."""
        tick, now = self.rules.tick_size, self.index_price
        moved = now * (1 + change) if change >= 0 else now / (1 - change)
        nearest = floor(moved / tick + Fraction(1, 2)) * tick
        if not change:
            return now
        return max(nearest, now + tick) if change > 0 else min(nearest, now - tick)
