"""Times: read from text as milliseconds since 1970, and shown as RFC 3339. All of them are UTC."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from web.answers import times

_NUMBER = re.compile(r"[+-]?\d{1,19}(\.\d{1,9})?")
_SECONDS_BELOW: Final = 10**11
_MILLIS_BELOW: Final = 10**14
_MICROS_BELOW: Final = 10**17


def parse_time_ms(text: str) -> int:
    """Milliseconds since 1970, rounded down.

    ``text`` is an ISO 8601 time (UTC if it names no zone), or a number in s, ms, µs or ns: its size tells which.
    Errors: ValueError.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        size = abs(number)
        if size < _SECONDS_BELOW:
            return int(number * 1000)
        if size < _MILLIS_BELOW:
            return int(number)
        return int(number) // (1000 if size < _MICROS_BELOW else 10**6)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write 2026-01-31T12:00:00Z, or seconds since 1970") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def rfc3339(at_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC, with milliseconds. Errors: ValueError outside the years 1 to 9999."""
    try:
        return times.rfc3339(at_ms)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{at_ms} ms since 1970 is outside the years 1 to 9999") from None
