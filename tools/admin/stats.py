"""``perps stats``: the venue's own figures."""

from __future__ import annotations

from typing import Final

import rich_click as click
from msgspec import to_builtins

from perps.wire.venue import STATS, Stats
from tools.admin.answers import show_as, show_rows
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


@click.command(cls=SettingsCommand)
@access_options
@json_option
def stats(access: Access, as_json: bool) -> None:
    """Show the venue's own figures: rows, users, accounts, markets."""
    show_as(access, STATS, Stats, _show, as_json=as_json)


def _show(figures: Stats) -> None:
    shown = to_builtins(figures)
    del shown["markets"]
    show_record(shown)
    if figures.markets:
        click.echo()
        show_rows(figures.markets, COLUMNS)
