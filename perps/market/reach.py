"""How far trading can move a market's quote, and the largest caps and orders that still fit."""

from typing import NamedTuple

from perps.market.funding import FUNDING_DAYS, INDEX_MAX
from perps.market.state import Market
from perps.params import MarketParams, MarkSource
from perps.units import AMOUNT_MAX, PPB, Lots, Micros, Ppb, Ticks, div_ceil, div_floor


class Reach(NamedTuple):
    """How far trading alone can take the quote from the index, either way; ppb of the index, rounded down."""

    by_opens: Ppb
    """min(maxSkew, maxOpenInterest)/skewScale: no open goes further."""
    by_closes: Ppb
    """maxOpenInterest/skewScale: one side has left, the other is full. Closes pass every cap."""


def reach(params: MarketParams) -> Reach:
    """How far trading can move the quote of a market."""
    interest, scale = params.max_open_interest, params.skew_scale
    opens = div_floor(PPB * min(params.max_skew, interest), scale)
    return Reach(Ppb(opens), Ppb(div_floor(PPB * interest, scale)))


def worst_exit(params: MarketParams) -> Ppb:
    """The most that a way out costs by its impact: (OI_max + max(2·K_max, OI_max))/(2·Ks), ppb, rounded up.

    The whole of a side leaves at the far skew cap, or, since closes pass every cap, the last of a side when only the
    other side is left.
    """
    interest = params.max_open_interest
    return Ppb(div_ceil(PPB * (interest + max(2 * params.max_skew, interest)), 2 * params.skew_scale))


def largest_interest(params: MarketParams, price: Ticks) -> Lots:
    """The largest ``max_open_interest`` that the listing rules take, all else as it is; 0 if they take none."""
    room, rate = _exit_room(params), params.maintenance_rate
    bounds = [room - 2 * params.max_skew, div_floor(room, 2), div_floor(AMOUNT_MAX, price * params.unit)]
    if params.mark_source is MarkSource.QUOTE:
        bounds.append(div_floor(rate * params.skew_scale, 2 * PPB + rate))
    if params.max_funding_rate > 0:
        bounds.append(div_floor(INDEX_MAX * PPB, price * params.unit * params.max_funding_rate * FUNDING_DAYS))
    return Lots(max(min(bounds), 0))


def largest_skew(params: MarketParams) -> Lots:
    """The largest ``max_skew`` that the listing rules take, all else as it is; 0 if they take none."""
    room, interest = _exit_room(params), params.max_open_interest
    return Lots(max(min(div_floor(room - interest, 2), params.skew_scale - 1), 0) if 2 * interest <= room else 0)


def _exit_room(params: MarketParams) -> int:
    """OI_max + max(2·K_max, OI_max) is at most this: floor(2·Ks·(μ − fees)), lots."""
    left = params.maintenance_rate - params.liquidation_fee - params.taker_fee
    return div_floor(2 * params.skew_scale * left, PPB)


def largest_open(market: Market, sign: int) -> Micros:
    """The most that an open of a side can take within the market's caps: a ``size`` that fits, micros; 0 for none."""
    lots = _room(market, sign)
    return Micros(abs(market.cost(sign * lots)) if lots > 0 else 0)


def too_large(market: Market, sign: int) -> Micros:
    """The least ``size`` of an open that takes more lots than the market's caps leave for its side, micros."""
    return Micros(abs(market.cost(sign * (max(_room(market, sign), 0) + 1))))


def _room(market: Market, sign: int) -> int:
    """The most lots that an open of a side can take. As for every open, the skew may end beyond its cap if it is nearer
    to 0 than before.
    """
    params, skew = market.params, market.skew * sign
    side = market.long_lots if sign > 0 else market.short_lots
    return min(max(params.max_skew - skew, -2 * skew - 1), params.max_open_interest - side)
