"""At what a market settles: fixed when it begins, so that the order in which positions leave says nothing."""

from __future__ import annotations

from msgspec import Struct

from perps.units import Lots, Ticks


class Settling(Struct, frozen=True, array_like=True, gc=False):
    """S, K and Ks of the moment, and how many positions there were."""

    index_price: Ticks
    skew: Lots
    skew_scale: Lots
    positions: int
