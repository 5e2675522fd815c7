"""Whether a market's tick fits the prices that it gets."""

from decimal import Decimal
from typing import Final

from perps.client.rounding import on_tick

ROUNDING_BPS_MAX: Final = 5
"""How far, in 1/10,000 of a price, the tick may move it. Further away, the prices are another market's."""


def coarse_tick(price: Decimal, tick_size: Decimal) -> str | None:
    """What is wrong with this tick for this price, and what would fit; None: it fits."""
    rounded = on_tick(price, tick_size)
    moved = abs(rounded - price) / price * 10_000
    if moved <= ROUNDING_BPS_MAX:
        return None
    fits = Decimal(1).scaleb((price * ROUNDING_BPS_MAX / 5000).adjusted())
    return (
        f"the market's tick {tick_size:f} would make {rounded:f} of the price {price:f}, {moved:.0f} bps away. "
        f"Are these this market's prices? Then list it with a --tick-size of {fits:f} or less"
    )
