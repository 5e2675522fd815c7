"""A price that is too far from the last one to be believed at once: it is held until its source has repeated it.

While it is held the index stays what it was, and nothing happens in the market: the old price may be as wrong as the
new one.
"""

from __future__ import annotations

from msgspec import Struct

from perps.commands import PriceSource
from perps.units import PPB, Millis, Ppb, Ticks


class HeldPrice(Struct, frozen=True, array_like=True, gc=False):
    """A price that waits to be confirmed."""

    price: Ticks
    """The newest that counted."""
    count: int
    """How many counted so far, the first included."""
    source: PriceSource
    """Only its prices count."""
    at: Millis
    """How old it is. Only later prices count."""
    until: Millis
    """When the hold ends, unless another price counts before."""


def is_near(price: int, reference: int, band: Ppb) -> bool:
    """|price − reference| ≤ band · reference: exact, by cross-multiplication."""
    return abs(price - reference) * PPB <= band * reference
