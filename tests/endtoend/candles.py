"""Real prices: the hourly candles in ``tests/data``, as the ticks a venue is told."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parents[1] / "data"
UP_AND_CRASH: Final = DATA / "btcusd-1h-2017-11-12.csv"
DOWN: Final = DATA / "btcusd-1h-2018-11.csv"


@dataclass(frozen=True)
class Candle:
    """One hour's prices: decimal text in the file, exact cents here."""

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


def read(path: Path) -> list[Candle]:
    """All candles of a file, oldest first."""
    with path.open(newline="") as file:
        return [
            Candle(*(cents(row[name]) for name in ("open", "high", "low", "close"))) for row in csv.DictReader(file)
        ]


def cents(text: str) -> int:
    """``"6365.54"`` → 636554. Raises ``ValueError`` on more than two decimals."""
    whole, _, fraction = text.partition(".")
    if len(fraction) > 2:
        raise ValueError(f"{text} is not in whole cents")
    return int(whole) * 100 + int(f"{fraction:0<2}")


def dollars(cents: int) -> str:
    """636554 → ``"6365.54"``."""
    return f"{cents // 100}.{cents % 100:02d}"
