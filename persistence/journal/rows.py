"""Journal rows picked by market, user or kind, page by page: no transaction stays open while somebody reads a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from perps.journal import Row
from perps.money.accounts import user_account
from persistence.connection.connect import READ_TIMEOUT_S
from persistence.connection.session import ask
from persistence.journal.selections import OFFSET_MAX, ROW_COLUMNS

PAGE_ROWS: Final = 1_000

_LISTING: Final = f"select {ROW_COLUMNS} from journal where shard = $1 and stream = $2 and market_seq = 1"

_TOUCHED: Final = (
    ("journal", "shard = $1 and user_id = $4"),
    ("fills", "shard = $1 and user_id = $4"),
    ("fills", "shard = $1 and referrer = $4"),
    ("legs", "shard = $1 and source = $5 and source like 'user:%'"),
    ("legs", "shard = $1 and target = $5 and target like 'user:%'"),
)
"""Where it says that a row was a user's or moved something of his."""


class Pick(Struct, frozen=True, kw_only=True):
    """Which rows: those that every given part fits."""

    first: int = 1
    last: int = OFFSET_MAX
    stream: str | None = None
    kind: str | None = None
    user: str | None = None
    """Who sent it, or whose position or wallet it changed."""


class PostgresRows:
    """Reads picked rows. Blocking; every method raises ``JournalUnavailable``."""

    def __init__(self, url: str, shard: int = 0) -> None:
        self._url, self._shard = url, shard

    def pages(self, pick: Pick) -> Iterator[list[Row]]:
        """The picked rows, in order."""
        after = pick.first - 1
        while True:
            if pick.user is None:
                page = self._rows(pick, f'"offset" > $2 and "offset" <= $3{_filters(pick, 4)}', after, pick.last)
                count, end_of_page = len(page), page[-1].offset if page else after
            else:
                offsets = self._touched(pick, after)
                count, end_of_page = len(offsets), max(offsets, default=after)
                page = self._rows(pick, f'"offset" = any($2){_filters(pick, 3)}', offsets)
            if page:
                yield page
            if count < PAGE_ROWS:
                return
            after = end_of_page

    def first_of_last(self, pick: Pick, count: int) -> int:
        """Where the last ``count`` of the picked rows begin."""
        values: list[Any] = [self._shard, pick.first, pick.last]
        where = ""
        if pick.user is not None:
            values += [pick.user, user_account(pick.user)]
            parts = " union all ".join(f'select "offset" from {table} where {rule}' for table, rule in _TOUCHED)
            where = f' and "offset" in ({parts})'
        where += _filters(pick, len(values) + 1)
        values += _filter_values(pick)
        query = (
            'select min("offset") from (select "offset" from journal where shard = $1 and "offset" between $2 and $3'
            f'{where} order by "offset" desc limit {count:d}) newest'
        )
        found = self._fetch(query, *values)[0][0]
        return pick.first if found is None else int(found)

    def listing(self, ticker: str) -> Row | None:
        """The first row of a market: its listing, with its tick and lot."""
        found = self._fetch(_LISTING, self._shard, ticker)
        return Row(*found[0]) if found else None

    def _rows(self, pick: Pick, where: str, *values: Any) -> list[Row]:
        query = f'select {ROW_COLUMNS} from journal where shard = $1 and {where} order by "offset" limit {PAGE_ROWS}'
        return [Row(*found) for found in self._fetch(query, self._shard, *values, *_filter_values(pick))]

    def _touched(self, pick: Pick, after: int) -> list[int]:
        """The next rows that touch the user, at most a page of them."""
        user = pick.user or ""
        parts = " union all ".join(
            f'(select distinct "offset" from {table} where {rule} and "offset" > $2 and "offset" <= $3'
            f' order by "offset" limit {PAGE_ROWS})'
            for table, rule in _TOUCHED
        )
        query = f'select distinct "offset" from ({parts}) touched order by "offset" limit {PAGE_ROWS}'
        found = self._fetch(query, self._shard, after, pick.last, user, user_account(user))
        return [int(offset) for (offset,) in found]

    def _fetch(self, query: str, *values: Any) -> list[Any]:
        return ask(
            self._url,
            lambda connection: connection.fetch(query, *values, timeout=READ_TIMEOUT_S),
            name="perps rows",
            doing="reading the journal",
        )


def _filters(pick: Pick, parameter: int) -> str:
    """Conditions on stream and kind, with parameters from ``parameter`` on."""
    names = [name for name in ("stream", "kind") if getattr(pick, name) is not None]
    return "".join(f" and {name} = ${number}" for number, name in enumerate(names, parameter))


def _filter_values(pick: Pick) -> list[str]:
    return [value for value in (pick.stream, pick.kind) if value is not None]
