"""The types of command-line arguments. For a bad value they say in one line what the argument takes; exit code 2."""

import re
from decimal import Decimal
from math import isfinite, nan
from typing import Final
from urllib.parse import urlsplit

import rich_click as click

from tools.times import parse_time_ms, rfc3339

OFFSET_MAX: Final = 2**63 - 1
"""The largest row number that PostgreSQL can store."""

_DIGITS: Final = 18
_DECIMALS: Final = 12
_DECIMAL = re.compile(rf"[+-]?\d{{1,{_DIGITS}}}(\.\d{{1,{_DECIMALS}}})?", re.ASCII)
_PLAIN = re.compile(r"\+?\d+(\.\d+)?", re.ASCII)
_EXPONENT = re.compile(r"\+?\d+(\.\d+)?[eE][+-]?\d{1,9}", re.ASCII)
_OFFSET = re.compile(r"\d{1,19}", re.ASCII)
_TICKER = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,31}")
_USER_ID = re.compile(r"[A-Za-z0-9._:@-]{1,64}")


class _Pattern(click.ParamType[str]):
    """Text that matches a regular expression as a whole."""

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
    """A decimal number above 0, or also 0. It stays the text that it came as: no float ever sees it."""

    name = "decimal"

    def __init__(self, *, may_be_zero: bool) -> None:
        self._may_be_zero = may_be_zero

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if _DECIMAL.fullmatch(text) is None or Decimal(text) < 0 or (Decimal(text) == 0 and not self._may_be_zero):
            self.fail(f"{text!r}{self._problem(text)}", param, ctx)
        return text

    def _problem(self, text: str) -> str:
        """What is wrong with the text, and how to write it."""
        if _EXPONENT.fullmatch(text) and int(text.lower().partition("e")[2]) >= _DIGITS:
            return f" is too large: it must be below 10^{_DIGITS}"
        if _EXPONENT.fullmatch(text):
            return " has an exponent: write the number out, such as 1000"
        if _PLAIN.fullmatch(text):
            whole, _, decimals = text.partition(".")
            if len(whole) > _DIGITS:
                return f" is too large: it must be below 10^{_DIGITS}"
            if len(decimals) > _DECIMALS:
                return f" has more than {_DECIMALS} decimals: round it"
        return f" is not a decimal number{', 0 or more' if self._may_be_zero else ' above 0'}, such as 12.50"


class _Offset(click.ParamType[int]):
    """The number of a journal row."""

    name = "row"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if _OFFSET.fullmatch(text) is None or not 0 < int(text) <= OFFSET_MAX:
            self.fail(f"{text!r} is not the number of a row, 1 or more", param, ctx)
        return int(text)


class Whole(click.IntRange):
    """A whole number within bounds."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(super().convert(str(value), param, ctx))  # type: ignore[arg-type]
        except click.BadParameter:
            self.fail(f"{str(value)!r} is not a whole number{_within(self.min, self.max)}", param, ctx)


class Real(click.FloatRange):
    """A number within bounds, neither infinite nor NaN."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(super().convert(str(value), param, ctx))  # type: ignore[arg-type]
        except click.BadParameter:
            number = nan
        if not isfinite(number):
            self.fail(f"{str(value)!r} is not a number{_within(self.min, self.max, self.min_open)}", param, ctx)
        return number


def _within(least: float | None, most: float | None, is_above: bool = False) -> str:
    """Bounds in words."""
    if least is not None and most is not None and not is_above:
        return f" from {least:g} to {most:.0f}"
    words = [] if least is None else [f" above {least:g}" if is_above else f", {least:g} or more"]
    return "".join(words) + ("" if most is None else f", at most {most:.0f}")


class _Address(click.ParamType[str]):
    """A URL of one of these schemes."""

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
            from perps.client import without_password

            self.fail(f"{without_password(text)!r} is not a URL that begins with {schemes}", param, ctx)
        return text.rstrip("/")


class _Tier(click.ParamType[dict[str, str | int] | None]):
    """A size tier: its largest quantity, its maintenance rate and its highest leverage; None for ``none``."""

    name = "tier"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str | int] | None:
        text = str(value)
        if text == "none":
            return None
        parts = text.split(":")
        if len(parts) != 3 or not all(_DECIMAL.fullmatch(part) for part in parts) or not parts[2].isdigit():
            self.fail(f"{text!r} is not maxQuantity:maintenanceRate:maxLeverage, such as 10:0.005:100", param, ctx)
        return {"maxQuantity": parts[0], "maintenanceRate": parts[1], "maxLeverage": int(parts[2])}


class _Moment(click.ParamType[int]):
    """A time, as milliseconds since 1970: see ``times.parse_time_ms``."""

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
    """Recorded seconds per real second; ``max`` (None) does not wait at all."""

    name = "speed"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value is None or value == "max":
            return None
        try:
            speed = float(str(value))
        except ValueError:
            speed = 0.0
        if not 0 < speed < float("inf"):
            self.fail(f"{value!r} is not a speed: give a number above 0, or max", param, ctx)
        return speed


OFFSET: Final = _Offset()
KEY_ID: Final = _Pattern("key", re.compile(r"[A-Za-z0-9._-]{1,64}"), "a key id; perps key list shows them")
POSITION_ID: Final = _Pattern("id", re.compile(r"[A-Za-z0-9._-]{1,64}"), "the id of a position or an order")
CURSOR: Final = _Pattern("cursor", re.compile(r"[\x21-\x7e]{1,128}"), "a cursor that an earlier page printed")
AMOUNT: Final = _Decimal(may_be_zero=False)
NOT_NEGATIVE: Final = _Decimal(may_be_zero=True)
TICKER: Final = _Pattern("ticker", _TICKER, "a ticker: 1 to 32 of A-Z 0-9 . _ -, the first a letter or digit")
USER_ID: Final = _Pattern("user", _USER_ID, "a user id: 1 to 64 of A-Z a-z 0-9 . _ : @ -")
VENUE_URL: Final = _Address("http", "https", needs_host=True)
DATABASE_URL: Final = _Address("postgresql", "postgres", needs_host=False)
TIER: Final = _Tier()
MOMENT: Final = _Moment()
SPEED: Final = _Speed()
