"""``perps monitor``: look at a venue as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from msgspec import to_builtins

from tools.argument_types import Real
from tools.output import show_json, show_line, show_table
from tools.settings import Access, SettingsCommand, access_options, json_option

if TYPE_CHECKING:
    from tools.monitor.figures import Figures

PATIENCE_S = 30.0
"""How long a live table goes on asking a venue that does not answer."""


@click.command(cls=SettingsCommand)
@click.option(
    "--interval",
    type=Real(0.1, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between two looks; rates and percentiles are of that time.",
)
@click.option(
    "--check",
    "thresholds",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look once, say which thresholds of this TOML file are passed, and end with 1 if one is.",
)
@access_options
@json_option
def monitor(interval: float, thresholds: Path | None, access: Access, as_json: bool) -> int:
    """Show markets and the flow of commands, live, until Ctrl-C.

    Where stdout is no terminal, it looks once. --json looks once and prints everything, for programs.
    """
    from tools.client import be_patient, venue_at
    from tools.monitor.checks import broken, read_thresholds
    from tools.monitor.figures import figures
    from tools.monitor.sample import take
    from tools.monitor.screen import COLUMNS, lines_of, row_of, screen

    allowed = read_thresholds(thresholds) if thresholds else None
    is_once = as_json or allowed is not None or not sys.stdout.isatty()

    async def look_once() -> Figures:
        async with venue_at(access) as venue:
            before = await take(venue)
            await asyncio.sleep(interval)
            return figures(before, await take(venue))

    async def go_on() -> None:
        from rich.live import Live

        async with venue_at(access) as venue:
            before = await take(venue)
            be_patient(venue, PATIENCE_S)
            with Live(auto_refresh=False, screen=True) as live:
                while True:
                    await asyncio.sleep(interval)
                    now = await take(venue)
                    live.update(screen(figures(before, now), venue.url), refresh=True)
                    before = now

    if not is_once:
        with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
            asyncio.run(go_on())
        return 0
    found = asyncio.run(look_once())
    wrong = list(broken(found, allowed)) if allowed else []
    if as_json:
        show_json(to_builtins(found) | ({"ok": not wrong, "broken": wrong} if allowed else {}))
    elif allowed:
        for line in wrong or ["every threshold is kept"]:
            show_line(line)
    else:
        for line in lines_of(found.venue):
            show_line(line)
        show_table(COLUMNS, [row_of(market) for market in found.markets])
    return 1 if wrong else 0
