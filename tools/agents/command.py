"""``perps agents run|list``: let strategies trade on a running venue."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from secrets import randbits

import rich_click as click

from tools.argument_types import AMOUNT, TICKER, Real, Whole
from tools.output import show_json, show_line, show_table
from tools.settings import Access, SettingsGroup, access_options, json_option
from tools.stopping import stopping


@click.group(cls=SettingsGroup)
def agents() -> None:
    """Let strategies trade: those that come with perps, or your own."""


@agents.command("list")
@json_option
def list_strategies(as_json: bool) -> None:
    """Show the strategies that come with perps."""
    from perps.agents.catalogue import EXAMPLES, strategy_of

    rows = [(name, " ".join((strategy_of(name).__doc__ or "").split())) for name in EXAMPLES]
    if as_json:
        show_json([{"strategy": name, "about": about} for name, about in rows])
    else:
        show_table(("strategy", "what it does"), rows)


@agents.command("run")
@click.argument("strategies", nargs=-1, required=True, metavar="STRATEGY...")
@click.option("--count", type=Whole(1, 1000), default=8, show_default=True, help="How many agents, all together.")
@click.option("--seed", type=Whole(0), help="Decides all chance of the agents.  [default: a new one, which is shown]")
@click.option("--ticker", "tickers", type=TICKER, multiple=True, help="A market to trade in; repeat it. [default: all]")
@click.option("--size", type=Real(0, min_open=True), default=500.0, show_default=True, help="USD of a usual open.")
@click.option("--leverage", type=Whole(1), default=5, show_default=True, help="At most the market's.")
@click.option("--deposit", type=AMOUNT, default="10000", show_default=True, help="USD that a new user gets.")
@click.option("--name", default="agent", show_default=True, help="What the users' names begin with.")
@click.option(
    "--keys",
    "keys_dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("agent-keys"),
    show_default=True,
    help="The directory that keeps the users' keys.",
)
@click.option("--processes", type=Whole(1, 64), help="Worker processes.  [default: one for 25 agents]")
@click.option("--decisions", type=Whole(1), help="End each agent after so many decisions.  [default: never]")
@click.option("--seconds", type=Real(0, min_open=True), help="End the run after so long.  [default: never]")
@click.option("--pace", type=Real(0, min_open=True), default=1.0, show_default=True, help="How much faster than usual.")
@click.option(
    "--patience",
    type=Real(0),
    default=300.0,
    show_default=True,
    help="Seconds to keep sending a command while the venue does not answer.",
)
@click.option("--close-on-exit", is_flag=True, help="At the end cancel all orders and close all positions.")
@click.option(
    "--transport",
    type=click.Choice(["http", "websocket"]),
    default="http",
    show_default=True,
    help="How agents connect: requests of HTTP, or one WebSocket each.",
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the equity curves into this file (.png, .svg, .pdf).",
)
@access_options
@json_option
def run_agents(
    strategies: tuple[str, ...],
    count: int,
    seed: int | None,
    tickers: tuple[str, ...],
    size: float,
    leverage: int,
    deposit: str,
    name: str,
    keys_dir: Path,
    processes: int | None,
    decisions: int | None,
    seconds: float | None,
    pace: float,
    patience: float,
    close_on_exit: bool,
    transport: str,
    picture: Path | None,
    access: Access,
    as_json: bool,
) -> int:
    """Start agents, each with a user, money, a key and a strategy of its own, until Ctrl-C.

    STRATEGY is a name of perps agents list, or a class of yours: FILE.py:Class. Several are dealt out in turn, and so
    are the markets. The same --seed lets an agent decide the same, as long as it sees the same.

    Exit code 1: a strategy raised an exception, or a worker process died; the others went on.
    """
    from tools.agents.display import show_summary, showing
    from tools.agents.plot import check_plot, plot
    from tools.agents.run import run
    from tools.agents.settings import PER_PROCESS, RunSettings
    from tools.client import venue_at

    if not name or not all(character.isascii() and (character.isalnum() or character in "._-") for character in name):
        raise click.BadParameter("use letters, digits and . _ -", param_hint="--name")
    if picture is not None:
        check_plot(picture)
    settings = RunSettings(
        url=access.url,
        strategies=strategies,
        count=count,
        seed=randbits(32) if seed is None else seed,
        tickers=tuple(dict.fromkeys(tickers)),
        size=size,
        leverage=leverage,
        deposit=deposit,
        name=name,
        keys_dir=keys_dir,
        processes=processes or min(-(-count // PER_PROCESS), os.cpu_count() or 1),
        decisions=decisions,
        seconds=seconds,
        pace=pace,
        patience_s=patience,
        close_on_exit=close_on_exit,
        transport=transport,
    )

    async def go() -> int:
        stop = asyncio.Event()
        async with venue_at(access) as admin:
            with showing() as tell, stopping(stop):
                board = await run(admin, settings, stop, tell)
        if as_json:
            show_json(board.record())
        else:
            show_summary(board)
        if seed is None:
            show_line(f"seed {settings.seed}", err=True)
        if picture is not None:
            await asyncio.to_thread(plot, board, picture)
        return 1 if board.total().crashed else 0

    return asyncio.run(go())
