"""Which columns have the time, the prices and the instrument: by their names, or by what their cells look like."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from tools.feeds.files import names
from tools.feeds.files.numbers import is_nothing, is_number, plain
from tools.feeds.files.problems import bad_row
from tools.feeds.files.reading import Format, Reading, Row, Sample
from tools.feeds.files.times import AHEAD_MS, epoch_ms, looks_like_clock, looks_like_time, unit_of

SIDES: Final = frozenset(
    (
        "buy",
        "sell",
        "b",
        "s",
        "m",
        "l",
        "bid",
        "ask",
        "true",
        "false",
        "limit",
        "market",
        "long",
        "short",
        "taker",
        "maker",
    )
)
"""Words of a column without a name that are no instruments."""


def place(header: Sequence[str], name: str) -> int | None:
    """The place of a column that somebody named, as written or in small letters; a number counts from 1."""
    wanted = name.strip().lower()
    for at, each in enumerate(header):
        if each.strip().lower() == wanted or (wanted and names.normal(each) == names.normal(name)):
            return at
    return int(wanted) - 1 if wanted.isdigit() and 0 < int(wanted) <= len(header) else None


def time_by_name(normal: Sequence[str], header: Sequence[str]) -> int | None:
    found = names.find(normal, names.TIME)
    if found is None and header and header[0].strip().lower() in ("", "unnamed: 0"):
        return 0  # the index of a data frame
    return found


def columns_by_names(
    sample: Sample, header: Row, data: Sequence[list[str]], reading: Reading
) -> tuple[tuple[int, ...], tuple[int, ...], int | None]:
    number, cells = header
    normal = [names.normal(cell) for cell in cells]

    def told(option: str, name: str) -> int:
        found = place(cells, name)
        if found is None:
            problem = f"there is no column {name!r} for {option}; the columns are: {', '.join(cells)}"
            raise bad_row(sample.name, sample.unit, number, problem)
        return found

    time: tuple[int, ...] | None = None
    if reading.time_column is not None:
        time = tuple(told("--time-column", each) for each in reading.time_column.split("+"))
    else:
        time = _times_by_name(normal, cells, data)
    bars = tuple(names.find(normal, spelled) for spelled in names.BARS.values())
    is_bars = reading.form is Format.OHLC or (reading.form is Format.AUTO and None not in bars)
    missing: list[str] = []
    prices: tuple[int | None, ...]
    if reading.price_column is not None:
        prices = (told("--price-column", reading.price_column),)
    elif is_bars:
        prices = bars
        missing = [
            f"{bar} ({_or(spelled)})" for (bar, spelled), at in zip(names.BARS.items(), bars, strict=True) if at is None
        ]
    else:
        prices = _tick_by_name(normal, time, data)
        if not prices:
            missing = [f"price ({_or(names.PRICE)})"]
    if time is None:
        missing = [f"time ({_or(names.TIME[:18])})", *missing]
    if missing or time is None:
        raise bad_row(
            sample.name,
            sample.unit,
            number,
            f"the header has no column for {', '.join(missing)}; it has: {', '.join(cells)[:200]}. "
            "Name the columns with --time-column and --price-column",
        )
    instrument = names.find(normal, names.INSTRUMENT)
    if instrument in (*time, *prices):
        instrument = None
    return time, tuple(at for at in prices if at is not None), instrument


def _tick_by_name(normal: Sequence[str], time: Sequence[int] | None, data: Sequence[list[str]]) -> tuple[int, ...]:
    """The column of a price, or those of ask and bid; the only other column of two."""
    price = names.find(normal, names.PRICE)
    ask, bid = names.find(normal, names.ASK), names.find(normal, names.BID)
    is_quoted = ask is not None and bid is not None
    if price is not None and is_quoted and all(is_nothing(cells[price]) for cells in data if len(cells) > price):
        price = None
    if price is not None:
        return (price,)
    if ask is not None and bid is not None:
        return ask, bid
    return (1 - time[0],) if time is not None and len(time) == 1 and len(normal) == 2 else ()


def _times_by_name(normal: Sequence[str], header: Sequence[str], data: Sequence[list[str]]) -> tuple[int, ...] | None:
    """The column of the time, or those of the date and the time of day."""
    day, clock = names.find(normal, names.DATE), names.find(normal, names.CLOCK)
    best = time_by_name(normal, header)
    if day is not None and clock is not None and best in (day, clock, None):
        cells = next((row for row in data if len(row) > max(day, clock)), None)
        if cells is not None:
            if looks_like_clock(cells[clock].strip()):
                return day, clock
            best = clock if is_number(cells[clock]) and not is_number(cells[day]) else best
    return None if best is None else (best,)


def columns_by_cells(
    sample: Sample, data: Sequence[list[str]], reading: Reading
) -> tuple[tuple[int, ...], tuple[int, ...], int | None]:
    """The columns of a table without a header. Errors: BadRow."""
    first, width = sample.rows[0][0], min(len(cells) for cells in data[: len(data) - 1] or data)
    latest_ms = sample.now_ms + AHEAD_MS
    columns = [[cells[at].strip() for cells in data if len(cells) > at] for at in range(width)]
    if reading.time_column is not None:
        time = tuple(int(each) - 1 for each in reading.time_column.split("+") if each.isdigit() and int(each) <= width)
    else:
        time = _times_by_cells(columns, latest_ms)
    if not time:
        raise bad_row(
            sample.name,
            sample.unit,
            first,
            f"no column has plausible times, from 2009 to a year ahead: {', '.join(data[0])[:120]!r}. "
            "Times are numbers since 1970, or dates; name the column with --time-column 1",
        )
    numeric = [
        at for at in range(width) if at not in time and all(is_number(cell) or is_nothing(cell) for cell in columns[at])
    ]
    words = [
        at
        for at in range(width)
        if at not in (*time, *numeric) and not {cell.lower() for cell in columns[at]} <= SIDES | {""}
    ]
    prices = _prices_by_cells(data, time, numeric, reading)
    if not prices:
        raise bad_row(
            sample.name,
            sample.unit,
            first,
            "there is no header, and which columns are the prices cannot be told; add a header line, "
            "or name the column with --price-column 2 or --format tick",
        )
    return time, prices, words[0] if words else None


def _times_by_cells(columns: Sequence[Sequence[str]], latest_ms: int) -> tuple[int, ...]:
    """The column of times: of several the one that counts finest, because an id may look like seconds."""
    found = [
        at for at, cells in enumerate(columns) if any(cells) and all(looks_like_time(c, latest_ms) for c in cells if c)
    ]
    if not found:
        return ()
    dated = [at for at in found if not _is_epoch(columns[at][0])]
    if dated:
        at = dated[0]
        is_day = all(" " not in cell and "T" not in cell for cell in columns[at])
        has_clock = at + 1 < len(columns) and all(
            looks_like_clock(cell) and "." not in cell for cell in columns[at + 1]
        )
        is_clock = has_clock and (":" in columns[at + 1][0] or all(len(cell) == 6 for cell in columns[at + 1]))
        return (at, at + 1) if is_day and is_clock else (at,)
    return (max(found, key=lambda at: (unit_of(next(filter(None, columns[at]))), -at)),)


def _is_epoch(text: str) -> bool:
    try:
        epoch_ms(text)
    except ValueError:
        return False
    return not (len(text) in (8, 12, 14) and text.startswith("20") and text.isdigit())


def _prices_by_cells(
    data: Sequence[list[str]], time: Sequence[int], numeric: Sequence[int], reading: Reading
) -> tuple[int, ...]:
    if reading.price_column is not None:
        at = int(reading.price_column) - 1 if reading.price_column.isdigit() else -1
        return (at,) if 0 <= at < len(data[0]) else ()
    after = [at for at in numeric if at > time[-1]]
    if reading.form is not Format.TICK and len(after) >= 4:
        bar = tuple(after[:4])
        fits = sum(_fits(cells, bar) for cells in data)
        if reading.form is Format.OHLC or 2 * fits >= len(data):
            return bar
        return ()
    if reading.form is Format.OHLC:
        return ()
    if after and time[0] <= 1:
        return (after[0],)
    rest = [at for at in numeric if at > 0] if 0 in numeric and _is_counted([cells[0] for cells in data]) else numeric
    return (rest[0],) if rest else ()


def _is_counted(cells: Sequence[str]) -> bool:
    """Whether a column is an id: whole numbers that grow."""
    whole = [int(cell) for cell in cells if cell.isdigit()]
    return len(whole) == len(cells) and all(a < b for a, b in pairwise(whole))


def _fits(cells: Sequence[str], bar: Sequence[int]) -> bool:
    """Whether these are open, high, low and close in this order, or nothing."""
    try:
        prices = [float(plain(cells[at], decimal_comma="," in cells[at])) for at in bar]
    except (ValueError, IndexError):
        return all(is_nothing(cells[at]) for at in bar if at < len(cells))
    return prices[2] <= min(prices) and prices[1] >= max(prices)


def _or(spelled: Sequence[str]) -> str:
    return f"{', '.join(spelled[:-1])} or {spelled[-1]}"
