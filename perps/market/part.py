"""How much of a position a liquidation closes, where it may close a part: the least that makes the rest sound."""

from perps.market.position import Position
from perps.market.state import Market
from perps.units import PPB, div_ceil, div_floor


def least_part(market: Market, position: Position) -> int:
    """The least c of 1 … |q| − 1 lots whose close leaves a sound position; 0 if there is none: then all of it.

    Sound: what the part fetches less the liquidation fee, kept = settlement − fee ≥ 0, stays, and at the mark after
    the fill equity' > ceil((1 + b)·maintenance'), at the rate of the rest's size. The rest is worth at least
    ``min_order_size`` at the present mark, and the position ``partial_liquidation``.

    Under the listing rules each lot that leaves takes less equity than maintenance with it, so the sound c end at the
    largest one that may be, if there is any: they are found by bisection, on bare integers.
    """
    params, size = market.params, abs(position.lots)
    mark, scale = market.exact_mark(market.skew)
    worth = mark * params.unit
    least = params.partial_liquidation
    if least is None or size * worth < least * scale:
        return 0
    most = size - max(div_ceil(params.min_order_size * scale, worth), 1)
    if most < 1 or not is_sound(market, position, most):
        return 0
    low, high = 0, most  # low is not sound, high is
    while high - low > 1:
        middle = (low + high) >> 1
        if is_sound(market, position, middle):
            high = middle
        else:
            low = middle
    return high


def is_sound(market: Market, position: Position, count: int) -> bool:
    """Whether closing ``count`` lots, and keeping what they fetch, leaves more than the buffered maintenance.

    The money is that of ``reduce`` (``perps/rules/closing.py``), without making anything of it.
    """
    params, index, skew = market.params, market.funding_index, market.skew
    lots, size = position.lots, abs(position.lots)
    closed = count if lots > 0 else -count
    cost = market.cost(-closed)
    cash = div_floor(position.cash * count, size)
    settlement = cash - div_ceil(closed * index, PPB) - cost
    if settlement < 0:
        return False
    kept = settlement - min(div_ceil(abs(cost) * params.liquidation_fee, PPB), settlement)
    rest = lots - closed
    mark, scale = market.exact_mark(skew - closed)
    value = rest * mark * params.unit
    equity = (position.cash - cash + kept - div_ceil(rest * index, PPB)) * scale + value
    needed = abs(value) * params.rate_of(rest) + params.maintenance_fixed * scale * PPB
    return equity > div_ceil(needed * (PPB + params.liquidation_buffer), PPB * PPB)
