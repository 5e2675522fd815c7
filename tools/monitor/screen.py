"""The figures as a terminal shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tools.monitor.figures import Figures, MarketFigures, VenueFigures
from tools.output import printable

if TYPE_CHECKING:
    from rich.console import Group

COLUMNS: Final = (
    "market",
    "status",
    "index",
    "quote",
    "mark",
    "skew",
    "%",
    "OI long",
    "OI short",
    "%",
    "funding/h %",
    "house",
    "liability",
    "age s",
)
OLD_S: Final = 60.0
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
    """The venue in a few lines."""
    rate, refused = sum(venue.commands_per_s.values()), sum(venue.refusals_per_s.values())
    return [
        f"row {venue.offset:,}   {rate:,.1f} commands/s ({_most(venue.commands_per_s)})   "
        f"p50 {venue.p50_ms:g} ms   p99 {venue.p99_ms:g} ms",
        f"{refused:,.1f} refusals/s ({_most(venue.refusals_per_s)})   in flight {venue.in_flight}   "
        f"journal p99 {venue.commit_p99_ms:g} ms",
        f"snapshot {venue.snapshot_age_s:.0f} s ago, {venue.snapshot_rows:,} rows behind   streams {venue.streams}   "
        f"core rebuilt {venue.restarts} times",
        *(f"problem: {part}: {why}" for part, why in venue.problems.items()),
    ]


def screen(figures: Figures, url: str) -> Group:
    """Everything, as rich draws it."""
    from rich.box import SIMPLE
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("market", "status") else "right", no_wrap=True)
    for market in figures.markets:
        style = "" if market.status == "enabled" else "dim"
        cells = [Text(printable(cell), style) for cell in row_of(market)]
        for at, is_marked in (
            (6, market.skew_share >= NEAR),
            (9, market.open_interest_share >= NEAR),
            (12, market.liability_share >= NEAR),
            (13, market.price_age_s >= OLD_S),
        ):
            if is_marked:
                cells[at].stylize("yellow")
        table.add_row(*cells)
    head = [Text(printable(line)) for line in (url, *lines_of(figures.venue))]
    return Group(*head, table)


def _most(rates: Mapping[str, float], count: int = 4) -> str:
    """The most frequent of these."""
    shown = [f"{name} {rate:g}" for name, rate in list(rates.items())[:count]]
    return ", ".join([*shown, *(["…"] if len(rates) > count else [])]) or "none"
