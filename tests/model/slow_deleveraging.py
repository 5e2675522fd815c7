"""Who must leave before a house owes more than it has, in fractions, and whether a row kept to it."""

from __future__ import annotations

from fractions import Fraction

from tests.model.slow_model import SlowVenue

BEGINS, ENDS = Fraction(85, 100), Fraction(77, 100)
ROUNDING = 2
"""Micros by which what a position has gained may be off."""


class Leaving:
    """A deleveraging under way: ranks are those of its beginning."""

    def __init__(self, venue: SlowVenue, ticker: str) -> None:
        self._venue, self._ticker = venue, ticker
        self._market = venue.markets[ticker]
        self._sign = (self._market.skew > 0) - (self._market.skew < 0)
        self._ranks = {name: self._rank(name) for name in self._standing()}
        self._least: Fraction | None = None

    def is_due(self) -> bool:
        """Whether it must begin: R ≥ 0.85·H beyond any rounding, and somebody can leave."""
        return self._can_pay > 0 and self._liability - self._doubt >= BEGINS * self._can_pay and bool(self._leavers())

    def may_begin(self) -> bool:
        """Whether it may: R ≥ 0.85·H but for roundings."""
        return self._can_pay > 0 and self._liability + self._doubt >= BEGINS * self._can_pay

    def may_go_on(self) -> bool:
        """Whether somebody may leave: R > 0.77·H but for roundings."""
        return self._can_pay > 0 and self._liability + self._doubt > ENDS * self._can_pay

    def may_end(self) -> bool:
        """Whether it may be over: R ≤ 0.77·H but for roundings, or nobody is left who can leave."""
        return self._can_pay <= 0 or self._liability - self._doubt <= ENDS * self._can_pay or not self._leavers()

    def is_in_turn(self, name: str) -> bool:
        """Whether a position may leave now: nobody of a lower rank has left before it. Notes that it does."""
        low, high = self._ranks.get(name, (Fraction(0), Fraction(0)))
        in_turn = high > 0 and (self._least is None or low <= self._least)
        self._least = high if self._least is None else min(self._least, high)
        return in_turn

    @property
    def _can_pay(self) -> int:
        return self._market.house + self._market.rules.house_credit

    @property
    def _liability(self) -> Fraction:
        return self._venue.liability(self._ticker)

    @property
    def _doubt(self) -> int:
        return ROUNDING * (len(self._venue.positions) + 1)

    def _standing(self) -> list[str]:
        positions = self._venue.positions.items()
        return [name for name, each in positions if each.ticker == self._ticker and each.lots * self._sign > 0]

    def _rank(self, name: str) -> tuple[Fraction, Fraction]:
        """pnl·notional/(margin·equity) at the mark: at least and at most so much."""
        position, market = self._venue.positions[name], self._market
        value = position.lots * market.mark * market.rules.lot_value
        pnl = position.cash + value - market.owed(position.lots) - position.margin
        bounds = []
        for off in (-ROUNDING, ROUNDING):
            worth = pnl + off + position.margin
            size = max(abs(value) + off, Fraction(0))
            is_winner = pnl + off > 0 and position.margin > 0 and worth > 0
            bounds.append((pnl + off) * size / (position.margin * worth) if is_winner else Fraction(0))
        return min(bounds), max(bounds)

    def _leavers(self) -> list[str]:
        """Who is there, was a winner at the beginning, gains by leaving now, can be paid, and is not liquidated.

        Nobody comes back who was passed over, because the house could not pay the whole of it then.
        """
        venue = self._venue
        return [
            name
            for name in self._standing()
            if self._ranks.get(name, (0, 0))[0] > 0
            and (self._least is None or self._ranks[name][0] <= self._least)
            and venue.gain(name) > ROUNDING
            and venue.gain(name) <= self._can_pay - self._doubt
            and not venue.is_liquidatable(name)
        ]
