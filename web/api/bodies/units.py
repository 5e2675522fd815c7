"""Numbers and times of the contract → exact integers of the domain. Each raises ``validation_error`` for its field."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from perps.units import AMOUNT_MAX, INTEGER_MAX, PPB, Lots, Micros, Millis, Nano, Ppb, Ticks
from web.answers import decimals
from web.answers.decimals import DIGITS_MAX, MONEY_PLACES, PICO_PLACES, BadNumber, scaled
from web.answers.errors import invalid

TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
NINE_PLACES: Final = Decimal("1E-9")
RATE_MAX: Final = 1_000
"""The highest rate that is no share."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def number(value: Decimal, places: int, field: str) -> int:
    """A decimal as an exact integer count of 10^-places."""
    try:
        return scaled(value, places)
    except BadNumber as error:
        raise invalid(f"{field} {error}.", field=field) from error


def positive_money(value: Decimal, field: str) -> Micros:
    """An amount > 0, micros, at most ``AMOUNT_MAX``."""
    micros = number(value, MONEY_PLACES, field)
    if not 0 < micros <= AMOUNT_MAX:
        raise invalid(f"{field} must be positive and at most 10^12.", field=field)
    return Micros(micros)


def money_from_zero(value: Decimal, field: str) -> Micros:
    """An amount ≥ 0, micros, at most ``AMOUNT_MAX``."""
    return Micros(0) if number(value, MONEY_PLACES, field) == 0 else positive_money(value, field)


def signed_money(value: Decimal, field: str) -> Micros:
    """An amount either way, micros, at most ``AMOUNT_MAX`` and not 0."""
    micros = number(value, MONEY_PLACES, field)
    if not 0 < abs(micros) <= AMOUNT_MAX:
        raise invalid(f"{field} must not be 0, and be between -10^12 and 10^12.", field=field)
    return Micros(micros)


def rate(value: Decimal, field: str) -> Ppb:
    """A rate between 0 and 1, ppb."""
    ppb = number(value, 9, field)
    if not 0 <= ppb <= PPB:
        raise invalid(f"{field} must be between 0 and 1.", field=field)
    return Ppb(ppb)


def rate_or(default: int, value: Decimal | None, field: str) -> Ppb:
    """A rate between 0 and 1, ppb, or the default."""
    return Ppb(default) if value is None else rate(value, field)


def signed_rate(value: Decimal, field: str) -> Ppb:
    """A rate between -1 and 1, ppb."""
    ppb = number(value, 9, field)
    if not -PPB <= ppb <= PPB:
        raise invalid(f"{field} must be between -1 and 1: 0.03 is 3 % up.", field=field)
    return Ppb(ppb)


def rate_from_zero(value: Decimal, field: str) -> Ppb:
    """A rate ≥ 0 that may be above 1, ppb, at most ``RATE_MAX``."""
    ppb = number(value, 9, field)
    if not 0 <= ppb <= RATE_MAX * PPB:
        raise invalid(f"{field} must be between 0 and {RATE_MAX}.", field=field)
    return Ppb(ppb)


def share(value: Decimal, field: str) -> Ppb:
    """A share > 0 and at most 1, ppb, rounded down to 9 decimals."""
    if len(value.as_tuple().digits) > DIGITS_MAX:
        raise invalid(f"{field} has too many digits.", field=field)
    if value > 1:
        hint = f" For {value:f} % send {value / 100:f}." if value <= 100 else ""
        raise invalid(f"{field} must be more than 0 and at most 1: 0.5 closes half.{hint}", field=field)
    if value <= 0:
        raise invalid(f"{field} must be more than 0 and at most 1: 0.5 closes half.", field=field)
    ppb = int(value.quantize(NINE_PLACES, ROUND_FLOOR) * PPB)
    if not ppb:
        raise invalid(f"{field} must be at least 0.000000001.", field=field)
    return Ppb(ppb)


def price_ticks(value: Decimal, tick_size: int, field: str = "price") -> Ticks:
    """A positive price on its market's tick."""
    exact = number(value, PICO_PLACES, field)
    ticks, rest = divmod(exact, tick_size)
    if exact <= 0 or rest or ticks > INTEGER_MAX:
        tick = decimals.pico(tick_size)
        raise invalid(
            f"{field} must be a positive multiple of the tick size, {tick}, and below 2^63 ticks.",
            field=field,
            **{field: f"{value:f}", "tickSize": tick},
        )
    return Ticks(ticks)


def limit_price(value: Decimal | None, field: str) -> tuple[Nano | None, int]:
    """A limit price as a command holds it: whole nanos, and the pico below them."""
    if value is None:
        return None, 0
    exact = number(value, PICO_PLACES, field)
    nano, rest = divmod(exact, 1000)
    if exact <= 0 or nano > INTEGER_MAX:
        raise invalid(f"{field} must be positive and below 9·10^9.", field=field)
    return Nano(nano), rest


def lots(value: Decimal | None, lot_size: int, field: str) -> Lots | None:
    """A positive quantity in whole lots."""
    if value is None:
        return None
    exact = number(value, PICO_PLACES, field)
    count, rest = divmod(exact, lot_size)
    if exact <= 0 or rest or count >= 2**60:
        size = decimals.pico(lot_size)
        raise invalid(
            f"{field} must be a positive multiple of the lot size, {size}.",
            field=field,
            **{field: str(value), "lotSize": size},
        )
    return Lots(count)


def time_ms(text: str, field: str) -> Millis:
    """An RFC 3339 time with an offset."""
    try:
        if not TIME.fullmatch(text):
            raise ValueError("not RFC 3339")
        at = datetime.fromisoformat(text).astimezone(UTC)  # what lies beyond the calendar in UTC cannot be shown again
        return Millis((at - EPOCH) // timedelta(milliseconds=1))
    except (ValueError, OverflowError) as error:
        raise invalid(f"{field} must be an RFC 3339 time such as 2026-01-31T12:00:00.000Z.", field=field) from error


def moment_ms(text: str | None, field: str, default: int) -> int:
    """Milliseconds since 1970, or a time."""
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text)
    return time_ms(text, field)


def printable(text: str | None, field: str) -> str | None:
    """Text without control characters."""
    if text is not None and not text.isprintable():
        raise invalid(f"{field} must be printable: no line breaks, no control characters.", field=field)
    return text
