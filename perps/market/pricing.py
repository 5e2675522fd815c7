"""The price of a trade: exact linear skew.

S index price (ticks), K skew before (Σ signed lots), Ks skew scale (lots), u micros per tick·lot. The quote is
``p = S·(1 + K/Ks)``; a trade pays the exact integral of the quote along the skew it moves, so that any split costs the
same and any closed loop at constant S costs ≥ 0. Source: the premium/discount curve of Synthetix Perps v2, integrated.
"""

from math import isqrt

from perps.market.settling import Settling
from perps.units import Lots, Micros, Ticks, div_ceil, div_floor


def trade_cost(lots: int, *, index_price: Ticks, unit: int, skew: Lots, skew_scale: Lots) -> Micros:
    """C(d) = ceil(S·u·(2·d·Ks + (K+d)² − K²) / (2·Ks)), signed micros: negative when selling.

    Rounded up, against the trader.
    """
    numerator = index_price * unit * lots * (2 * (skew_scale + skew) + lots)
    return Micros(div_ceil(numerator, 2 * skew_scale))


def most_lots(size: Micros, sign: int, *, index_price: Ticks, unit: int, skew: Lots, skew_scale: Lots) -> Lots:
    """The largest |d| with |C(sign·|d|)| ≤ size, unsigned lots; 0 when one lot already costs more.

    Exact, by ``isqrt``: buying, C ≤ size ⇔ (depth + d)² ≤ depth² + floor(2·Ks·size/(S·u)), depth = Ks + K. Selling,
    |C| is rounded down, so |C| ≤ size ⇔ d·(2·depth − d) < 2·Ks·(size + 1)/(S·u); the curve ends where the quote
    reaches 0: at most ``depth`` lots.
    """
    depth = skew_scale + skew
    if sign > 0:
        area = div_floor(2 * skew_scale * size, index_price * unit)
        return Lots(isqrt(depth * depth + area) - depth)
    area = div_ceil(2 * skew_scale * (size + 1), index_price * unit) - 1
    if area >= depth * depth:
        return Lots(depth)
    return Lots(depth - 1 - isqrt(depth * depth - area - 1))


def settlement_cost(lots: int, settling: Settling, unit: int) -> Micros:
    """ceil(d·S·u·(2Ks + K)/(2Ks)), signed micros: ``lots`` at the price of a settlement."""
    scale = 2 * settling.skew_scale
    return Micros(div_ceil(lots * settling.index_price * unit * (scale + settling.skew), scale))
