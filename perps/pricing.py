"""The price of a trade: exact linear skew.

S index price (ticks), K skew before (Σ signed lots), Ks skew scale (lots), u micros per tick·lot. The quote is
``p = S·(1 + K/Ks)``; a trade pays the exact integral of the quote along the skew it moves, so that any split costs the
same and any closed loop at constant S costs ≥ 0. Source: the premium/discount curve of Synthetix Perps v2, integrated.
"""

from math import isqrt

from perps.units import Lots, Micros, Ticks, div_ceil, div_floor


def trade_cost(lots: int, *, index_price: Ticks, unit: int, skew: Lots, skew_scale: Lots) -> Micros:
    """C(d) = ceil(S·u·(2·d·Ks + (K+d)² − K²) / (2·Ks)), signed micros: negative when selling.

    Rounded up, against the trader.
    """
    numerator = index_price * unit * lots * (2 * (skew_scale + skew) + lots)
    return Micros(div_ceil(numerator, 2 * skew_scale))


def quote_price(*, index_price: Ticks, skew: Lots, skew_scale: Lots) -> Ticks:
    """The price of the next small trade in ticks: floor(S·(Ks + K)/Ks)."""
    return Ticks(div_floor(index_price * (skew_scale + skew), skew_scale))


def most_lots(size: Micros, sign: int, *, index_price: Ticks, unit: int, skew: Lots, skew_scale: Lots) -> Lots:
    """The largest |d| with |C(sign·|d|)| ≤ size, unsigned lots; 0 when one lot already costs more.

    Closed form by ``isqrt``, then adjusted to the rounding of C. Selling, the curve ends where the quote reaches 0: at
    most Ks + K lots.
    """
    depth = skew_scale + skew
    area = div_floor(2 * skew_scale * size, index_price * unit)
    if sign > 0:
        lots = isqrt(depth * depth + area) - depth
    elif area < depth * depth:
        lots = depth - isqrt(depth * depth - area)
    else:
        lots = depth

    def cost(of: int) -> int:
        return abs(trade_cost(sign * of, index_price=index_price, unit=unit, skew=skew, skew_scale=skew_scale))

    while lots > 0 and cost(lots) > size:
        lots -= 1
    while (sign > 0 or lots < depth) and cost(lots + 1) <= size:
        lots += 1
    return Lots(lots)
