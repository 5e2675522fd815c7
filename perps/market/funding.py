"""The formula of funding: how the rate follows the skew, and the index the rate. Pure integers, exact.

The daily rate r moves by dr/dt = V·K/K_max and stays within ±r_max. The index F is ∫ S·u·r dt, so a position's (lots,
cash) needs no upkeep. Rates are 10⁻¹⁸ of the notional per day. What is left of a division is carried, so that F is the
floor of the exact sum, however the time is cut.
Source: velocity funding as in Synthetix v2 (SIP-279), but linear in the skew: a skew that is clamped would pay whoever
builds it up slowly and collects beyond the clamp.
"""

from typing import Final

from perps.params import MarketParams
from perps.units import PPB, Lots, Ppb, div_floor

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

CARRY: Final = 2 * DAY_MS * PPB
"""What ``carry`` is a remainder of: twice the rate, per millisecond instead of per day, in 10⁻⁹ of a micro."""

RATE: Final = 10**18
"""A rate is a count of this part of the notional, per day."""

FUNDING_DAYS: Final = 3_650
"""Days for which the funding index has room at the highest rate."""

INDEX_MAX: Final = 2**62
"""No index goes further than this, either way; nor q·F/10⁹ of a whole side, in micros."""

_SIDE_MAX: Final = INDEX_MAX * PPB

Funding = tuple[int, int, int]
"""Index F (micros per lot × 10⁹), rate r (10⁻¹⁸ per day; > 0: longs pay), carry (0 ≤ carry < ``CARRY``)."""


def advanced(
    funding: Funding, params: MarketParams, skew: int, index_price: int, unit: int, elapsed_ms: int
) -> Funding:
    """Funding ``elapsed_ms`` later, while skew, price and parameters stay what they are.

    F' = F + floor((S·u·twice + carry) / ``CARRY``). An index that would pass its bound stays there, with a carry of 0.
    """
    index, rate, carry = funding
    slope = slope_of(params.funding_velocity, skew, params.max_skew)
    doubled, rate = twice(rate, slope, params.max_funding_rate * PPB, elapsed_ms)
    gained, carry = divmod(index_price * unit * doubled + carry, CARRY)
    index += gained
    if -INDEX_MAX <= index <= INDEX_MAX and abs(index) * params.max_open_interest <= _SIDE_MAX:
        return index, rate, carry
    bound = index_bound(params.max_open_interest)
    return bound if index > 0 else -bound, rate, 0


def forgotten(rate: int, velocity: Ppb, elapsed_ms: int) -> int:
    """The rate ``elapsed_ms`` later in a market where nobody holds a position: it goes to 0 at full velocity."""
    lost = div_floor(velocity * PPB, DAY_MS) * elapsed_ms
    left = max(abs(rate) - lost, 0) if velocity else 0
    return left if rate > 0 else -left


def slope_of(velocity: Ppb, skew: int, max_skew: Lots) -> int:
    """dr/dt = V·K/K_max: how far the rate moves in a millisecond, 10⁻¹⁸ per day; rounded towards 0."""
    steep = div_floor(velocity * PPB * abs(skew), max_skew * DAY_MS)
    return steep if skew > 0 else -steep


def twice(rate: int, slope: int, cap: int, elapsed_ms: int) -> tuple[int, int]:
    """2·∫ r dt over ``elapsed_ms``, and the rate at its end: r moves by ``slope`` and stays within ±``cap``.

    Twice, so that the mean of two rates needs no division. On the way to the cap 2·cap·t − floor((cap − r)²/slope) is
    left: the division leaves the same remainder wherever the time is cut.
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


def index_bound(max_open_interest: Lots) -> int:
    """How far the index can go, either way: then q·F/10⁹ of a whole side still fits 2⁶² micros."""
    return min(INDEX_MAX, div_floor(_SIDE_MAX, max_open_interest))
