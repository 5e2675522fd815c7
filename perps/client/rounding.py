"""Prices on a market's tick."""

from __future__ import annotations

from decimal import Decimal


def on_tick(price: Decimal, tick_size: Decimal) -> Decimal:
    """The nearest multiple of the tick size, half to even, at least one tick. With as many decimals as the tick has."""
    return max(round(price / tick_size), 1) * tick_size
