"""A TWAP in exact fractions: when its next slice is due, how much that takes, and what is kept for the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

from tests.model.slow_market import SlowMarket
from tests.model.slow_model import SlowVenue
from tests.model.slow_orders import SlowOrder


@dataclass(frozen=True)
class SlowTwap(SlowOrder):
    """``size`` is what the slices have not taken yet."""

    slices_left: int = 0
    interval: int = 0
    due_at: int = 0
    kept: int = 0

    @property
    def reserve(self) -> int:
        """What is kept for the slices that are left."""
        return self.kept

    @staticmethod
    def begun(order: SlowOrder, slices: int, interval: int) -> SlowTwap:
        """The first slice is due at once. Each slice rounds its margin and its fee up by itself."""
        kept = ceil(Fraction(order.size, order.leverage)) + ceil(order.size * order.taker_fee) + 2 * slices
        return SlowTwap(**vars(order), slices_left=slices, interval=interval, due_at=order.placed_at, kept=kept)

    @property
    def asked(self) -> int:
        """What the next slice takes at most."""
        return floor(Fraction(self.size, self.slices_left))

    def takes(self, market: SlowMarket, lots: int) -> bool:
        """Whether a slice of so many lots (signed) is all that its money buys, and no more."""
        more = lots + (1 if lots > 0 else -1)
        return abs(market.cost(lots)) <= self.asked < abs(market.cost(more))

    def is_over(self, now: int) -> bool:
        """Whether its own time is over."""
        return self.expires_at is not None and self.expires_at <= now

    def may_come(self, market: SlowMarket, now: int) -> bool:
        """Whether its time has come, and the present price may decide it."""
        return now >= self.due_at and market.decides(self.due_at)

    def after(self, now: int, *, taken: int = 0, paid: int = 0) -> SlowTwap | None:
        """Behind a slice that took ``taken`` for ``paid``, margin and fee; None: it was the last one.

        The next one is due an interval after this one was, or, if this one is as late as that, after now; and half an
        interval after now at least.
        """
        if self.slices_left == 1:
            return None
        due_at = (self.due_at if now < self.due_at + self.interval else now) + self.interval
        return replace(
            self,
            slices_left=self.slices_left - 1,
            size=self.size - taken,
            kept=self.kept - paid,
            due_at=max(due_at, now + self.interval // 2),
        )


def sliced(model: SlowVenue, name: str, position: str, lots: int, now: int) -> str | None:
    """A slice has been filled: what is wrong with that; None: nothing. The model is then as it is behind the slice."""
    wrong, made = slice_flaw(model, name, position, lots, now), model.orders.by_name[name]
    assert isinstance(made, SlowTwap)
    before, cost = begin_slice(model, name), abs(model.markets[made.ticker].cost(lots))
    if made.position is None:
        model.opened(made.user, made.ticker, position, lots, made.leverage)
    else:
        model.increased(position, lots, made.leverage)
    end_slice(model, name, made.after(now, taken=cost, paid=before - model.wallets[made.user]), position)
    return wrong


def begin_slice(model: SlowVenue, name: str) -> int:
    """What is kept goes to the wallet, which pays the slice: what that holds then."""
    return model.wallets[model.ended(name).user]


def end_slice(model: SlowVenue, name: str, behind: SlowTwap | None, position: str) -> None:
    """The wallet keeps what is left for the slices to come; None: there are none."""
    if behind is not None:
        model.rested(name, replace(behind, position=position))


def slice_flaw(model: SlowVenue, name: str, position: str, lots: int, now: int) -> str | None:
    """What is wrong with a slice of so many lots (signed); None: nothing."""
    made = model.orders.by_name[name]
    if not isinstance(made, SlowTwap):
        return f"{name} has no slices"
    market, is_new = model.markets[made.ticker], made.position is None
    wrong = None
    if not made.may_come(market, now):
        wrong = f"a slice of {name} comes at {now}, and is due at {made.due_at}"
    elif not made.takes(market, lots):
        wrong = f"a slice of {name} takes {lots} lots for {made.asked}"
    elif not is_new and made.position != position:
        wrong = f"a slice of {name} goes to {position}, not to {made.position}"
    elif made.is_long is not (lots > 0):
        wrong = f"a slice of {name} is on the other side: {lots} lots"
    return wrong


def skipped(model: SlowVenue, name: str, now: int) -> str | None:
    """A slice has been skipped, and others are left: what is wrong with that; None: nothing."""
    made = model.orders.by_name[name]
    behind = made.after(now) if isinstance(made, SlowTwap) else None
    if not isinstance(made, SlowTwap) or behind is None:
        return f"{name} has no slices left behind this one"
    model.orders.by_name[name] = behind
    return None if made.may_come(model.markets[made.ticker], now) else f"{name} skips a slice before {made.due_at}"
