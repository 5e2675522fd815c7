"""A liquidation in part, in the slow model: what it leaves, and how much it closes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

from tests.model.slow_model import SlowVenue


def leaves_sound(venue: SlowVenue, name: str, count: int) -> bool:
    """Whether a liquidation of so many lots, but not of all, leaves a position as sound as it should be."""
    position = venue.positions[name]
    market, size = venue.markets[position.ticker], abs(position.lots)
    rules = market.rules
    worth = market.mark * rules.lot_value
    if not 0 < count < size or (size - count) * worth < rules.min_order_size:
        return False
    closed, cash, settlement, cost = _closing(venue, name, count)
    kept = settlement - min(ceil(abs(cost) * rules.liquidation_fee), settlement)
    rest = position.lots - closed
    value = rest * replace(market, skew=market.skew - closed).mark * rules.lot_value
    equity = position.cash - cash + kept + value - market.owed(rest)
    parts = rules.skew_scale if rules.mark_is_quote and rules.mark_is_exact else Fraction(1)
    needed = (abs(value) * rules.rate(rest) + rules.maintenance_fixed) * (1 + rules.buffer)
    return settlement >= 0 and equity > ceil(needed * parts) / parts


def part_of(venue: SlowVenue, name: str) -> int | None:
    """How many lots a liquidation closes: the least that leave a sound rest, tried one by one; None: all."""
    position = venue.positions[name]
    market = venue.markets[position.ticker]
    rules, worth = market.rules, abs(position.lots) * market.mark * market.rules.lot_value
    if rules.parts_from is None or worth < rules.parts_from:
        return None
    return next((count for count in range(1, abs(position.lots)) if leaves_sound(venue, name, count)), None)


def is_least_part(venue: SlowVenue, name: str, count: int) -> bool:
    """Whether a liquidation closes ``count`` lots: as ``part_of``, where the counts that do are known to be the
    last ones; for positions that are too large to try each. All, too, if the house cannot pay what the part gains.
    """
    position = venue.positions[name]
    market, size = venue.markets[position.ticker], abs(position.lots)
    rules, worth = market.rules, market.mark * market.rules.lot_value
    most = size - max(ceil(rules.min_order_size / worth), 1)
    if rules.parts_from is None or size * worth < rules.parts_from or not leaves_sound(venue, name, most):
        return count == size
    if count == size:
        return not _can_be_paid(venue, name, part_of(venue, name) or size)
    return leaves_sound(venue, name, count) and not leaves_sound(venue, name, count - 1)


def _can_be_paid(venue: SlowVenue, name: str, count: int) -> bool:
    position = venue.positions[name]
    market = venue.markets[position.ticker]
    _, __, settlement, ___ = _closing(venue, name, count)
    gain = settlement - floor(position.margin * Fraction(count, abs(position.lots)))
    return gain <= 0 or market.house - gain >= -market.rules.house_credit


def _closing(venue: SlowVenue, name: str, count: int) -> tuple[int, int, int, int]:
    """Signed lots that are closed, their share of the cash, what they bring, and what buying or selling them costs."""
    position = venue.positions[name]
    market = venue.markets[position.ticker]
    closed = count if position.lots > 0 else -count
    cash, cost = floor(position.cash * Fraction(count, abs(position.lots))), market.cost(-closed)
    return closed, cash, cash - market.owed(closed) - cost, cost
