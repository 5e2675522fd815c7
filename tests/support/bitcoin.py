"""Real prices: the hourly candles of bitcoin in ``tests/data``, from July 2017 to October 2019."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[1] / "data" / "btcusd-1h-2017-2019.csv.gz"


@dataclass(frozen=True)
class Candle:
    """One hour's prices: decimal text in the file, exact cents here."""

    at: int
    """Its begin, in milliseconds since 1970."""
    open: int
    high: int
    low: int
    close: int

    @property
    def halves(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Its four prices in a plausible order, two for each half of the hour: the extreme it left comes first."""
        if self.close >= self.open:
            return (self.open, self.low), (self.high, self.close)
        return (self.open, self.high), (self.low, self.close)


@cache
def all_hours() -> tuple[Candle, ...]:
    """All candles, oldest first: one for each hour, without a gap."""
    with gzip.open(FILE, "rt", newline="") as file:
        return tuple(
            Candle(int(row["open_time_ms"]), *(cents(row[name]) for name in ("open", "high", "low", "close")))
            for row in csv.DictReader(file)
        )


def months(first: str, end: str) -> list[Candle]:
    """The candles from the begin of one month to the begin of another, each as ``"2017-11"``, in UTC."""
    days = (datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC) for month in (first, end))
    begin_ms, end_ms = (day.timestamp() * 1000 for day in days)
    return [candle for candle in all_hours() if begin_ms <= candle.at < end_ms]


def cents(text: str) -> int:
    """``"6365.54"`` → 636554. Raises ``ValueError`` on more than two decimals."""
    whole, _, fraction = text.partition(".")
    if len(fraction) > 2:
        raise ValueError(f"{text} is not in whole cents")
    return int(whole) * 100 + int(f"{fraction:0<2}")


def dollars(cents: int) -> str:
    """636554 → ``"6365.54"``."""
    return f"{cents // 100}.{cents % 100:02d}"
