"""Times in price files: numbers since 1970 in four units, and dates as people and programs write them.

A column is looked at once (``times_of``); after that each cell is read by what was found there. A time is never
guessed: what can be read in two ways is an error that names the option which decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

DAY_MS: Final = 86_400_000
EARLIEST_MS: Final = 1_230_768_000_000
"""2009-01-01: recorded prices in minutes and ticks are younger, and what looks older is a mistaken column or unit."""
AHEAD_MS: Final = 366 * DAY_MS
"""How far after now a recorded price may be."""
CACHE_MAX: Final = 100_000

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - times are UTC here, or local until their zone is applied
_NUMBER = re.compile(r"[+-]?\d{1,19}(\.\d{0,18})?([eE]\+?\d{1,2})?")
MILLIS_FROM, MILLIS_BELOW = 10**11, 10**14
"""Numbers between these are milliseconds."""
_UNITS: Final = (
    (MILLIS_FROM, "seconds", 1000, 1),
    (MILLIS_BELOW, "milliseconds", 1, 1),
    (10**17, "microseconds", 1, 1000),
)
_COMPACT = re.compile(r"(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])((?:[01]\d|2[0-3])(?:[0-5]\d){1,2})?")
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})")
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_NAMED = re.compile(r"(?:[A-Za-z]{3,9},? +)??(\d{1,2})[- /]([A-Za-z]{3,9})[- /,]+(\d{4})")
_NAMED_FIRST = re.compile(r"(?:[A-Za-z]{3,9},? +)??([A-Za-z]{3,9})[. ] *(\d{1,2}),? +(\d{4})")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = re.compile(
    r"(?:(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?|(\d{1,6}|\d{9}))"
    r"(?:[ -]?([AaPp])\.?[Mm]\.?)?"
    r"(?:\s*(Z|z|(?:UTC|GMT)?\s*[+-]\d{2}:?(?:\d{2})?|UTC|GMT))?"
)
_SPLIT = re.compile(
    r"(.*?\d)(?:[T ,]\s*|\s+)(\d[\d:.,]*(?:[ -]?[AaPp]\.?[Mm]\.?)?(?:\s*[A-Za-z]*\s*(?:[+-]\d[\d:]*)?)?)"
)

Read = Callable[[str], int]
"""A cell's milliseconds since 1970. Errors: ValueError, whose text continues "…, column time: "."""


@dataclass
class Times:
    """How a file's times are read, and what was found, in words."""

    read: Read
    words: str
    again: Read | None = None
    """The second reading of a local time that comes twice, when clocks are set back."""
    is_number: bool = False
    """Whether they are numbers since 1970."""
    is_utc_by_default: bool = False
    """Whether times without a zone were taken for UTC."""


@dataclass
class DateChoices:
    """What whoever reads the file knows better: a format of ``strptime``, and the zone of times without one."""

    date_format: str | None = None
    zone: ZoneInfo | None = None


def looks_like_time(text: str, latest_ms: int) -> bool:
    """Whether a cell could be a time: a plausible number, or a date."""
    if _COMPACT.fullmatch(text) is not None:
        return True
    if _NUMBER.fullmatch(text) is not None:
        return EARLIEST_MS <= epoch_ms(text) < latest_ms
    try:
        _Dates(is_month_first=False).read(text)
    except ValueError:
        try:
            _Dates(is_month_first=True).read(text)
        except ValueError:
            return False
    return True


def looks_like_clock(text: str) -> bool:
    """Whether a cell is a time of day without a date."""
    found = _CLOCK.fullmatch(text)
    return found is not None and len(text) <= 24


def unit_of(text: str) -> int:
    """How fine a number since 1970 counts: 0 seconds … 3 nanoseconds. Errors: ValueError."""
    size = abs(Decimal(text))
    return next((at for at, (below, *_) in enumerate(_UNITS) if size < below), 3)


def epoch_ms(text: str) -> int:
    """A number since 1970 in s, ms, µs or ns, by its size, as milliseconds, rounded down. Errors: ValueError."""
    if _NUMBER.fullmatch(text.strip()) is None:
        raise ValueError(f"{text!r} is not a number since 1970, as the rows above have")
    number = Decimal(text)
    size = abs(number)
    for below, _, times, parts in _UNITS:
        if size < below:
            return int(number * times) // parts
    return int(number) // 10**6


def times_of(samples: Sequence[str], every: Iterable[str], choices: DateChoices) -> Times:
    """How to read a column with these cells. ``every``: all of them, for what only one of them may decide.

    Errors: ValueError, with what would decide.
    """
    if choices.date_format is not None:
        return _by_format(choices.date_format, choices.zone)
    if _most(_COMPACT, samples):
        return _zoned(_compact, "dates such as 20240131", choices.zone)
    if _most(_NUMBER, samples):
        units = sorted({unit_of(text) for text in samples if _NUMBER.fullmatch(text)})
        names = " and ".join([*(each[1] for each in _UNITS), "nanoseconds"][unit] for unit in units)
        return Times(_whole_or_epoch, f"{names} since 1970", is_number=True)
    is_month_first = None
    if any(_is_ambiguous(text) for text in samples):
        is_month_first = next((said for said in map(_says_order, every) if said is not None), None)
        if is_month_first is None:
            text = next(text for text in samples if _is_ambiguous(text))
            raise ValueError(
                f"{text!r} may have the day or the month first, and no row decides; "
                "say which with --date-format %d/%m/%Y or %m/%d/%Y"
            )
    dates = _Dates(is_month_first=bool(is_month_first))
    order = {None: "dates", True: "dates, month first", False: "dates, day first"}[is_month_first]
    return _zoned(dates.read, order, choices.zone, dates)


def _most(pattern: re.Pattern[str], samples: Sequence[str]) -> bool:
    return 2 * sum(pattern.fullmatch(text) is not None for text in samples) > len(samples)


def shown(at_ms: int) -> str:
    """A time for people, also one that is far out."""
    try:
        return (_EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return "a time after the year 9999"


def _whole_or_epoch(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        return epoch_ms(text)
    return number if MILLIS_FROM <= number < MILLIS_BELOW else epoch_ms(text)


def _compact(text: str) -> int:
    found = _COMPACT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a date such as 20240131")
    year, month, day, clock = found.groups()
    return _date_ms(int(year), int(month), int(day)) + (_clock_ms(clock)[0] if clock else 0)


def _by_format(form: str, zone: ZoneInfo | None) -> Times:
    """Dates by a format of strptime."""
    cache: dict[str, int] = {}

    def read(text: str) -> int:
        found = cache.get(text)
        if found is None:
            try:
                moment = datetime.strptime(text, form)  # noqa: DTZ007 - the zone comes below
            except ValueError:
                raise ValueError(f"{text!r} is not a time by the format {form}") from None
            if moment.tzinfo is not None:
                moment = moment.astimezone(UTC).replace(tzinfo=None)
            if len(cache) >= CACHE_MAX:
                cache.clear()
            found = cache[text] = _moment_ms(moment)
        return found

    if "%z" in form:
        return Times(read, f"dates by {form}")
    return _zoned(read, f"dates by {form}", zone)


def _zoned(read: Read, words: str, zone: ZoneInfo | None, dates: _Dates | None = None) -> Times:
    """Local times as UTC; without a zone they are taken for UTC."""
    if zone is None:
        return Times(read, f"{words}; UTC where no zone is named", is_utc_by_default=True)

    def local(text: str, fold: int = 0) -> int:
        at_ms = read(text)
        if dates is not None and dates.has_zone:
            return at_ms
        moment = (_EPOCH + timedelta(milliseconds=at_ms)).replace(tzinfo=zone, fold=fold)
        return _moment_ms(moment.astimezone(UTC).replace(tzinfo=None))

    return Times(local, f"{words}; {zone.key} where no zone is named", lambda text: local(text, 1))


@dataclass
class _Dates:
    """Dates with or without a time of day. Days and times of day come again and again: each is read once."""

    is_month_first: bool
    has_zone: bool = False
    """Whether the cell that was read last names its zone."""
    _days: dict[str, int] = field(default_factory=dict)
    _clocks: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def read(self, text: str) -> int:
        """Milliseconds since 1970. Errors: ValueError."""
        day, _, clock = text.partition("T" if text[10:11] == "T" else " ")
        day_ms, of_day = self._days.get(day), self._clocks.get(clock)
        if day_ms is not None and of_day is not None:
            self.has_zone = of_day[1]
            return day_ms + of_day[0]
        return self._read_anew(text)

    def _read_anew(self, text: str) -> int:
        day, clock = text, ""
        if (found := self._day(text)) is None:
            parts = _SPLIT.fullmatch(text)
            if parts is None or (found := self._day(parts[1])) is None:
                raise ValueError(f"{text!r} is not a time; write 2026-01-31T12:00:00Z, or seconds since 1970")
            day, clock = parts[1], parts[2]
        of_day = _clock_ms(clock) if clock else (0, False)
        for cache in (self._days, self._clocks):
            if len(cache) >= CACHE_MAX:
                cache.clear()
        self._days[day], self._clocks[clock] = found, of_day
        self.has_zone = of_day[1]
        return found + of_day[0]

    def _day(self, text: str) -> int | None:
        """A date's milliseconds; None: it is none. Errors: ValueError if there is no such day."""
        if found := _YEAR_FIRST.fullmatch(text):
            return _date_ms(int(found[1]), int(found[3]), int(found[4]))
        if found := _COMPACT.fullmatch(text):
            return None if found[4] else _date_ms(int(found[1]), int(found[2]), int(found[3]))
        if found := _YEAR_LAST.fullmatch(text):
            first, second, year = int(found[1]), int(found[3]), int(found[4])
            is_month_first = self.is_month_first and found[2] != "."
            return _date_ms(year, first, second) if is_month_first else _date_ms(year, second, first)
        if found := _NAMED.fullmatch(text):
            return _date_ms(int(found[3]), _month(found[2]), int(found[1]))
        if found := _NAMED_FIRST.fullmatch(text):
            return _date_ms(int(found[3]), _month(found[1]), int(found[2]))
        return None


def _clock_ms(text: str) -> tuple[int, bool]:
    """A time of day in milliseconds since UTC's midnight, and whether it names its zone. Errors: ValueError."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        named = re.search(r"[A-Za-z]{2,5}$", text)
        hint = f"; for the zone {named[0]} give --timezone" if named else ""
        raise ValueError(f"{text!r} is not a time of day, such as 12:30:00{hint}")
    hour, minute, second, fraction, digits, half, zone = found.groups()
    if digits is not None:
        hour, minute, second, fraction = _digits(digits, has_half=half is not None)
    h, m, s = int(hour), int(minute), int(second or 0)
    if half is not None:
        if not 1 <= h <= 12:
            raise ValueError(f"{text!r} is not a time of day: with AM or PM the hour is 1 to 12")
        h = h % 12 + (12 if half in "pP" else 0)
    if h > 23 or m > 59 or s > 60:
        raise ValueError(f"{text!r} is not a time of day: hours go to 23, minutes and seconds to 59")
    ms = (h * 60 + m) * 60_000 + s * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    return ms - _offset_ms(zone or ""), zone is not None


def _digits(text: str, *, has_half: bool) -> tuple[str, str, str, str]:
    """``170000`` or ``170000123``, ``1700``, and with AM or PM the hour alone. Leading zeros may be missing."""
    if has_half and len(text) <= 2:
        return text, "0", "0", "0"
    whole = text[:6] if len(text) == 9 else text.zfill(4) + "00" if len(text) in (3, 4) else text.zfill(6)
    return whole[:2], whole[2:4], whole[4:], text[6:9] if len(text) == 9 else "0"


def _offset_ms(zone: str) -> int:
    """How far a zone is before UTC."""
    found = re.search(r"([+-])(\d{2}):?(\d{2})?$", zone)
    if found is None:
        return 0
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return (minutes if found[1] == "+" else -minutes) * 60_000


def _is_ambiguous(text: str) -> bool:
    found = _YEAR_LAST.match(text)
    return found is not None and found[2] != "."


def _says_order(text: str) -> bool | None:
    """Whether the month comes first, as far as one cell shows it."""
    found = _YEAR_LAST.match(text)
    if found is None or found[2] == ".":
        return None
    first, second = int(found[1]), int(found[3])
    return False if first > 12 else True if second > 12 else None


def _month(name: str) -> int:
    try:
        return _MONTHS.index(name[:3].lower()) + 1
    except ValueError:
        raise ValueError(f"{name!r} is not the English name of a month") from None


def _date_ms(year: int, month: int, day: int) -> int:
    try:
        return (date(year, month, day) - _EPOCH.date()).days * DAY_MS
    except ValueError:
        raise ValueError(f"there is no day {year:04}-{month:02}-{day:02}") from None


def _moment_ms(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * DAY_MS + since.seconds * 1000 + since.microseconds // 1000
