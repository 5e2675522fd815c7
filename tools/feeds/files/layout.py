"""What the columns of a table are: found out from its first rows, once.

A header names them. Without one, what the cells look like decides: a time, the four prices of a bar, an instrument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tools.feeds.files import names
from tools.feeds.files.columns import columns_by_cells, columns_by_names, place, time_by_name
from tools.feeds.files.numbers import has_decimal_comma, is_nothing, is_number
from tools.feeds.files.problems import bad_row
from tools.feeds.files.reading import Reading, Row, Sample
from tools.feeds.files.times import AHEAD_MS, DateChoices, Times, looks_like_time, times_of


@dataclass(frozen=True)
class Layout:
    """What is where in each row. ``prices``: the columns of open, high, low, close; of ask and bid; or of the price."""

    header: tuple[str, ...] | None
    time: tuple[int, ...]
    prices: tuple[int, ...]
    instrument: int | None
    times: Times
    decimal_comma: bool
    is_newest_first: bool

    @property
    def width(self) -> int:
        """How many columns a row needs."""
        return max(*self.time, *self.prices, self.instrument or 0) + 1

    @property
    def is_bars(self) -> bool:
        """Whether a row is a bar."""
        return len(self.prices) == 4

    def name(self, column: int) -> str:
        """A column's name in the file, or its number."""
        return str(column + 1) if self.header is None else self.header[column].strip() or str(column + 1)

    def time_of(self, cells: Sequence[str]) -> str:
        """A row's time as it is written."""
        return " ".join(cells[column].strip() for column in self.time)


def layout_of(sample: Sample, reading: Reading) -> tuple[Layout, int]:
    """What the columns are, and the number of the row before the data: what follows it is data. Errors: BadRow."""
    header = _header(sample, reading)
    data = [cells for number, cells in sample.rows if header is None or number > header[0]]
    at = header[0] if header else sample.rows[0][0]
    if not data:
        raise bad_row(sample.name, sample.unit, at, "it is the last one: the file has a header and no rows")
    if header is None:
        time, prices, instrument = columns_by_cells(sample, data, reading)
        names_found = None
    else:
        names_found = tuple(header[1])
        time, prices, instrument = columns_by_names(sample, header, data, reading)
    width = max(*time, *prices, instrument or 0) + 1
    whole = [cells for cells in data if len(cells) >= width and not _is_same(cells, names_found)]
    if not whole:
        return _no_row(sample, data, width)

    def told(cells: Sequence[str]) -> str:
        return " ".join(cells[column].strip() for column in time)

    texts = [text for text in map(told, whole) if text]
    every = (told(cells) for _, cells in sample.every() if len(cells) >= width and not _is_same(cells, names_found))
    first = header[0] + 1 if header else at
    column = names_found[time[0]] if names_found else str(time[0] + 1)
    try:
        times = times_of(texts, every, DateChoices(reading.date_format, reading.zone))
    except ValueError as error:
        raise bad_row(sample.name, sample.unit, first, str(error), column) from None
    try:
        priced = [cells[each] for cells in whole for each in prices]
        comma = (
            has_decimal_comma(priced, commas_separate=sample.commas_separate)
            if reading.decimal is None
            else reading.decimal == ","
        )
    except ValueError as error:
        raise bad_row(sample.name, sample.unit, first, str(error)) from None
    layout = Layout(names_found, time, prices, instrument, times, comma, _is_newest_first(times, texts))
    return layout, header[0] if header else at - 1


def _no_row(sample: Sample, data: Sequence[list[str]], width: int) -> tuple[Layout, int]:
    number = next(number for number, cells in sample.rows if cells is data[0])
    columns = len(data[0])
    word = "column" if columns == 1 else "columns"
    raise bad_row(sample.name, sample.unit, number, f"it has {columns} {word} and needs {width}")


def _is_same(cells: Sequence[str], header: Sequence[str] | None) -> bool:
    return header is not None and list(cells) == list(header)


def _header(sample: Sample, reading: Reading) -> Row | None:
    """The first row that names the columns; None: the table begins with data. Errors: BadRow."""
    latest_ms = sample.now_ms + AHEAD_MS
    before: Row | None = None
    for number, cells in sample.rows:
        found = [names.normal(cell) for cell in cells]
        is_told = reading.time_column is not None and place(cells, reading.time_column) is not None
        has_time = is_told or time_by_name(found, cells) is not None
        has_price = names.find(found, (*names.PRICE, *names.ASK, *names.BARS["open"])) is not None
        if has_time and has_price and not any(is_number(cell) for cell in cells if cell.strip()):
            return number, cells
        if is_told:
            return number, cells
        if _is_data(cells, latest_ms):
            return before
        if (len(cells) > 1 and len({*found} & names.KNOWN) >= (before is None)) or (len(cells) > 1 and before is None):
            before = (number, cells)
    if before is not None and not names.KNOWN.isdisjoint(map(names.normal, before[1])):
        return before
    number, cells = sample.rows[0]
    raise bad_row(
        sample.name,
        sample.unit,
        number,
        f"no table begins here: {' '.join(cells)[:80]!r}. A row needs a time and a price, "
        "separated by commas, semicolons, tabs or bars",
    )


def _is_data(cells: Sequence[str], latest_ms: int) -> bool:
    """Whether a row has no names: most of what is in it are numbers and times."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    values = [cell for cell in filled if is_number(cell) or looks_like_time(cell, latest_ms)]
    return len(values) >= min(2, len(cells)) and any(not is_nothing(cell) for cell in values)


def _is_newest_first(times: Times, texts: Sequence[str]) -> bool:
    """Whether the times fall from row to row, and never rise."""
    found: list[int] = []
    for text in texts:
        try:
            found.append(times.read(text))
        except ValueError:
            continue
    return len(found) > 1 and found[0] > found[-1] and all(a >= b for a, b in pairwise(found))
