"""``perps reconcile``: is each price the same in the journal, the tables, a venue's memory and another system?"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click
from click.core import ParameterSource
from click.globals import get_current_context

from tools.argument_types import DATABASE_URL, NOT_NEGATIVE, VENUE_URL
from tools.audit.database import venue_database
from tools.errors import ToolError, VenueUnreachable
from tools.output import counted, progress, show_json, show_line, show_table
from tools.settings import Access, SettingsCommand, access_to, data_dir_option, database_url_option, json_option

if TYPE_CHECKING:
    from perps.venue import VenueState
    from tools.audit.compare_prices import PriceRow
    from tools.audit.external import ExternalPrice
    from tools.audit.live import Difference, Follower, Said

_IS_URL: Final = re.compile(r"https?://")


@click.command(cls=SettingsCommand)
@data_dir_option
@database_url_option
@click.option(
    "--url",
    type=VENUE_URL,
    help="Also compare with the memory of the venue at this address, which must be running.",
)
@click.option(
    "--key", envvar="PERPS_ADMIN_KEY", help="The API key for --url.  [default: the key in <data-dir>/admin.key]"
)
@click.option(
    "--external", help="Also compare with the prices in this CSV: a file or an http URL. Columns: ticker, price."
)
@click.option(
    "--external-url", type=DATABASE_URL, help="Also compare with the prices in this other PostgreSQL database."
)
@click.option("--external-query", help="The query to read them. Its columns: ticker, price.")
@click.option(
    "--price",
    "kind",
    type=click.Choice(["index", "mark", "quote"]),
    default="index",
    show_default=True,
    help="Which of our prices to compare with the other system's.",
)
@click.option(
    "--tolerance-bps",
    type=NOT_NEGATIVE,
    default="0",
    show_default=True,
    help="The largest difference that is fine, in 1/10,000 of their price.",
)
@json_option
def reconcile(
    data_dir: Path | None,
    database_url: str | None,
    url: str | None,
    key: str | None,
    external: str | None,
    external_url: str | None,
    external_query: str | None,
    kind: str,
    tolerance_bps: str,
    as_json: bool,
) -> int:
    """Compare prices and positions everywhere, and with other systems.

    The journal is what counts. The query tables are compared with it, and if you ask for them a running venue (--url)
    and another system's prices (--external, or --external-url with --external-query). Exit code 1: something differs.
    """
    if (external_url is None) is not (external_query is None):
        raise click.UsageError("--external-url and --external-query go together: give both")
    if external is not None and external_url is not None:
        raise click.UsageError("give --external or --external-url, not both")
    access = None if url is None else access_to(url, key, data_dir)
    theirs = _outside(external, external_url, external_query)
    with venue_database(database_url, data_dir) as database:
        try:
            state, differences = _inside(database, access)
        except VenueUnreachable as error:
            if get_current_context().get_parameter_source("url") is ParameterSource.COMMANDLINE:
                raise
            show_line(f"the venue's memory is not compared: {error}", err=True)
            state, differences = _inside(database, None)
    prices = [] if theirs is None else _compared(state, theirs, kind, Decimal(tolerance_bps))
    _tell(state, differences, prices, as_json=as_json)
    return 0 if not differences and all(row.within for row in prices) else 1


def _inside(database: str, access: Access | None) -> tuple[VenueState, list[Difference]]:
    """The state at the journal's end, and where memory and tables differ from it."""
    import structlog

    from actors.recovery import begin
    from perps.venue import JournalCorrupt, VenueState
    from persistence.journal.history import PostgresHistory
    from persistence.operator.audit import Audit
    from tools.audit.live import Difference, Follower, ask_venue
    from tools.audit.tables import differences_in_tables

    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )  # warnings about what is skipped go there
    history = PostgresHistory(database)
    try:
        with Audit(database) as audit:
            before = audit.last_offset()
        said = [] if access is None else asyncio.run(ask_venue(access, not_before=before))
        first = min((words.offset for words in said), default=None)
        follower = Follower(begin(history, until=first) or VenueState(), history.rows)
        if first is not None and first < before:
            found = [Difference("offset", str(before), before, memory=str(first))]
        else:
            found = [] if access is None else _in_memory(access, follower, said)
        with Audit(database) as audit:
            last = audit.last_offset()
            if follower.follow(last):
                found += differences_in_tables(audit, follower.state)
            elif not found:
                found.append(Difference("offset", str(last), last, memory=str(follower.state.offset)))
    except JournalCorrupt as corrupt:
        raise ToolError(f"{corrupt}; run perps verify to learn more") from corrupt
    return follower.state, found


def _in_memory(access: Access, follower: Follower, said: Sequence[Said]) -> list[Difference]:
    from tools.audit.live import ask_positions, differences_in_memory

    found = list(differences_in_memory(follower, said))
    owners = follower.owners()
    with progress("comparing open positions", len(owners) or None) as report:
        positions = asyncio.run(ask_positions(access, owners, report))
    tell_left_out(len(owners) - len(positions))
    return found + list(differences_in_memory(follower, positions))


def tell_left_out(users: int) -> None:
    """Say on stderr how many users are left out, if any."""
    from tools.audit.live import POSITIONS_MAX

    if users:
        who = f"{counted(users, 'user')} {'has' if users == 1 else 'have'}"
        click.echo(f"{who} more than {POSITIONS_MAX} open positions: these are not compared", err=True)


def _outside(external: str | None, url: str | None, query: str | None) -> list[ExternalPrice] | None:
    """The other system's prices; None if nobody asked for them."""
    from perps.journal import JournalUnavailable
    from tools.audit.external import ROWS_MAX, read_file, read_rows, read_url

    if external is not None:
        return asyncio.run(read_url(external)) if _IS_URL.match(external) else read_file(Path(external))
    if url is None or query is None:
        return None
    from persistence.operator.foreign import ask

    try:
        header, rows = ask(url, query, ROWS_MAX + 1)
    except JournalUnavailable as error:
        raise ToolError(str(error)) from error
    return read_rows("the query", header, enumerate(rows, 1))


def _compared(state: VenueState, theirs: Sequence[ExternalPrice], kind: str, tolerance_bps: Decimal) -> list[PriceRow]:
    from tools.audit.compare_prices import compare_prices

    return compare_prices(state, theirs, kind=kind, tolerance_bps=tolerance_bps)


def _tell(state: VenueState, found: Sequence[Difference], prices: Sequence[PriceRow], *, as_json: bool) -> None:
    bad = sum(not row.within for row in prices)
    positions = sum(len(market.positions) for market in state.markets.values())
    if as_json:
        answer = {
            "ok": not found and not bad,
            "offset": state.offset,
            "markets": len(state.markets),
            "positions": positions,
            "differences": found,
            "external": prices,
        }
        show_json(answer)
        return
    if found:
        columns = ("offset", "ticker", "position", "field", "memory", "tables", "journal")
        cells = [(row.ticker, row.position_id, row.field, row.memory, row.tables, row.journal) for row in found]
        show_table(
            columns, [[str(row.offset), *(cell or "" for cell in more)] for row, more in zip(found, cells, strict=True)]
        )
    if prices:
        columns = ("ticker", "position", "external", "ours", "bps", "verdict", "at")
        show_table(columns, [_cells(row) for row in prices])
    counts = [counted(len(state.markets), "market"), counted(positions, "open position"), f"differences: {len(found)}"]
    if prices:
        counts.append(f"outside prices: {len(prices)}, mismatches: {bad}")
    click.echo(f"row {state.offset}: {', '.join(counts)}")


def _cells(row: PriceRow) -> list[str]:
    if row.ours is None:
        verdict = "only outside"
    elif row.external is None:
        verdict = "only here"
    else:
        verdict = "equal" if Decimal(row.ours) == Decimal(row.external) else "within" if row.within else "differs"
    return [cell or "" for cell in (row.ticker, row.position_id, row.external, row.ours, row.bps, verdict, row.at)]
