"""A price file as ticks, and what was understood of it. ``PriceFile`` is the entry."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from operator import sub
from pathlib import Path
from statistics import median
from typing import Final

from tools.feeds.files.checked import Checker, Counts, Priced
from tools.feeds.files.layout import Layout, layout_of
from tools.feeds.files.parquet import parquet_rows
from tools.feeds.files.problems import BadFile, bad_row
from tools.feeds.files.reading import Reading, Row, Sample
from tools.feeds.files.source import blocks, is_pipe, name_of, opened
from tools.feeds.files.text import NAMES, Rows, delimiter_of, is_beside_the_table
from tools.feeds.files.text import rows as text_rows
from tools.feeds.rounding import ROUNDING_BPS_MAX, coarse_tick

SAMPLE_ROWS: Final = 200
PIPE_ROWS: Final = 3
"""Rows of a pipe that are waited for before the columns are told: more may take long to come."""
BESIDE_MAX: Final = 100_000
"""Lines before the first of the table: more are no beginning of a price file."""
REVERSED_ROWS_MAX: Final = 10_000_000
"""Rows of a file whose newest row comes first: it is kept in memory as a whole."""
SINGLE_BAR_MS: Final = 60_000
"""How long a bar lasts if it is the only one."""
JUMP_MAX: Final = 10.0
SUSPECT_STEP_MS, SUSPECT_RANGE = 1000, 0.005
"""Bars a second apart that each move so much are days whose dates were misread."""


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


@dataclass
class Understood:
    """What a file was found to have, after reading it through. Times in ms since 1970."""

    layout: Layout
    separator: str
    counts: Counts
    rows: int = 0
    prices: int = 0
    first: Tick | None = None
    last: Tick | None = None
    least: Decimal | None = None
    most: Decimal | None = None
    longest_gap_ms: int = 0


@dataclass
class PriceFile:
    """Recorded prices: a path, or ``-`` for standard input; what is known of it, and the present time.

    A file can be read as often as one likes, a pipe once.
    """

    path: Path
    reading: Reading
    now_ms: int
    jump_max: float = JUMP_MAX
    _layout: Layout | None = None
    _separator: str = ""
    _begin: int = 0
    _chunks: Iterator[Rows] = field(default_factory=lambda: iter(()))
    _counts: Counts = field(default_factory=Counts)

    @property
    def name(self) -> str:
        """What messages call it."""
        return name_of(self.path)

    def ticks(self, window: Window | None = None) -> Iterator[Tick]:
        """The prices in order of time. A bar is four, a quarter of its time apart. Errors: BadFile, BadRow; OSError."""
        return chain.from_iterable(self.tick_blocks(window))

    def tick_blocks(self, window: Window | None = None) -> Iterator[list[Tick]]:
        """As ``ticks``, some at a time: of a pipe, as they come."""
        spread = _Spread()
        for rows in self._inside(window or Window()):
            if self.layout.is_bars:
                yield list(spread.ticks(rows))
                continue
            yield [Tick(*each) for each in zip(rows.at_ms, _middles(rows.prices), rows.numbers, strict=True)]
        if self.layout.is_bars:
            yield list(spread.rest())

    def read_through(
        self,
        window: Window | None = None,
        tick_size: Decimal | None = None,
        tell: Callable[[int], object] = lambda _: None,
    ) -> Understood:
        """Check every row, without making ticks of them. ``tell`` hears how many rows have been read.

        Errors: as ``ticks``; a tick too coarse for a price; no row is left to play.
        """
        window, is_bars = window or Window(), self.layout.is_bars
        coarse = 0.0 if tick_size is None else float(tick_size) * 5000 / ROUNDING_BPS_MAX
        found = Understood(self.layout, self._separator, self._counts)
        before_ms: int | None = None
        for rows in self._inside(window):
            at_ms, (begin, high, low, end) = rows.at_ms, rows.prices if is_bars else (rows.prices[0],) * 4
            least, most = min(low, key=float), max(high, key=float)
            found.least = min(found.least or Decimal(least), Decimal(least))
            found.most = max(found.most or Decimal(most), Decimal(most))
            if tick_size is not None and float(least) < coarse:
                self._refuse_coarse(rows, tick_size)
            gap = max(map(sub, at_ms[1:], at_ms), default=0)
            found.longest_gap_ms = max(found.longest_gap_ms, gap, at_ms[0] - (before_ms or at_ms[0]))
            before_ms = at_ms[-1]
            if not is_bars:
                begin = end = [*map(str, _middles([column[:: max(len(at_ms) - 1, 1)] for column in rows.prices]))]
            found.first = found.first or Tick(at_ms[0], Decimal(begin[0]), rows.numbers[0])
            found.last = Tick(at_ms[-1], Decimal(end[-1]), rows.numbers[-1])
            found.rows += len(at_ms)
            tell(found.rows)
        if found.first is None:
            raise BadFile(f"{self.name}: no row with a price is left to play{self._left_out(window)}")
        found.prices, found.counts = found.rows * (4 if is_bars else 1), self._counts
        return found

    @property
    def layout(self) -> Layout:
        """What the columns are."""
        if self._layout is None:
            self._layout = self._look()
        return self._layout

    def rounding_problem(self, tick: Tick, tick_size: Decimal) -> str | None:
        """Why a price cannot be put on this tick, and a tick that fits; None if it can."""
        problem = coarse_tick(tick.price, tick_size)
        return None if problem is None else f"{self.name} {self.unit} {tick.line}: {problem}"

    @property
    def unit(self) -> str:
        """What it is counted in."""
        return "row" if self._separator == "Parquet" else "line"

    def _inside(self, window: Window) -> Iterator[Priced]:
        """The checked rows of a window. Nothing after the window is read."""
        layout, count = self.layout, 0
        self._counts = Counts()
        checker = Checker(self.name, self.unit, layout, self.reading.symbol, self.now_ms, self.jump_max, self._counts)
        if self.reading.symbol is not None and layout.instrument is None:
            raise BadFile(f"{self.name}: there is no column of instruments for --symbol {self.reading.symbol}")
        if window.rows_max == 0:
            return
        for rows in checker.priced(self._data()):
            begin = 0 if window.from_ms is None else bisect_left(rows.at_ms, window.from_ms)
            end = len(rows.at_ms) if window.to_ms is None else bisect_left(rows.at_ms, window.to_ms)
            is_last = end < len(rows.at_ms)
            if window.rows_max is not None and count + end - begin >= window.rows_max:
                end, is_last = begin + window.rows_max - count, True
            if begin < end:
                count += end - begin
                yield Priced(rows.numbers[begin:end], rows.at_ms[begin:end], [each[begin:end] for each in rows.prices])
            if is_last:
                return

    def _data(self) -> Iterator[Rows]:
        """The rows of the table without its header, the oldest first."""
        layout = self.layout
        if is_pipe(self.path):
            found, self._chunks = self._chunks, iter(())
        else:
            found = self._all(layout.width)
        found = self._after(found)
        if not layout.is_newest_first:
            return found
        if is_pipe(self.path):
            raise BadFile(
                f"{self.name}: its newest row comes first, and a pipe cannot be turned round; save it as a file"
            )
        kept: list[Rows] = []
        for rows in found:
            kept.append(rows)
            if sum(len(each.cells) for each in kept[-1:]) + len(kept) * len(kept[0].cells) > REVERSED_ROWS_MAX:
                raise BadFile(
                    f"{self.name}: its newest row comes first, and it is too long to be turned round; sort it"
                )
        return (Rows(rows.numbers[::-1], rows.cells[::-1]) for rows in reversed(kept))

    def _after(self, found: Iterator[Rows]) -> Iterator[Rows]:
        """The rows behind the header."""
        for rows in found:
            if rows.numbers and rows.numbers[0] > self._begin:
                yield rows
            elif rows.numbers and rows.numbers[-1] > self._begin:
                begin = bisect_right(rows.numbers, self._begin)
                yield Rows(rows.numbers[begin:], rows.cells[begin:])

    def _look(self) -> Layout:
        """Find out what the columns are, from the first rows. Errors: BadFile, BadRow."""
        pipe = is_pipe(self.path)
        found = self._all()
        chunks: list[Rows] = []
        while sum(len(rows.cells) for rows in chunks) < (PIPE_ROWS if pipe else SAMPLE_ROWS):
            if (rows := next(found, None)) is None:
                break
            chunks.append(rows)
        if pipe:
            self._chunks = chain(chunks, found)
        sample = [row for rows in chunks for row in zip(*rows, strict=True)][:SAMPLE_ROWS]
        if not sample:
            raise BadFile(f"{self.name}: the file has no rows")

        def every() -> Iterator[Row]:
            return iter(sample) if pipe else (row for rows in self._all() for row in zip(*rows, strict=True))

        look = Sample(self.name, self.unit, sample, every, self._separator in ("commas", "Parquet"), self.now_ms)
        layout, self._begin = layout_of(look, self.reading)
        if layout.is_bars:
            self._refuse_seconds(layout, sample)
        return layout

    def _all(self, width: int | None = None) -> Iterator[Rows]:
        """Every row, from the first. ``width``: how many columns are needed; what is right of them stays together."""
        with opened(self.path) as file:
            if not is_pipe(self.path):
                is_parquet = file.read(4) == b"PAR1"
                file.seek(0)
                if is_parquet:
                    self._separator = "Parquet"
                    yield from parquet_rows(self.path)
                    return
            found = blocks(file, self.name)
            head, table = list[str](), 0
            while table < PIPE_ROWS and (more := next(found, None)):
                head += more
                table += sum(not is_beside_the_table(line) for line in more)
                if not table and len(head) > BESIDE_MAX:
                    raise bad_row(self.name, "line", len(head), "it and all lines above it are empty or comments")
            delimiter = delimiter_of(head[:SAMPLE_ROWS])
            if delimiter is None:
                self._refuse_one_column(head)
                return
            self._separator = NAMES.get(delimiter, repr(delimiter))
            first = 1
            for lines in chain((head,), found):
                yield text_rows(lines, first, delimiter, -1 if width is None else width)
                first += len(lines)

    def _refuse_one_column(self, head: list[str]) -> None:
        for number, line in enumerate(head, 1):
            if not is_beside_the_table(line):
                problem = f"there is one column in {line[:80]!r}; separate a time and a price by a comma"
                raise bad_row(self.name, "line", number, problem)

    def _refuse_seconds(self, layout: Layout, sample: list[Row]) -> None:
        """Days that were read as seconds. Errors: BadFile."""
        checker = Checker(self.name, self.unit, layout, None, self.now_ms, float("inf"))
        try:
            data = [row for row in sample if row[0] > self._begin]
            found = list(checker.priced([Rows(*map(list, zip(*data, strict=True)))]))
        except BadFile:
            return  # the reading itself says it
        at_ms = [each for rows in found for each in rows.at_ms]
        steps = list(map(sub, at_ms[1:], at_ms))
        if not steps or max(steps) > SUSPECT_STEP_MS:
            return
        pairs = [(float(high), float(low)) for rows in found for high, low in zip(*rows.prices[1:3], strict=True)]
        ranges = median(high / low - 1 for high, low in pairs)
        if ranges > SUSPECT_RANGE:
            column = layout.name(layout.time[0])
            problem = f"bars that move {ranges:.1%} each are at most a second apart: these are no seconds"
            hint = "say what the times are with --date-format, or which column has them with --time-column"
            raise bad_row(self.name, self.unit, found[0].numbers[0], f"{problem}; {hint}", column)

    def _refuse_coarse(self, rows: Priced, tick_size: Decimal) -> None:
        for at, number in enumerate(rows.numbers):
            for column in rows.prices:
                problem = self.rounding_problem(Tick(rows.at_ms[at], Decimal(column[at]), number), tick_size)
                if problem is not None:
                    raise BadFile(problem)

    def _left_out(self, window: Window) -> str:
        if window.from_ms is not None or window.to_ms is not None:
            return "; look at --from and --to"
        return f"; rows without one: {self._counts.empty}" if self._counts.empty else ""


def _middles(columns: Sequence[Sequence[str]]) -> Iterator[Decimal]:
    """The prices, or the middles of ask and bid."""
    if len(columns) == 1:
        return map(Decimal, columns[0])
    return ((Decimal(ask) + Decimal(bid)) / 2 for ask, bid in zip(*columns, strict=True))


@dataclass
class _Spread:
    """Four ticks a bar. A bar lasts until the next one, at most as long as the shortest so far: gaps stay empty."""

    _bar: tuple[int, int, tuple[str, ...]] | None = None
    _length_ms: int | None = None

    def ticks(self, rows: Priced) -> Iterator[Tick]:
        """The ticks of all bars but the last, which waits for the next one."""
        for number, at_ms, *prices in zip(rows.numbers, rows.at_ms, *rows.prices, strict=True):
            if self._bar is not None:
                step_ms = at_ms - self._bar[1]
                self._length_ms = step_ms if self._length_ms is None else min(self._length_ms, step_ms)
                yield from self.rest()
            self._bar = (number, at_ms, tuple(prices))

    def rest(self) -> Iterator[Tick]:
        """Open, the two extremes in the likelier order, close: a rising bar goes to its low first."""
        if self._bar is None:
            return
        number, at_ms, prices = self._bar
        begin, high, low, end = map(Decimal, prices)
        path = (begin, low, high, end) if end > begin else (begin, high, low, end)
        quarter_ms = (SINGLE_BAR_MS if self._length_ms is None else self._length_ms) // 4
        for at, price in enumerate(path):
            yield Tick(at_ms + at * quarter_ms, price, number)
