"""Resting orders in exact fractions: what each keeps, and whether it may be filled. Written from the formulas alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    placed_at: int = 0
    has_trigger: bool = True
    """It waits for a mark."""
    waits_for_next: bool = False
    """It waits for the next price, whatever that is."""
    reduces: bool = False
    """It takes from a position, and keeps no money …"""
    position: str | None = None
    """… namely from this one."""
    share: Fraction = Fraction(0)
    """Of an exit: how much of that it closes, …"""
    is_profit: bool = False
    """… and whether with a profit."""
    callback: Fraction | None = None
    """Of a trailing stop: how far the mark comes back from the best before it leaves …"""
    best: Fraction = Fraction(0)
    """… which is this."""

    @property
    def exit_reason(self) -> str:
        """What a position leaves by, if it is by this."""
        return "take_profit" if self.is_profit else "stop_loss" if self.callback is None else "trailing_stop"

    @property
    def is_exit(self) -> bool:
        """It leaves a position when the mark has come to its price."""
        return self.reduces and self.has_trigger

    @property
    def reserve(self) -> int:
        """Margin and fee of the whole size, each rounded up."""
        if self.reduces:
            return 0
        return ceil(Fraction(self.size, self.leverage)) + ceil(self.size * self.taker_fee)

    def is_reached(self, mark: Fraction) -> bool:
        """Whether the mark has come to the price of a stop or an exit; whatever is neither has none to wait for."""
        if not self.has_trigger:
            return True
        if self.callback is not None:
            back = self.best - mark if self.is_long else mark - self.best
            return back >= self.best * self.callback
        rises = self.is_long is self.is_profit if self.is_exit else self.is_long
        return mark >= self.price if rises else mark <= self.price

    def is_within(self, cost: int, lots: int, lot_value: Fraction) -> bool:
        """Of a limit: whether a fill of ``lots`` for ``cost`` pays its price on average, or better."""
        average = abs(cost) / (abs(lots) * lot_value)
        return average <= self.price if self.is_long else average >= self.price


@dataclass
class SlowOrders:
    """All resting orders, by their ids."""

    by_name: dict[str, SlowOrder] = field(default_factory=dict)
    timers: dict[tuple[str, str], int | None] = field(default_factory=dict)
    """By user and market: when all end by themselves."""

    def reserved(self, ticker: str) -> int:
        """What a market's account of orders holds."""
        return sum(order.reserve for order in self.by_name.values() if order.ticker == ticker)

    def follow(self, ticker: str, mark: Fraction) -> None:
        """The mark of a market is this: every trailing stop has seen it."""
        for name, order in self.by_name.items():
            if order.ticker == ticker and order.callback is not None:
                best = max(order.best, mark) if order.is_long else min(order.best, mark)
                self.by_name[name] = replace(order, best=best)

    def exits_of(self, position: str) -> list[SlowOrder]:
        """A position's exits."""
        return [order for order in self.by_name.values() if order.is_exit and order.position == position]

    def of(self, user: str, ticker: str) -> int:
        """How many orders of a user rest in a market."""
        return sum((order.user, order.ticker) == (user, ticker) for order in self.by_name.values())

    def timer_set(self, user: str, ticker: str, at: int | None) -> int | None:
        """A user's orders in a market end then: what was said before."""
        before, self.timers[user, ticker] = self.timers.get((user, ticker)), at
        return before

    def first_in(self, ticker: str) -> str | None:
        """The oldest order of a market that waits for the next price, whatever that is; None: there is none."""
        waiting = (name for name, order in self.by_name.items() if order.ticker == ticker and order.waits_for_next)
        return min(waiting, key=lambda name: int(name.rpartition("-o")[2]), default=None)
