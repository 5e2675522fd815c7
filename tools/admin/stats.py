"""``perps stats``: the venue's own figures."""

from __future__ import annotations

from typing import Final

import rich_click as click

from perps.wire.venue import STATS
from tools.admin.answers import Record, show_as, show_rows
from tools.output import show_record
from tools.settings import Access, SettingsCommand, access_options, json_option

COLUMNS: Final = {
    "ticker": "ticker",
    "status": "status",
    "positions": "positions",
    "margin": "margin",
    "skew": "skew",
    "house": "house",
    "insurance": "insurance",
    "available": "houseAvailable",
    "liability": "houseLiability",
    "offset": "offset",
    "reason": "reason",
}


_Stats = dict[str, bool | int | float | str | Record | list[Record] | None]


@click.command(cls=SettingsCommand)
@access_options
@json_option
def stats(access: Access, as_json: bool) -> None:
    """Show the venue's own figures: rows, users, accounts, markets."""
    show_as(access, STATS, _Stats, _show, as_json=as_json)


def _show(figures: _Stats) -> None:
    markets = figures.pop("markets", None)
    show_record(figures)
    if isinstance(markets, list) and markets:
        click.echo()
        show_rows(markets, COLUMNS)
