"""``perps stats``: the venue's own figures."""

from __future__ import annotations

from typing import Final

import msgspec
import rich_click as click

from tools.admin.answers import Record, ask, decoded, show_rows
from tools.output import show_json, show_record
from tools.settings import Access, SettingsCommand, access_options, json_option

COLUMNS: Final = {
    "ticker": "ticker",
    "status": "status",
    "positions": "positions",
    "margin": "margin",
    "skew": "skew",
    "house": "house",
    "insurance": "insurance",
    "offset": "offset",
    "reason": "reason",
}


class _Stats(msgspec.Struct):
    markets: list[Record] = []


@click.command(cls=SettingsCommand)
@access_options
@json_option
def stats(access: Access, as_json: bool) -> None:
    """Show the venue's own figures: rows, users, accounts, markets."""
    answer = ask(access, lambda venue: venue.get("/api/admin/stats"))
    if as_json:
        show_json(answer)
        return
    figures, markets = decoded(access, answer, Record), decoded(access, answer, _Stats).markets
    figures.pop("markets", None)
    show_record(figures)
    if markets:
        click.echo()
        show_rows(markets, COLUMNS)
