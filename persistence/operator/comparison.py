"""Whether the query tables hold exactly what the rows imply, record for record.

An older version stored the legs of a trade, and the position that it began, in records of their own; this one has them
in the fill (``perps/folding.py``). Either is right, for each row as a whole.

In constant memory but for the open positions: the tables are read in step with the journal, and a position's record is
compared when it can change no more, or at the end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final

from perps.candles import CandleMaker
from perps.journal import Entry
from perps.market.position import position_id, split_position_id
from perps.market.state import Market
from perps.projection import Record, merge_position, query_rows
from perps.query_rows import STATUS_OPEN
from perps.snapshot.verification import Findings
from persistence.journal.tables import CANDLES, FILLS, FUNDING, LEGS, POSITIONS, PRICES, Table

IN_STEP: Final = (FILLS, LEGS, PRICES, FUNDING, CANDLES)
"""Tables whose records belong to one row each: keyed by offset and n."""

POSITIONS_AT_ONCE: Final = 5_000
"""Open positions looked up by one statement."""

_ID, _OPENED, _OFFSET, _STATUS, _TICKER = (
    POSITIONS.columns.index(name) for name in ("id", "opened_offset", "offset", "status", "ticker")
)
_LEG, _LEVERAGE, _POSITION_ID = (FILLS.columns.index(name) for name in ("leg", "leverage", "position_id"))
_place: Final = itemgetter(0, 1)

ReadMore = Callable[[], Sequence[Record]]
ReadPositions = Callable[[Sequence[str]], Sequence[Record]]


class RecordStream:
    """Records in the order of offsets, read as they are asked for."""

    def __init__(self, read_more: ReadMore) -> None:
        """``read_more`` gives the next records; none when there are no more."""
        self._read_more = read_more
        self._page: Sequence[Record] = ()
        self._at = 0

    def until(self, offset: int) -> list[Record]:
        """The records not given yet, up to those of row ``offset``."""
        found: list[Record] = []
        while True:
            end = bisect_right(self._page, offset, lo=self._at, key=itemgetter(0))
            found += map(tuple, self._page[self._at : end])
            self._at = end
            if end < len(self._page):
                return found
            self._page, self._at = self._read_more(), 0
            if not self._page:
                return found


class Comparison:
    """Takes the entries of all rows, page by page, and tells ``findings`` where the tables say something else.

    Records of rows after ``last``, the last row of the journal, are no finding here: that the journal has lost its
    tail is one finding for all of them.
    """

    def __init__(
        self, findings: Findings, streams: Mapping[str, RecordStream], read_positions: ReadPositions, last: int
    ) -> None:
        self._findings = findings
        self._streams = streams
        self._read_positions = read_positions
        self._last = last
        self._open: dict[str, Record] = {}
        self._in_fills: set[str] = set()
        """Open positions that nothing has changed since a fill that says all of them: they have no record."""
        self._candles = CandleMaker(from_first=True)

    def take(self, entries: Sequence[Entry]) -> None:
        """The next rows, with their meaning."""
        if not entries:
            return
        last = entries[-1].row.offset
        implied, apart = query_rows(entries), query_rows(entries, fold=False)
        fills, old = self._streams[FILLS.name].until(last), set[int]()
        if fills != implied.fills:
            old = _rows_apart(implied.fills, fills)
            self._compare_records(FILLS, _either(old, apart.fills, implied.fills), fills)
        legs = _either(old, apart.legs, implied.legs) if old else implied.legs
        self._compare_records(LEGS, legs, self._streams[LEGS.name].until(last))
        self._compare_records(PRICES, implied.prices, self._streams[PRICES.name].until(last))
        self._compare_records(FUNDING, implied.funding, self._streams[FUNDING.name].until(last))
        self._compare_records(CANDLES, self._candles.take(entries), self._streams[CANDLES.name].until(last))
        self._take_positions(apart.opened, apart.changed)
        said = {fill[_POSITION_ID] for fill in implied.fills if fill[_LEVERAGE] is not None and fill[0] not in old}
        self._in_fills.update(
            record[_ID] for record in apart.opened if record[_ID] in said and record[_OFFSET] == record[_OPENED]
        )

    def _take_positions(self, opened: Sequence[Record], changed: Sequence[Record]) -> None:
        self._open.update((record[_ID], record) for record in opened)
        for change in changed:
            self._open[change[_ID]] = merge_position(self._open[change[_ID]], change)
            self._in_fills.discard(change[_ID])
        touched = (record[_ID] for record in (*opened, *changed))
        ended = [name for name in touched if self._open[name][_STATUS] != STATUS_OPEN]
        self._compare_positions([self._open.pop(name) for name in ended])

    def end(self, markets: Mapping[str, Market], positions: Iterable[tuple[str, int, int]]) -> None:
        """All rows have been taken, and led to ``markets``: the open positions, and every position that is too many.

        ``positions``: id, opening row and last row of all records of the table.
        """
        left = [record for name, record in self._open.items() if name not in self._in_fills]
        for start in range(0, len(left), POSITIONS_AT_ONCE):
            self._compare_positions(left[start : start + POSITIONS_AT_ONCE])
        for name, opened, changed in positions:
            if opened <= self._last and not _is_position(name, markets):
                self._findings.add(f"positions: {name} is there, and no row opened it", opened)
            elif changed <= self._last and name in self._in_fills:
                self._findings.add(f"positions: {name} is there, and no row changed it since its open", opened)

    def _compare_records(self, table: Table, expected: list[Record], found: list[Record]) -> None:
        if found == expected:
            return
        wanted, there = _by_place(expected), _by_place(found)
        ticker = table.columns.index("ticker") if "ticker" in table.columns else None
        for place in sorted(wanted.keys() | there.keys()):
            mine, others = wanted.get(place, []), there.get(place, [])
            if mine == others:
                continue
            name = f"{table.name}: record {place[0]}-{place[1]}"
            if not others:
                problem = f"{name} is missing"
            elif not mine:
                problem = f"{name} is there, and no row implies it"
            elif len(others) > len(mine):
                problem = f"{name} is there {len(others)} times"
            else:
                problem = f"{name} was altered: {_differences(table, mine[0], others[0])}"
            record = (mine or others)[0]
            self._findings.add(problem, place[0], None if ticker is None else record[ticker])

    def _compare_positions(self, expected: list[Record]) -> None:
        if not expected:
            return
        found: dict[str, list[Record]] = {}
        for record in self._read_positions([record[_ID] for record in expected]):
            found.setdefault(record[_ID], []).append(record)
        for record in expected:
            there = found.get(record[_ID], [])
            if there == [record] or any(other[_OFFSET] > self._last for other in there):
                continue
            name = f"positions: {record[_ID]}"
            if not there:
                problem = f"{name} is missing"
            elif len(there) > 1:
                problem = f"{name} is there {len(there)} times"
            else:
                problem = f"{name} was altered: {_differences(POSITIONS, record, there[0])}"
            self._findings.add(problem, record[_OFFSET], record[_TICKER])


def _rows_apart(expected: Iterable[Record], found: Iterable[Record]) -> set[int]:
    """The rows whose legs and positions were stored by themselves, where the present version has them in the fill."""
    folded = {_place(fill) for fill in expected if fill[_LEG] is not None}
    return {fill[0] for fill in found if fill[_LEG] is None and _place(fill) in folded}


def _either(old: set[int], apart: list[Record], implied: list[Record]) -> list[Record]:
    """Of the rows ``old`` the records ``apart``, of the others those ``implied``."""
    taken = [record for record in apart if record[0] in old] + [record for record in implied if record[0] not in old]
    return sorted(taken, key=_place)


def _by_place(records: Iterable[Record]) -> dict[tuple[int, int], list[Record]]:
    found: dict[tuple[int, int], list[Record]] = {}
    for record in records:
        found.setdefault(_place(record), []).append(record)
    return found


def _differences(table: Table, expected: Record, found: Record) -> str:
    return ", ".join(_unequal(table, expected, found))


def _unequal(table: Table, expected: Record, found: Record) -> Iterator[str]:
    for name, mine, other in zip(table.columns, expected, found, strict=True):
        if mine != other:
            yield f"{name} is {other}, its row says {mine}"


def _is_position(name: str, markets: Mapping[str, Market]) -> bool:
    """Whether a market has opened a position of this id: it numbers them from 1 without gaps."""
    parts = split_position_id(name)
    if parts is None or position_id(*parts) != name:
        return False
    market = markets.get(parts[0])
    return market is not None and 1 <= parts[1] < market.next_number
