"""Fixed-point units. Every quantity in the domain is an ``int`` in exactly one of these.

Divisions are named: ``div_floor`` and ``div_ceil``. Which one is used is part of a formula, never an accident.
"""

from typing import Final, NewType

Micros = NewType("Micros", int)
"""Money: 10⁻⁶ of the quote currency. Every amount that enters or leaves an account is one of these."""

Ticks = NewType("Ticks", int)
"""A price, as a multiple of its market's tick size."""

Lots = NewType("Lots", int)
"""An amount of the base asset, as a multiple of its market's lot size. Signed where it is a position: long > 0."""

Pico = NewType("Pico", int)
"""10⁻¹² of a unit: tick sizes, lot sizes and limit prices, so that any decimal of 12 places is exact."""

Nano = NewType("Nano", int)
"""10⁻⁹ of the quote currency per base unit: the whole part of limit prices, up to 9·10⁹ within 64 bits."""

Ppb = NewType("Ppb", int)
"""A rate in parts per billion."""

FundingIndex = NewType("FundingIndex", int)
"""Cumulative funding, micros per lot × 10⁹. Longs pay when it rises."""

Millis = NewType("Millis", int)
"""Time: milliseconds since 1970-01-01 UTC."""

MICRO: Final = 10**6
PPB: Final = 10**9
NANO: Final = 10**9
PICO: Final = 10**12
BPS: Final = 10_000

AMOUNT_MAX: Final = Micros(10**18)
"""The most micros one command may name (10¹² of the quote currency)."""

INTEGER_MAX: Final = 2**63 - 1
"""No stored integer is larger: it must fit a 64-bit column and a MessagePack integer."""

BALANCE_MAX: Final = Micros(2**62)
"""No account may hold more than this, either side of zero, so that every balance fits a 64-bit column."""

HOUSE_DEBT_MAX: Final = Micros(2**61)
"""How far below 0 all houses together may go: half of what an account may hold. The other half is for deposits.

What anybody holds has come in from outside or from a house, so no balance can pass ``BALANCE_MAX``.
"""

HOUSE_CREDIT_DEFAULT: Final = Micros(2**50)
"""How far below 0 a house may go that has no limit of its own: 1.1·10⁹ of the quote currency.

2,048 such houses fit into ``HOUSE_DEBT_MAX``.
"""


def div_floor(numerator: int, denominator: int) -> int:
    """Quotient rounded towards −∞. ``denominator`` must be positive."""
    return numerator // denominator


def div_ceil(numerator: int, denominator: int) -> int:
    """Quotient rounded towards +∞. ``denominator`` must be positive."""
    return -(-numerator // denominator)
