"""Decimal text ↔ integers. Nothing passes through a float in either direction."""

from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from perps.params import MarketParams
from perps.units import MICRO

MONEY_PLACES: Final = 6
PICO_PLACES: Final = 12
AVERAGE_PLACES: Final = 8
AVERAGE_PLACES_MORE: Final = 6
"""Decimals of an average price: this many more than its market's tick size has, and never fewer than that."""
DIGITS_MAX: Final = 28
"""Significant digits a number may have: far beyond any amount, and small enough to compute with at once."""


class BadNumber(ValueError):
    """A number that cannot be taken exactly. The text says which rule it breaks."""


def scaled(value: Decimal, places: int) -> int:
    """``value`` × 10^places as an exact integer. Raises ``BadNumber``: not finite, too long, or too many decimals."""
    if not value.is_finite():
        raise BadNumber("is not a finite number")
    _, digits, exponent = value.as_tuple()
    if len(digits) > DIGITS_MAX or not isinstance(exponent, int) or abs(exponent) > DIGITS_MAX:
        raise BadNumber("has too many digits, or too large an exponent")
    try:
        shifted = value.scaleb(places)
        exact = int(shifted)
    except InvalidOperation as error:
        raise BadNumber("is out of range") from error
    if exact != shifted:
        raise BadNumber(f"has more than {places} decimals")
    return exact


def text(value: int, places: int, least: int = 2) -> str:
    """An integer count of 10^-places as decimal text, trailing zeros dropped down to ``least`` decimals."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), 10**places)
    if not fraction:
        return f"{sign}{whole}.{'0' * least}" if least else f"{sign}{whole}"
    decimals = f"{fraction:0{places}d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if len(decimals) >= least else f"{sign}{whole}.{decimals:0<{least}}"


def money(micros: int) -> str:
    """Micros as decimal text: ``"1000.00"``. The commonest of all, so the common cases come first."""
    whole, fraction = divmod(abs(micros), MICRO)
    sign = "-" if micros < 0 else ""
    if not fraction:
        return f"{sign}{whole}.00"
    if not fraction % 10_000:
        return f"{sign}{whole}.{fraction // 10_000:02d}"
    return sign + f"{whole}.{fraction:06d}".rstrip("0")


def pico(value: int) -> str:
    """10⁻¹² units as decimal text."""
    return text(value, PICO_PLACES, 0)


def price(ticks: int, tick_size: int) -> str:
    """Ticks as decimal text."""
    return _steps(ticks, tick_size)


def price_or_none(ticks: int | None, tick_size: int) -> str | None:
    """Ticks as decimal text, where there is a price."""
    return None if ticks is None else price(ticks, tick_size)


def quantity(lots: int, lot_size: int) -> str:
    """Lots, unsigned or signed, as base units."""
    return _steps(lots, lot_size)


@lru_cache(maxsize=8192)
def _steps(count: int, step: int) -> str:
    """``count`` · ``step`` pico as decimal text. The same few prices and sizes are said again and again."""
    return text(count * step, PICO_PLACES)


def average_price(cost: int, lots: int, params: MarketParams) -> str:
    """|cost| micros over |lots| as a price, rounded down; ``"0.00"`` for no lots. For display only.

    It has 8 decimals where the tick size has at most 6, else 6 more than the tick size, and as many more as it takes to
    tell it from 0.
    """
    return _average(abs(cost), abs(lots) * params.lot_size, params.tick_size) if lots else "0.00"


@lru_cache(maxsize=1024)
def _average(cost: int, size: int, tick_size: int) -> str:
    """``cost`` micros over ``size`` pico base units. A fill is said in several places of one answer and its events."""
    worth, places = cost * MICRO, _average_places(tick_size)
    while worth and not worth * 10**places // size:
        places += AVERAGE_PLACES_MORE
    return text(worth * 10**places // size, places)


@lru_cache(maxsize=1024)
def _average_places(tick_size: int) -> int:
    """How many decimals an average price has in a market of this tick size (pico)."""
    tick_places = len(pico(tick_size).partition(".")[2])
    return AVERAGE_PLACES if tick_places <= AVERAGE_PLACES_MORE else tick_places + AVERAGE_PLACES_MORE


def share(numerator: int, denominator: int, places: int = 8) -> str:
    """A fraction as decimal text, rounded towards −∞ to ``places``; ``"0.00"`` when there is nothing to divide by."""
    if not denominator:
        return "0.00"
    return text(numerator * 10**places // denominator, places)
