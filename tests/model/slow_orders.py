"""Resting orders in exact fractions: what each keeps, and whether it may be filled. Written from the formulas alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil


@dataclass(frozen=True)
class SlowOrder:
    """An order that rests. Prices in quote currency, money in micros."""

    user: str
    ticker: str
    is_limit: bool
    is_long: bool
    price: Fraction
    size: int
    leverage: int
    taker_fee: Fraction
    expires_at: int | None = None
    position: str | None = None
    """Of an exit: what it leaves, …"""
    share: Fraction = Fraction(0)
    """… how much of that, …"""
    is_profit: bool = False
    """… and whether with a profit."""

    @property
    def reserve(self) -> int:
        """Margin and fee of the whole size, each rounded up. An exit keeps nothing."""
        if self.position is not None:
            return 0
        return ceil(Fraction(self.size, self.leverage)) + ceil(self.size * self.taker_fee)

    def is_reached(self, mark: Fraction) -> bool:
        """Of a stop or an exit: whether the mark has come to its price."""
        rises = self.is_long if self.position is None else self.is_long is self.is_profit
        return mark >= self.price if rises else mark <= self.price

    def is_within(self, cost: int, lots: int, lot_value: Fraction) -> bool:
        """Of a limit: whether a fill of ``lots`` for ``cost`` pays its price on average, or better."""
        average = abs(cost) / (abs(lots) * lot_value)
        return average <= self.price if self.is_long else average >= self.price


@dataclass
class SlowOrders:
    """All resting orders, by their ids."""

    by_name: dict[str, SlowOrder] = field(default_factory=dict)

    def reserved(self, ticker: str) -> int:
        """What a market's account of orders holds."""
        return sum(order.reserve for order in self.by_name.values() if order.ticker == ticker)

    def exits_of(self, position: str) -> list[SlowOrder]:
        """The orders that leave a position."""
        return [order for order in self.by_name.values() if order.position == position]

    def of(self, user: str, ticker: str) -> int:
        """How many orders of a user rest in a market."""
        return sum((order.user, order.ticker) == (user, ticker) for order in self.by_name.values())
