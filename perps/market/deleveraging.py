"""By what positions are ranked while winners must leave: fixed when it begins, so that who has left changes no rank."""

from __future__ import annotations

from msgspec import Struct

from perps.units import FundingIndex, Lots, Micros, Ticks


class Deleveraging(Struct, frozen=True, array_like=True, gc=False):
    """The index price, the skew and the funding index of the moment, and the reason: R against H, both micros."""

    index_price: Ticks
    skew: Lots
    """Its sign says which side leaves."""
    funding_index: FundingIndex
    liability: Micros
    """R: what all traders would have gained together if all had left then."""
    can_pay: Micros
    """H: what the house could pay then, its balance and its credit."""
