"""``perps monitor``: look at a venue as it runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from msgspec import to_builtins

from tools.argument_types import Real
from tools.output import show_json, show_line, show_table
from tools.settings import Access, SettingsCommand, access_options, json_option

if TYPE_CHECKING:
    from perps.client import Venue
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

    What was seen last stays on the terminal. Where stdout is no terminal, it looks once. --json looks once and prints
    everything, for programs.
    """
    from tools.client import be_patient, venue_at
    from tools.monitor.checks import broken, read_thresholds
    from tools.monitor.figures import figures
    from tools.monitor.sample import take
    from tools.monitor.screen import COLUMNS, LESS, lines_of, row_of, screen
    from tools.stopping import stopping

    allowed = read_thresholds(thresholds) if thresholds else None
    is_once = as_json or allowed is not None or not sys.stdout.isatty()

    async def look_once() -> Figures:
        async with venue_at(access) as venue:
            before = await take(venue)
            await asyncio.sleep(interval)
            return figures(before, await take(venue))

    async def go_on() -> None:
        from rich.live import Live

        found: Figures | None = None
        stop = asyncio.Event()

        async def look(venue: Venue, live: Live) -> None:
            nonlocal found
            before = await take(venue)
            be_patient(venue, PATIENCE_S)
            while True:
                await asyncio.sleep(interval)
                now = await take(venue)
                found, before = figures(before, now), now
                live.update(screen(found, venue.url, *live.console.size), refresh=True)

        async with venue_at(access) as venue:
            with stopping(stop), Live(f"looking at {venue.url}", auto_refresh=False, screen=True) as live:
                looking = asyncio.create_task(look(venue, live))
                stopped = asyncio.create_task(stop.wait())
                await asyncio.wait((looking, stopped), return_when=asyncio.FIRST_COMPLETED)
                for task in (looking, stopped):
                    task.cancel()
                await asyncio.wait((looking, stopped))
        if not looking.cancelled():
            looking.result()
        if found is not None:
            show(found)

    def show(found: Figures) -> None:
        for line in lines_of(found.venue):
            show_line(line)
        show_table(COLUMNS, [row_of(market) for market in found.markets], less=LESS)

    if not is_once:
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
        show(found)
    return 1 if wrong else 0
