"""``perps journal``: the journal's rows, as the database has them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import rich_click as click

from perps.commands import KINDS
from tools.argument_types import OFFSET, OFFSET_MAX, TICKER, Whole
from tools.audit.database import venue_database
from tools.output import json_text, show_line
from tools.settings import SettingsCommand, data_dir_option, database_url_option, json_option

if TYPE_CHECKING:
    from perps.journal import Row
    from perps.params import MarketParams
    from persistence.journal.rows import Pick, PostgresRows

WIDTHS: Final = (8, 24, 18, 8, 16)
"""Widths of all columns but the last, on a terminal. Elsewhere tabs separate the columns."""


@click.command(cls=SettingsCommand)
@click.option("--from", "first", type=OFFSET, default=1, show_default=True, help="Begin with this row.")
@click.option("--to", "last", type=OFFSET, default=OFFSET_MAX, help="End with this row.  [default: the last row]")
@click.option("--ticker", type=TICKER, help="Only rows of this market.")
@click.option("--user", help="Only rows that this user sent, or that changed this user's wallet or positions.")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="Only rows of this kind. A liquidation is in the row of the price, open or close that caused it; what does not"
    " fit there is in the sweep rows after it.",
)
@click.option("--last", "count", type=Whole(1), help="Only this many, the newest.")
@data_dir_option
@database_url_option
@json_option
def journal(
    first: int,
    last: int,
    ticker: str | None,
    user: str | None,
    kind: str | None,
    count: int | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Print the journal's rows, oldest first.

    Each row is one line: offset, time, market and sequence, kind, sender, what happened. With --json each is an object.

    This command checks nothing, so it also shows rows that perps verify finds wrong. If no row matches, it says so on
    stderr and ends with exit code 0.
    """
    from persistence.journal.rows import Pick, PostgresRows

    pick = Pick(first=first, last=last, stream=ticker, user=user, kind=kind)
    is_empty = True
    with venue_database(database_url, data_dir) as url:
        rows = PostgresRows(url)
        if count is not None:
            pick = msgspec.structs.replace(pick, first=rows.first_of_last(pick, count))
        for page in _json_lines(rows, pick) if as_json else _lines(rows, pick):
            sys.stdout.write(page)
            sys.stdout.flush()
            is_empty = False
    if is_empty:
        show_line("no row matches these options", err=True)


def _json_lines(rows: PostgresRows, pick: Pick) -> Iterator[str]:
    from tools.audit.event_text import row_as_json

    for page in rows.pages(pick):
        yield "".join(json_text(row_as_json(row)) + "\n" for row in page)


def _lines(rows: PostgresRows, pick: Pick) -> Iterator[str]:
    from tools.audit.event_text import row_in_words

    listed: dict[str, MarketParams | None] = {}
    for page in rows.pages(pick):
        for row in page:
            if row.stream not in listed:
                listed[row.stream] = _params(rows.listing(row.stream))
        yield "".join(_aligned(row_in_words(row, listed[row.stream])) for row in page)


def _aligned(cells: list[str]) -> str:
    if not sys.stdout.isatty():
        return "\t".join(cells) + "\n"
    *columns, last = cells
    padded = [cell.rjust(WIDTHS[0]) if at == 0 else cell.ljust(WIDTHS[at]) for at, cell in enumerate(columns)]
    return " ".join([*padded, last]) + "\n"


def _params(listing: Row | None) -> MarketParams | None:
    """A market's parameters from its first row; None if that row does not list it."""
    from perps.events import MarketListed
    from tools.audit.event_text import Undecodable, events_of

    if listing is None:
        return None
    try:
        events = events_of(listing)
    except Undecodable:
        return None
    return next((event.params for event in events if isinstance(event, MarketListed)), None)
