"""What an argument on the command line may be. A bad one is told in one line, exit code 2."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

import rich_click as click

_DECIMAL = re.compile(r"[+-]?\d{1,18}(\.\d{1,12})?")
_NUMBER = re.compile(r"[+-]?\d{1,19}(\.\d{1,9})?")
_TICKER = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,31}")
_USER_ID = re.compile(r"[A-Za-z0-9._:@-]{1,64}")

_SECONDS_BELOW: Final = 10**11
_MILLIS_BELOW: Final = 10**14
_MICROS_BELOW: Final = 10**17


class _Pattern(click.ParamType[str]):
    """Text that a regular expression matches whole."""

    def __init__(self, name: str, pattern: re.Pattern[str], rule: str) -> None:
        self.name = name
        self._pattern = pattern
        self._rule = rule

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if self._pattern.fullmatch(text) is None:
            self.fail(f"{text!r} is not {self._rule}", param, ctx)
        return text


class _Decimal(click.ParamType[str]):
    """A decimal above 0, or also 0, kept as the text it came as: no float ever sees it."""

    name = "decimal"

    def __init__(self, *, may_be_zero: bool) -> None:
        self._may_be_zero = may_be_zero

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        value_is_good = _DECIMAL.fullmatch(text) is not None and Decimal(text) >= 0
        if not value_is_good or (Decimal(text) == 0 and not self._may_be_zero):
            self.fail(f"{text!r} is not a decimal number {'≥' if self._may_be_zero else '>'} 0", param, ctx)
        return text


class _Address(click.ParamType[str]):
    """A URL of one of some schemes."""

    name = "url"

    def __init__(self, *schemes: str, needs_host: bool) -> None:
        self._schemes = schemes
        self._needs_host = needs_host

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        schemes = " or ".join(f"{scheme}://" for scheme in self._schemes)
        try:
            parts = urlsplit(text)
            well_formed = parts.scheme in self._schemes and (parts.port or 1) > 0
        except ValueError:
            well_formed, parts = False, urlsplit("")
        if not well_formed or (self._needs_host and not parts.hostname):
            self.fail(f"{_without_password(text)!r} is not a URL {schemes}…", param, ctx)
        return text.rstrip("/")


class _Moment(click.ParamType[int]):
    """A time as milliseconds since 1970: ISO 8601 (UTC unless it says otherwise), or seconds, or milliseconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            at_ms = parse_time_ms(str(value))
            rfc3339(at_ms)
            return at_ms
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Speed(click.ParamType[float | None]):
    """Simulated seconds per real second; ``max`` (None) does not wait at all."""

    name = "speed"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value is None or value == "max":
            return None
        try:
            speed = float(str(value))
        except ValueError:
            speed = 0.0
        if not 0 < speed < float("inf"):
            self.fail(f"{value!r} is neither a number above 0 nor 'max'", param, ctx)
        return speed


def parse_time_ms(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time, or of a number whose size tells s, ms, µs or ns. Rounded down.

    A time without a zone is UTC. Errors: ValueError.
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
        raise ValueError(f"{text!r} is not a time: seconds, milliseconds or ISO 8601") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def rfc3339(at_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 UTC with milliseconds. Errors: ValueError beyond the year 9999."""
    try:
        moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{at_ms} ms is beyond the calendar") from None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def _without_password(url: str) -> str:
    return re.sub(r"(//[^/:@]*):[^@]*@", r"\1:…@", url)


KEY_ID: Final = _Pattern("key", re.compile(r"[A-Za-z0-9._-]{1,64}"), "the id of a key")
AMOUNT: Final = _Decimal(may_be_zero=False)
NOT_NEGATIVE: Final = _Decimal(may_be_zero=True)
TICKER: Final = _Pattern("ticker", _TICKER, "a ticker: A-Z 0-9 . _ -, at most 32, first a letter or digit")
USER_ID: Final = _Pattern("user", _USER_ID, "a user id: A-Z a-z 0-9 . _ : @ -, at most 64")
VENUE_URL: Final = _Address("http", "https", needs_host=True)
DATABASE_URL: Final = _Address("postgresql", "postgres", needs_host=False)
MOMENT: Final = _Moment()
SPEED: Final = _Speed()
