"""What is asked of a file, and the first rows that answer it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

Row = tuple[int, list[str]]


class Format(StrEnum):
    """What a row is: a bar, or a single price. ``auto``: the columns decide."""

    AUTO = "auto"
    OHLC = "ohlc"
    TICK = "tick"


@dataclass(frozen=True)
class Reading:
    """What whoever reads a file knows of it. What is None is found out; what cannot be found out is an error."""

    form: Format = Format.AUTO
    symbol: str | None = None
    date_format: str | None = None
    zone: ZoneInfo | None = None
    decimal: str | None = None
    time_column: str | None = None
    price_column: str | None = None


@dataclass(frozen=True)
class Sample:
    """The first rows of a table. ``every`` gives all rows again, where they can be read again."""

    name: str
    unit: str
    rows: Sequence[Row]
    every: Callable[[], Iterable[Row]]
    commas_separate: bool
    now_ms: int
