"""The same prices written in many layouts read the same, whether rows are looked at together or one by one."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tools.feeds.files.support import START_S, file_of
from tools.feeds.files import BadFile, Tick
from tools.feeds.files.checked import Checker

LOOSE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
TIMES = {
    "s": lambda at: str(at),
    "ms": lambda at: str(at * 1000),
    "us": lambda at: str(at * 10**6),
    "ns": lambda at: str(at * 10**9),
    "iso": lambda at: _moment(at).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "plain": lambda at: _moment(at).strftime("%Y-%m-%d %H:%M:%S"),
    "points": lambda at: _moment(at).strftime("%d.%m.%Y %H:%M:%S"),
    "compact": lambda at: _moment(at).strftime("%Y%m%d %H%M%S"),
    "ampm": lambda at: _moment(at).strftime("%Y-%m-%d %I:%M:%S %p"),
    "named": lambda at: _moment(at).strftime("%d %b %Y %H:%M:%S"),
}


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


@dataclass(frozen=True)
class Layout:
    """How a table is written."""

    time: str
    delimiter: str
    has_header: bool
    is_newest_first: bool
    ends: str
    is_quoted: bool
    has_comma: bool
    preamble: str
    is_packed: bool

    def written(self, rows: Sequence[tuple[int, tuple[Decimal, ...]]]) -> bytes:
        head = ["time", "open", "high", "low", "close"] if len(rows[0][1]) == 4 else ["time", "price"]
        table = [[TIMES[self.time](at), *map(self._number, prices)] for at, prices in rows]
        table = [head] * self.has_header + (table[::-1] if self.is_newest_first else table)
        quote = '"' if self.is_quoted or self.has_comma else ""
        lines = [self.preamble] * bool(self.preamble)
        lines += [self.delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in table]
        data = self.ends.join([*lines, ""]).encode()
        return gzip.compress(data) if self.is_packed else data

    def _number(self, price: Decimal) -> str:
        return f"{price:f}".replace(".", ",") if self.has_comma else f"{price:f}"


LAYOUTS = st.builds(
    Layout,
    st.sampled_from(list(TIMES)),
    st.sampled_from([",", ";", "\t", "|"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "# a note", "", ""]),
    st.booleans(),
)
PRICES = st.decimals("50", "99.9999", places=4)


@st.composite
def tables(draw: st.DrawFn, of_bars: bool | None = None) -> list[tuple[int, tuple[Decimal, ...]]]:
    """Rows in order of time: bars a minute or more apart, or single prices."""
    is_bars = draw(st.booleans()) if of_bars is None else of_bars
    steps = draw(st.lists(st.integers(1, 50), min_size=2, max_size=12))
    rows: list[tuple[int, tuple[Decimal, ...]]] = []
    at = START_S
    for step in steps:
        at += step * 60
        found = sorted(draw(st.lists(PRICES, min_size=4, max_size=4)))
        begin, end = (found[1], found[2]) if draw(st.booleans()) else (found[2], found[1])
        rows.append((at, (begin, found[3], found[0], end) if is_bars else (begin,)))
    return rows


def expected(rows: Sequence[tuple[int, tuple[Decimal, ...]]]) -> list[tuple[int, Decimal]]:
    """What plays, said slowly."""
    found: list[tuple[int, Decimal]] = []
    length: int | None = None
    for place, (at, prices) in enumerate(rows):
        if len(prices) == 1:
            found.append((at * 1000, prices[0]))
            continue
        if place + 1 < len(rows):
            length = min(length or 10**9, rows[place + 1][0] - at)
        begin, high, low, end = prices
        path = (begin, low, high, end) if end > begin else (begin, high, low, end)
        found += [(at * 1000 + quarter * ((length or 60) * 250), price) for quarter, price in enumerate(path)]
    return found


def told(ticks: Sequence[Tick]) -> list[tuple[int, Decimal]]:
    return [(tick.at_ms, tick.price) for tick in ticks]


@LOOSE
@given(rows=tables(), layout=LAYOUTS)
def test_a_table_in_any_layout_reads_the_same(
    rows: list[tuple[int, tuple[Decimal, ...]]], layout: Layout, tmp_path: Path
) -> None:
    path = tmp_path / "prices"
    path.write_bytes(layout.written(rows))
    assert told(list(file_of(path).ticks())) == expected(rows)


ODD = st.sampled_from(["", "nan", "oops", "-1", "0", "1e999", "99999", "2024", "17040672000000", "a,b", '"'])
CELLS = ODD | st.sampled_from(["50", "61.5", "75", "88.25", "99.9999"])
"""What no cell may be, and prices that contradict the others of their bar."""


@settings(LOOSE, max_examples=300)
@given(rows=tables(of_bars=True), place=st.integers(0, 11), column=st.integers(0, 4), cell=CELLS)
def test_rows_together_say_what_rows_one_by_one_say(
    rows: list[tuple[int, tuple[Decimal, ...]]], place: int, column: int, cell: str, tmp_path: Path
) -> None:
    table = [[str(at * 1000), *map(str, prices)] for at, prices in rows]
    table[place % len(table)][column] = cell
    path = tmp_path / "prices"
    path.write_text("time,open,high,low,close\n" + "".join(",".join(row) + "\n" for row in table))

    with pytest.MonkeyPatch.context() as patch:
        together = _outcome(path)
        patch.setattr(Checker, "_quickly", lambda *_: None)
        one_by_one = _outcome(path)

    assert together == one_by_one


def _outcome(path: Path) -> object:
    try:
        return told(list(file_of(path).ticks()))
    except BadFile as error:
        return str(error)
