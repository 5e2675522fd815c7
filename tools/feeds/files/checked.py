"""Rows to prices: each row is checked as it is read, and the first that cannot be true ends the reading.

Nearly all rows are good. So many are looked at together, column by column, with floats, which keep the order of the
numbers. Only where something is wrong is each row looked at by itself, and that is what decides. The prices stay the
text that they came as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import le, lt
from typing import Final, NamedTuple

from tools.feeds.files import names
from tools.feeds.files.layout import Layout
from tools.feeds.files.numbers import PRICE_BELOW, is_nothing, plain
from tools.feeds.files.problems import BadFile, BadRow, bad_row
from tools.feeds.files.text import Rows
from tools.feeds.files.times import AHEAD_MS, EARLIEST_MS, MILLIS_BELOW, MILLIS_FROM, shown

LONG_TEXT: Final = 24
"""Characters of a number from which on its decimals are counted."""
SAME_TIME_MAX: Final = 1.2
"""How far two bars of one time may be apart, as a factor: more are two instruments."""
INSTRUMENTS_MAX: Final = 1000


EMPTY_MAX: Final = 600_000
"""Rows without a price one after another, more than a year of minutes: in more there is no price to come."""


class Priced(NamedTuple):
    """Good rows: their numbers, their times, and a column of plain decimal text for each of their prices."""

    numbers: Sequence[int]
    at_ms: Sequence[int]
    prices: Sequence[Sequence[str]]


class _Good(NamedTuple):
    number: int
    at_ms: int
    prices: tuple[str, ...]


@dataclass
class Counts:
    """What became of the rows that are not played."""

    empty: int = 0
    repeated: int = 0
    replaced: int = 0
    headers: int = 0
    others: int = 0
    instruments: dict[str, None] = field(default_factory=dict)


@dataclass
class Checker:
    """One reading of one table. ``jump_max``: the factor from one price to the next beyond which it is refused."""

    name: str
    unit: str
    layout: Layout
    symbol: str | None
    now_ms: int
    jump_max: float
    counts: Counts = field(default_factory=Counts)
    _seen: str | None = None
    _others: set[str] = field(default_factory=set)
    _known: list[str] = field(default_factory=list)
    _empty: int = 0
    """Rows without a price, since the last one that has one and was looked at closely."""
    _last_ms: int = EARLIEST_MS
    _last: float = 0.0
    _before: list[str] | None = None
    _pending: _Good | None = None
    """The newest bar: it may be replaced."""

    def priced(self, chunks: Iterable[Rows]) -> Iterator[Priced]:
        """The good rows, some at a time. Errors: BadFile, BadRow."""
        for chunk in chunks:
            rows = chunk if self.symbol is None else self._of_symbol(chunk)
            found = self._quickly(rows) or _together(list(self._one_by_one(rows)))
            if found is not None:
                yield found
        if self._pending is not None:
            yield Priced([self._pending.number], [self._pending.at_ms], [[text] for text in self._pending.prices])
        if self.symbol is not None and self._seen is None:
            raise BadFile(f"{self.name}: no row is of {self.symbol}; the file has: {self._listed()}")

    def _quickly(self, rows: Rows) -> Priced | None:
        """All of these rows, if nothing is wrong with any of them. None: one of them must be looked at closely."""
        layout, cells = self.layout, rows.cells
        if not cells:
            return None
        try:
            columns = list(zip(*cells, strict=True))
            prices = [columns[at] for at in layout.prices]
            values = [list(map(float, column)) for column in prices]
            at_ms = self._times(columns)
            if layout.instrument is not None and set(columns[layout.instrument]) != {self._seen}:
                return None
        except (ValueError, IndexError):
            return None
        least, most = min(map(min, values)), max(map(max, values))
        if not (least > 0 and most < PRICE_BELOW and self._last_ms < at_ms[0] and at_ms[-1] < self.now_ms + AHEAD_MS):
            return None
        if not max(most, self._last) < min(least, self._last or least) * self.jump_max:
            return None
        if max(max(map(len, column)) for column in prices) > LONG_TEXT or not all(map(lt, at_ms, at_ms[1:])):
            return None
        if layout.is_bars:
            begin, high, low, end = values
            if not (_all(le, low, begin) and _all(le, low, end) and _all(le, begin, high) and _all(le, end, high)):
                return None
        self._last_ms, self._last, self._before, self._empty = at_ms[-1], values[-1][-1], cells[-1], 0
        return self._held_back(Priced(rows.numbers, at_ms, prices))

    def _of_symbol(self, rows: Rows) -> Rows:
        """The rows of the instrument that was chosen, and those too short to say of which they are."""
        at, others = self.layout.instrument or 0, self._others
        kept = []
        for number, cells in zip(*rows, strict=True):
            found = cells[at] if len(cells) > at else self._seen
            if found in others:
                self.counts.others += 1
            elif found == self._seen or self._is_ours(number, cells):
                kept.append((number, cells))
            elif len(others) < INSTRUMENTS_MAX:
                others.add(cells[at])
        return Rows([number for number, _ in kept], [cells for _, cells in kept])

    def _times(self, columns: Sequence[Sequence[str]]) -> list[int]:
        """The times of good rows. Errors: ValueError."""
        if len(self.layout.time) > 1:
            texts = map(" ".join, zip(*(columns[at] for at in self.layout.time), strict=True))
            return list(map(self.layout.times.read, texts))
        column = columns[self.layout.time[0]]
        if self.layout.times.is_number:
            whole = list(map(int, column))
            if whole[0] >= MILLIS_FROM and whole[-1] < MILLIS_BELOW:
                return whole
        return list(map(self.layout.times.read, column))

    def _held_back(self, found: Priced) -> Priced:
        """Bars without their last one, behind the one that was kept; other rows as they are."""
        if not self.layout.is_bars:
            return found
        kept, last = self._pending, _Good(found.numbers[-1], found.at_ms[-1], tuple(each[-1] for each in found.prices))
        self._pending = last
        before = ([kept.number], [kept.at_ms], kept.prices) if kept else ([], [], [""] * 4)
        return Priced(
            [*before[0], *found.numbers[:-1]],
            [*before[1], *found.at_ms[:-1]],
            [[*([text] if kept else []), *each[:-1]] for text, each in zip(before[2], found.prices, strict=True)],
        )

    def _one_by_one(self, rows: Rows) -> Iterator[_Good]:
        """The good ones of these rows. Errors: BadRow."""
        for number, cells in zip(*rows, strict=True):
            found = self._good(number, cells)
            if found is None:
                continue
            if not self.layout.is_bars:
                yield found
                continue
            if self._pending is not None:
                yield self._pending
            self._pending = found

    def _good(self, number: int, cells: list[str]) -> _Good | None:
        """A row to play. None: there is nothing to play in it. Errors: BadRow."""
        instrument = self.layout.instrument
        is_other = instrument is not None and len(cells) > instrument and cells[instrument] != self._seen
        if is_other and not self._is_ours(number, cells):
            return None
        closely = self._closely(number, cells, self._last_ms)
        if closely is None:
            return None
        at_ms, prices, values = closely
        is_again = self._last > 0 and at_ms == self._last_ms
        if is_again and (cells == self._before or (self._pending is not None and prices == self._pending.prices)):
            self.counts.repeated += 1
            return None
        if self._last and not self._last < values[0] * self.jump_max < self._last * self.jump_max**2:
            self._refuse_jump(number, prices[0], self._last)
        if is_again and self._pending is not None:
            self._refuse_two_at_once(number, values[-1], self._last)
            self.counts.replaced += 1
            self._pending = None
        self._last_ms, self._last, self._before = at_ms, values[-1], cells
        return _Good(number, at_ms, prices)

    def _closely(self, number: int, cells: list[str], last_ms: int) -> tuple[int, tuple[str, ...], list[float]] | None:
        """A row that is not good at first sight. None: it has no price, or is none. Errors: BadRow."""
        layout = self.layout
        if not any(cell.strip() for cell in cells):
            return None
        if len(cells) < layout.width:
            columns = f"{len(cells)} column" + "s" * (len(cells) > 1)
            raise self._bad(number, f"it has {columns} and needs {layout.width}; is it cut off?")
        if self._is_header(cells):
            self.counts.headers += 1
            return None
        texts = [cells[at] for at in layout.prices]
        if all(map(is_nothing, texts)):
            self.counts.empty += 1
            self._empty += 1
            if self._empty > EMPTY_MAX:
                columns = " + ".join(map(layout.name, layout.prices))
                raise self._bad(number, f"it and {EMPTY_MAX:,} rows above it have no price", columns)
            return None
        self._empty = 0
        at_ms = self._time(number, cells, last_ms)
        if len(texts) == 2 and any(map(is_nothing, texts)):  # a tick that changes one side only
            if not self._known:
                self.counts.empty += 1
                return None
            texts = [known if is_nothing(text) else text for text, known in zip(texts, self._known, strict=True)]
        prices = tuple(self._price(number, at, text) for at, text in zip(layout.prices, texts, strict=True))
        if len(prices) == 2:
            self._known = list(prices)
        values = list(map(float, prices))
        if layout.is_bars and not values[2] == min(values) <= max(values) == values[1]:
            o, h, low, c = prices
            column = self.layout.name(self.layout.prices[1 if values[1] < max(values) else 2])
            problem = f"open and close must be between low and high; open {o}, high {h}, low {low}, close {c}"
            raise self._bad(number, problem, column)
        return at_ms, prices, values

    def _time(self, number: int, cells: Sequence[str], last_ms: int) -> int:
        times, text = self.layout.times, self.layout.time_of(cells)
        column = " + ".join(map(self.layout.name, self.layout.time))
        try:
            at_ms = times.read(text)
        except ValueError as error:
            raise self._bad(number, str(error), column) from None
        if at_ms < EARLIEST_MS or at_ms >= self.now_ms + AHEAD_MS:
            why = "before 2009" if at_ms < EARLIEST_MS else "more than a year ahead"
            problem = f"{text} is {shown(at_ms)}, {why}; is this the column of the times? Name it with --time-column"
            raise self._bad(number, problem, column)
        if at_ms < last_ms and times.again is not None:
            at_ms = max(at_ms, times.again(text))
        if at_ms < last_ms:
            hint = "sort the file by time"
            if times.is_utc_by_default:
                hint = "if these are local times, name their zone, as in --timezone America/New_York; else " + hint
            raise self._bad(number, f"{text} is {_span(last_ms - at_ms)} before the row above; {hint}", column)
        return at_ms

    def _price(self, number: int, column: int, text: str) -> str:
        try:
            if is_nothing(text):
                raise ValueError("it is empty, though the row has other prices")
            return plain(text, decimal_comma=self.layout.decimal_comma)
        except ValueError as error:
            raise self._bad(number, str(error), self.layout.name(column)) from None

    def _is_ours(self, number: int, cells: Sequence[str]) -> bool:
        """Whether a row of another instrument than the row above is to be played. Errors: BadRow."""
        found, column = cells[self.layout.instrument or 0], self.layout.instrument or 0
        if not found.strip() or self._is_header(cells):
            return True
        counts = self.counts
        if len(counts.instruments) < INSTRUMENTS_MAX:
            counts.instruments[found.strip()] = None
        if self.symbol is not None:
            is_ours = found.strip().casefold() == self.symbol.casefold()
            self._seen = found if is_ours else self._seen
            counts.others += not is_ours
            return is_ours
        if self._seen is None or found.strip() == self._seen.strip():
            self._seen = found
            return True
        raise self._bad(
            number,
            f"the file has several instruments: {self._listed()}; play one of them with --symbol",
            self.layout.name(column),
        )

    def _is_header(self, cells: Sequence[str]) -> bool:
        """Whether a row names the columns again, as where files were joined."""
        layout = self.layout
        if len(cells) < layout.width:
            return False
        here = [names.normal(cells[at]) for at in (*layout.time, *layout.prices)]
        if layout.header is not None:
            return here == [names.normal(layout.header[at]) for at in (*layout.time, *layout.prices)]
        spelled = list(names.BARS.values()) if layout.is_bars else [names.PRICE, names.BID]
        found = here[len(layout.time) :]
        return here[0] in names.TIME and all(name in known for name, known in zip(found, spelled, strict=False))

    def _refuse_jump(self, number: int, price: str, last: float) -> None:
        raise self._bad(
            number,
            f"the price jumps from {last:.12g} to {price}, by more than a factor of {self.jump_max:g}. "
            "Is it another instrument, or a wrong digit? If it is right, add --max-jump with a larger factor",
            self.layout.name(self.layout.prices[0]),
        )

    def _refuse_two_at_once(self, number: int, close: float, last: float) -> None:
        if not last < close * SAME_TIME_MAX < last * SAME_TIME_MAX**2:
            raise self._bad(
                number,
                f"it has the time of the row above and another price, {close:.12g} after {last:.12g}: "
                "are these two instruments? Split the file by instrument",
            )

    def _listed(self) -> str:
        shown = list(self.counts.instruments)[:10]
        return ", ".join(shown) + (" …" if len(self.counts.instruments) > 10 else "")

    def _bad(self, number: int, problem: str, column: str | None = None) -> BadRow:
        return bad_row(self.name, self.unit, number, problem, column)


def _all(holds: Callable[[float, float], bool], left: Sequence[float], right: Sequence[float]) -> bool:
    return all(map(holds, left, right))


def _together(rows: Sequence[_Good]) -> Priced | None:
    if not rows:
        return None
    numbers, at_ms, prices = zip(*rows, strict=True)
    return Priced(numbers, at_ms, list(zip(*prices, strict=True)))


def _span(ms: int) -> str:
    """A length of time for people."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= size:
            return f"{ms / size:.3g} {unit}"
    return f"{ms} ms"
