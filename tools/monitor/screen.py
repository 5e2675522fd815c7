"""The figures as a terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tools.monitor.figures import Figures, MarketFigures, VenueFigures
from tools.output import counted, fitting, hidden_note, printable

if TYPE_CHECKING:
    from rich.console import Group

COLUMNS: Final = (
    "market",
    "status",
    "index",
    "quote",
    "mark",
    "skew",
    "skew %",
    "OI long",
    "OI short",
    "OI %",
    "funding/h %",
    "house",
    "liability",
    "age s",
)
LESS: Final = ("OI short", "OI long", "skew", "mark", "status", "liability", "index", "house", "OI %", "funding/h %")
"""Columns that a narrow terminal does not show: which goes first comes first."""
OLD_S: Final = 60.0
AROUND: Final = 6
"""Lines that a table and the notes below it take besides its rows."""
NEAR: Final = 0.9
"""A share from which on a figure is marked."""


def row_of(market: MarketFigures) -> tuple[str, ...]:
    """One market as cells."""
    return (
        market.ticker,
        market.status,
        market.index,
        market.quote,
        market.mark,
        market.skew,
        f"{market.skew_share * 100:.0f}",
        market.open_interest_long,
        market.open_interest_short,
        f"{market.open_interest_share * 100:.0f}",
        f"{float(market.funding) * 100:.4f}",
        f"{float(market.house):,.2f}",
        f"{float(market.liability):,.2f}",
        f"{market.price_age_s:.0f}",
    )


def lines_of(venue: VenueFigures) -> list[str]:
    """The venue in a few lines. What is cut off at the end of one, on a narrow terminal, matters least."""
    rate, refused = sum(venue.commands_per_s.values()), sum(venue.refusals_per_s.values())
    return [
        f"row {venue.offset:,}   snapshot {venue.snapshot_age_s:.0f} s ago, {venue.snapshot_rows:,} rows behind   "
        f"streams {venue.streams}",
        f"{rate:,.1f} commands/s   p50 {venue.p50_ms:.1f} ms   p99 {venue.p99_ms:.1f} ms   "
        f"in flight {venue.in_flight}   {_most(venue.commands_per_s)}",
        f"{refused:,.1f} refusals/s   journal p99 {venue.commit_p99_ms:.1f} ms   {_most(venue.refusals_per_s)}",
        *([f"core rebuilt {counted(venue.restarts, 'time')}"] if venue.restarts else []),
        *(f"problem: {part}: {why}" for part, why in venue.problems.items()),
    ]


def screen(figures: Figures, url: str, width: int, height: int) -> Group:
    """Everything that a terminal of this size has room for, as rich draws it."""
    from rich.box import SIMPLE
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = [tuple(map(printable, row_of(market))) for market in figures.markets]
    kept = fitting(COLUMNS, rows, LESS, width)
    head = [Text(printable(line), no_wrap=True, overflow="ellipsis") for line in (url, *lines_of(figures.venue))]
    room = max(height - len(head) - AROUND, 1)
    shown = sorted(range(len(rows)), key=lambda at: not _marks(figures.markets[at]))[:room]
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for at in kept:
        column = COLUMNS[at]
        table.add_column(column, justify="left" if column in ("market", "status") else "right", no_wrap=True)
    for number in sorted(shown):
        market = figures.markets[number]
        marks, style = _marks(market), "" if market.status == "enabled" else "dim"
        table.add_row(*(Text(rows[number][at], "yellow" if COLUMNS[at] in marks else style) for at in kept))
    notes = [f"{len(rows) - room} more markets: --json has all"] if len(rows) > room else []
    notes += [hidden_note(COLUMNS, rows, kept)] if len(kept) < len(COLUMNS) else []
    return Group(*head, table, *(Text(note, "dim", no_wrap=True, overflow="ellipsis") for note in notes))


def _marks(market: MarketFigures) -> set[str]:
    """The columns of a market that somebody should look at."""
    found = {
        "skew %": market.skew_share >= NEAR,
        "OI %": market.open_interest_share >= NEAR,
        "liability": market.liability_share >= NEAR,
        "age s": market.price_age_s >= OLD_S,
    }
    return {column for column, is_marked in found.items() if is_marked}


def _most(rates: Mapping[str, float], count: int = 4) -> str:
    """The most frequent of these."""
    shown = [f"{name} {rate:g}" for name, rate in list(rates.items())[:count]]
    return ", ".join([*shown, *(["…"] if len(rates) > count else [])]) or "none"
