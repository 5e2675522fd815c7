"""Price files: OHLC bars or ticks in CSV, read row by row as one stream of ticks in time order."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Final

from tools.errors import ToolError
from tools.output import counted
from tools.times import parse_time_ms

SINGLE_BAR_MS: Final = 60_000
"""How long a bar lasts if it is the only one."""

TIME_NAMES: Final = ("open_time_ms", "open_time", "time_ms", "time", "timestamp", "datetime", "date", "at", "t", "ts")
PRICE_NAMES: Final = ("price", "last", "close", "p", "c")
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("open", "open_price", "o"),
    "high": ("high", "high_price", "h"),
    "low": ("low", "low_price", "l"),
    "close": ("close", "close_price", "c"),
}

SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {"time": TIME_NAMES, "price": PRICE_NAMES}

_NUMBER = re.compile(r"\d{1,18}(\.\d{1,30})?([eE][+-]?\d{1,2})?")


class Format(StrEnum):
    """What a row is. ``auto``: the header decides; without a header the number of columns does."""

    AUTO = "auto"
    OHLC = "ohlc"
    TICK = "tick"


class BadRow(ToolError):
    """A row that cannot be read. The text names the file and the line."""


@dataclass(frozen=True)
class Tick:
    """One price at one time, and the line it came from."""

    at_ms: int
    price: Decimal
    line: int


@dataclass(frozen=True)
class Window:
    """Which rows count: ``from_ms`` ≤ time < ``to_ms``, and at most ``rows_max`` of them."""

    from_ms: int | None = None
    to_ms: int | None = None
    rows_max: int | None = None


@dataclass(frozen=True)
class _Bar:
    at_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    line: int

    def prices(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Open, the two extremes in the likelier order, close: a rising bar goes to its low first."""
        if self.close > self.open:
            return self.open, self.low, self.high, self.close
        return self.open, self.high, self.low, self.close


def read_ticks(path: Path, form: Format = Format.AUTO, window: Window | None = None) -> Iterator[Tick]:
    """The ticks of a price file, in order. A bar is four ticks, a quarter of its time apart.

    It never holds more than two rows. Errors: BadRow for a row that cannot be read, is earlier than the row above it,
    or contradicts itself; OSError.
    """
    window = window or Window()
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = _rows(path, csv.reader(file))
        columns, rows = _columns(path, rows, form)
        table = _Table(path, columns)
        if "price" in columns:
            for line, row in _inside(table, rows, window):
                yield Tick(table.time(line, row), table.price(line, row, "price"), line)
        else:
            bars = (table.bar(line, row) for line, row in _inside(table, rows, window))
            yield from _spread(bars)


def count_ticks(path: Path, form: Format = Format.AUTO, window: Window | None = None) -> int:
    """How many ticks ``read_ticks`` yields. It reads them all. Errors: the same."""
    return sum(1 for _ in read_ticks(path, form, window))


class _Table:
    """How to read a row of one file."""

    def __init__(self, path: Path, columns: Mapping[str, int]) -> None:
        self._path, self._columns = path, columns
        self._width = max(columns.values()) + 1

    def time(self, line: int, row: list[str]) -> int:
        try:
            return parse_time_ms(self._cell(line, row, "time"))
        except ValueError as error:
            raise _bad(self._path, line, str(error)) from None

    def price(self, line: int, row: list[str], name: str) -> Decimal:
        text = self._cell(line, row, name)
        if _NUMBER.fullmatch(text) is None or not (price := Decimal(text)):
            raise _bad(self._path, line, f"{name} must be a number above 0, such as 12.5; it is {text!r}")
        return price

    def bar(self, line: int, row: list[str]) -> _Bar:
        bar = _Bar(
            at_ms=self.time(line, row),
            open=self.price(line, row, "open"),
            high=self.price(line, row, "high"),
            low=self.price(line, row, "low"),
            close=self.price(line, row, "close"),
            line=line,
        )
        if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
            raise _bad(self._path, line, "open and close must be between low and high")
        return bar

    def refuse_earlier(self, line: int, at_ms: int, before_ms: int | None) -> None:
        if before_ms is not None and at_ms < before_ms:
            raise _bad(
                self._path, line, f"its time is {before_ms - at_ms} ms before the row above; sort the file by time"
            )

    def _cell(self, line: int, row: list[str], name: str) -> str:
        if len(row) < self._width:
            raise _bad(self._path, line, f"it has {counted(len(row), 'column')} and needs {self._width}")
        return row[self._columns[name]].strip()


def _rows(path: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows with their line numbers. Empty rows are left out."""
    line = 0
    while True:
        try:
            row = next(reader, None)
        except (csv.Error, UnicodeDecodeError) as error:
            raise _bad(path, line + 1, str(error)) from None
        if row is None:
            return
        line = getattr(reader, "line_num", line + 1)
        if any(cell.strip() for cell in row):
            yield line, row


def _columns(
    path: Path, rows: Iterator[tuple[int, list[str]]], form: Format
) -> tuple[Mapping[str, int], Iterator[tuple[int, list[str]]]]:
    """Which column is what, and the rows without the header."""
    first = next(rows, None)
    if first is None:
        raise ToolError(f"{path}: it has no rows")
    line, row = first
    if len(row) == 1:
        raise _bad(path, line, f"there is no comma in {row[0][:80]!r}; separate the columns by commas")
    if _is_data(row):
        is_bar = form is Format.OHLC or (form is Format.AUTO and len(row) >= 5)
        names = ("time", *NAMES) if is_bar else ("time", "price")
        return {name: at for at, name in enumerate(names)}, chain([first], rows)
    header = [re.sub(r"[^a-z0-9]+", "_", cell.strip().lower()).strip("_") for cell in row]
    found = {name: _find(header, aliases) for name, aliases in NAMES.items()}
    wanted: dict[str, int | None] = {"time": _find(header, TIME_NAMES)}
    if form is Format.OHLC or (form is Format.AUTO and None not in found.values()):
        wanted |= found
    else:
        wanted["price"] = _find(header, PRICE_NAMES)
    missing = [f"{name} ({_or(NAMES.get(name) or SPELLINGS[name])})" for name, at in wanted.items() if at is None]
    if missing:
        raise _bad(path, line, f"the header has no column for {', '.join(missing)}")
    return {name: at for name, at in wanted.items() if at is not None}, rows


def _inside(table: _Table, rows: Iterator[tuple[int, list[str]]], window: Window) -> Iterator[tuple[int, list[str]]]:
    """The rows of a window. Nothing after the window is read."""
    count, before_ms = 0, None
    for line, row in rows:
        if count == window.rows_max:
            return
        at_ms = table.time(line, row)
        table.refuse_earlier(line, at_ms, before_ms)
        before_ms = at_ms
        if window.to_ms is not None and at_ms >= window.to_ms:
            return
        if window.from_ms is None or at_ms >= window.from_ms:
            count += 1
            yield line, row


def _spread(bars: Iterator[_Bar]) -> Iterator[Tick]:
    """Four ticks a bar. A bar lasts until the next one, at most as long as the shortest so far: gaps stay empty."""
    length_ms: int | None = None
    bar = next(bars, None)
    while bar is not None:
        following = next(bars, None)
        if following is not None and following.at_ms > bar.at_ms:
            step_ms = following.at_ms - bar.at_ms
            length_ms = step_ms if length_ms is None else min(length_ms, step_ms)
        quarter_ms = (SINGLE_BAR_MS if length_ms is None else length_ms) // 4
        for at, price in enumerate(bar.prices()):
            yield Tick(bar.at_ms + at * quarter_ms, price, bar.line)
        bar = following


def _is_data(row: list[str]) -> bool:
    """Whether the first row is data and no header: its second cell is a number."""
    return len(row) >= 2 and _NUMBER.fullmatch(row[1].strip()) is not None


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _find(header: list[str], aliases: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in aliases if name in header), None)


def _bad(path: Path, line: int, problem: str) -> BadRow:
    return BadRow(f"{path} line {line}: {problem}")
