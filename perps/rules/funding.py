"""Funding: what the crowded side pays the house while the skew lasts, exact however often it is looked at.

The daily rate r moves by the velocity V, in proportion to the skew: dr/dt = V·K/K_max, within ±r_max. The funding index F
is ∫ S·u·r dt, so a position's (lots, cash) needs no upkeep. Everything is an integer: rates are 10⁻¹⁸ of the notional per
day, and what is left of a division is carried, so that F is the floor of the exact sum over any cutting of the time.
Source: velocity funding as in Synthetix v2 (SIP-279), unclamped in the skew: a clamp would pay whoever passes it.
"""

from typing import Final

from perps.effects import Accrued, Effects
from perps.events import FundingAccrued, MarketEvent
from perps.market.state import Market
from perps.params import Mode
from perps.rules.rule import EventRule, Given
from perps.units import PPB, FundingIndex, Millis, div_floor

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
CARRY: Final = 2 * DAY_MS * PPB
"""What ``funding_carry`` is a remainder of: twice the rate, per millisecond instead of per day, in 10⁻⁹ of a micro."""

ROW_AFTER_MS: Final = 600_000
"""A market in which nothing else happens notes its funding this often."""


def accrue(market: Market, given: Given) -> tuple[FundingAccrued, ...]:
    """What time has done to a market's funding since it was looked at last: nothing, or one or two events.

    The first one ends at a full hour: the history's. Time in which nobody could act does not count: while the market is
    halted, while its price is too old, and what goes beyond an hour (the venue was down). While nobody holds a position
    F does not move, and the rate goes to 0 at full velocity.
    """
    since, at, params = market.funding_at, given.at, market.params
    if at <= since or not (params.funding_velocity or market.funding_rate):
        return ()
    if not (market.long_lots or market.short_lots):
        return (_forgotten(market, at),)
    end = since if market.mode is Mode.HALTED else min(at, since + HOUR_MS)
    if params.max_price_age is not None:
        fresh_until = since if market.price_at == given.doubtful_price_at else market.price_at + params.max_price_age
        end = max(since, min(end, fresh_until))
    index, rate, carry = market.funding_index, market.funding_rate, market.funding_carry
    slope, cap = slope_of(market), params.max_funding_rate * PPB
    worth, price = market.index_price * market.unit, market.index_price
    events = []
    hour = since - since % HOUR_MS + HOUR_MS
    if hour <= end:
        index, rate, carry = _moved(index, rate, carry, slope, cap, worth, hour - since)
        events.append(FundingAccrued(index, rate, carry, Millis(hour), price))
        since = Millis(hour)
    if at > since:
        index, rate, carry = _moved(index, rate, carry, slope, cap, worth, end - since)
        events.append(FundingAccrued(index, rate, carry, at, price))
    return tuple(events)


def is_worth_a_row(accrued: tuple[MarketEvent, ...], market: Market) -> bool:
    """Whether funding alone is noted now: each full hour, and often enough that no time is lost when the venue stops."""
    if len(accrued) > 1 or (accrued and not market.funding_at % HOUR_MS):
        return True
    held = market.long_lots or market.short_lots
    return bool(accrued and held) and market.funding_at - market.at >= ROW_AFTER_MS


def slope_of(market: Market) -> int:
    """dr/dt: how far the rate moves in a millisecond, 10⁻¹⁸ per day; towards 0 rounded."""
    params, skew = market.params, market.long_lots - market.short_lots
    steep = div_floor(params.funding_velocity * PPB * abs(skew), params.max_skew * DAY_MS)
    return steep if skew > 0 else -steep


def twice(rate: int, slope: int, cap: int, elapsed_ms: int) -> tuple[int, int]:
    """2·∫ r dt over ``elapsed_ms``, and the rate at its end: r moves by ``slope`` and stays within ±``cap``.

    The square's division is rounded down; it leaves the same remainder wherever the time is cut.
    """
    if slope < 0:
        doubled, rate = twice(-rate, -slope, cap, elapsed_ms)
        return -doubled, -rate
    rate = max(rate, -cap)
    if slope == 0 or rate >= cap:
        rate = min(rate, cap)
        return 2 * rate * elapsed_ms, rate
    reached = rate + slope * elapsed_ms
    if reached <= cap:
        return (rate + reached) * elapsed_ms, reached
    return 2 * cap * elapsed_ms - div_floor((cap - rate) ** 2, slope), cap


def apply_accrued(market: Market, event: FundingAccrued) -> None:
    """Index, rate, remainder, and up to when they count."""
    market.funding_index, market.funding_rate = event.index, event.rate
    market.funding_carry, market.funding_at = event.carry, event.at


def project_accrued(event: FundingAccrued) -> Effects:
    """Funding up to a moment."""
    return (Accrued(event.index, event.rate, event.at, event.index_price),)


EVENTS = (EventRule(FundingAccrued, apply_accrued, project_accrued),)
COMMANDS = ()


def _moved(
    index: FundingIndex, rate: int, carry: int, slope: int, cap: int, worth: int, elapsed_ms: int
) -> tuple[FundingIndex, int, int]:
    doubled, rate = twice(rate, slope, cap, elapsed_ms)
    gained, carry = divmod(worth * doubled + carry, CARRY)
    return FundingIndex(index + gained), rate, carry


def _forgotten(market: Market, at: Millis) -> FundingAccrued:
    params, rate = market.params, market.funding_rate
    lost = div_floor(params.funding_velocity * PPB, DAY_MS) * (at - market.funding_at)
    left = max(abs(rate) - lost, 0) if params.funding_velocity else 0
    return FundingAccrued(
        market.funding_index, left if rate > 0 else -left, market.funding_carry, at, market.index_price
    )
