"""``perps feed replay|simulate``: prices into a running venue, as an outside feed would send them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from secrets import randbelow
from typing import TYPE_CHECKING, Final

import rich_click as click

from tools.argument_types import MOMENT, SPEED, TICKER, Real, Whole
from tools.output import counted, progress, show_table
from tools.settings import Access, SettingsGroup, access_options, json_option

if TYPE_CHECKING:
    from tools.feeds.player import PriceFeed

BPS: Final = 1e-4
SEEDS: Final = 2**32


patience_option = click.option(
    "--patience",
    type=Real(0),
    default=60.0,
    show_default=True,
    help="Seconds to go on trying when a venue that had answered does not any more.",
)


@click.group(cls=SettingsGroup)
def feed() -> None:
    """Play recorded or simulated prices into markets."""


@feed.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--ticker", type=TICKER, required=True, help="The market to play into.")
@click.option("--speed", type=SPEED, default="60", show_default=True, help="Recorded seconds a real second, or max.")
@click.option("--format", "form", type=click.Choice(["auto", "ohlc", "tick"]), default="auto", show_default=True)
@click.option("--from", "from_ms", type=MOMENT, help="The first time to play: ISO 8601, seconds or milliseconds.")
@click.option("--to", "to_ms", type=MOMENT, help="Where to stop: the first time not to play.")
@click.option("--limit", type=Whole(min=1), help="At most so many rows.")
@patience_option
@access_options
@json_option
def replay_file(
    file: Path,
    ticker: str,
    speed: float | None,
    form: str,
    from_ms: int | None,
    to_ms: int | None,
    limit: int | None,
    patience: float,
    access: Access,
    as_json: bool,
) -> int:
    """Play a CSV file: OHLC bars (time, open, high, low, close, …) or ticks (time, price, …).

    Columns are separated by commas and found by their names in the header; a file without a header has them in this
    order. A bar becomes four prices over its time: open, low and high (high and low in a falling bar), close. Times
    may be ISO 8601, seconds or milliseconds; prices are put on the market's tick. All rows to be played are read once
    before the first price is sent, so that a bad one is refused first; what comes from a pipe is read only once.
    """
    from tools.client import Patience, Venue
    from tools.errors import ToolError
    from tools.feeds.csv_file import BadRow, Format, Tick, Window, count_ticks, read_ticks
    from tools.feeds.player import Pacer, PriceFeed, replay

    window = Window(from_ms, to_ms, limit)
    total = count_ticks(file, Format(form), window) if file.is_file() else None
    ticks = read_ticks(file, Format(form), window)

    async def play() -> PriceFeed:
        async with Venue(access.url, access.key, key_from=access.key_from) as venue:
            player, _ = await PriceFeed.of(venue, ticker)
            venue.patience = Patience(patience, _tell)
            with progress("replayed feed", total) as report:

                def tell(tick: Tick) -> None:
                    place = f"line {tick.line} · {counted(player.liquidations, 'liquidation')}"
                    report(player.sent + player.overtaken, f"{ticker} {player.last} · {place}")

                try:
                    await replay(player, ticks, Pacer(speed), tell)
                except BadRow as error:
                    raise ToolError(f"{error}; {counted(player.sent, 'price')} had been sent") from error
            return player

    return _summary([asyncio.run(play())], as_json=as_json)


@feed.command("simulate")
@click.option("--ticker", "tickers", type=TICKER, multiple=True, required=True, help="A market; may be repeated.")
@click.option("--seed", type=Whole(min=0), help="The same seed, the same path.  [default: a new one, told]")
@click.option("--interval-ms", type=Whole(min=1), default=1000, show_default=True)
@click.option("--steps", type=Whole(min=1), help="How many prices.  [default: until Ctrl-C]")
@click.option(
    "--volatility",
    type=Real(0, 500, min_open=True),
    default=5.0,
    show_default=True,
    help="Standard deviation of a step in normal weather, in 1/10,000 of the price.",
)
@patience_option
@access_options
@json_option
def simulate_feed(
    tickers: tuple[str, ...],
    seed: int | None,
    interval_ms: int,
    steps: int | None,
    volatility: float,
    patience: float,
    access: Access,
    as_json: bool,
) -> int:
    """Move markets by a simulated price: calm, normal and stormy weather, jumps, and an anchor it returns to."""
    from tools.client import Patience, Venue
    from tools.feeds.player import PriceFeed, simulate
    from tools.feeds.price_process import Process, price_path

    chosen = randbelow(SEEDS) if seed is None else seed
    if seed is None:
        click.echo(f"seed {chosen}", err=True)
    process = replace(Process(), volatility=volatility * BPS)
    players: list[PriceFeed] = []

    async def play() -> None:
        total = None if steps is None else steps * len(set(tickers))
        async with Venue(access.url, access.key, key_from=access.key_from) as venue:
            paths = []
            for ticker in dict.fromkeys(tickers):
                player, market = await PriceFeed.of(venue, ticker)
                players.append(player)
                paths.append(price_path(float(market.index_price), f"{chosen}:{ticker}", process))
            venue.patience = Patience(patience, _tell)
            with progress("simulated feed", total) as report:

                def tell() -> None:
                    report(sum(player.sent for player in players), " · ".join(f"{p.ticker} {p.last}" for p in players))

                interval_s = interval_ms / 1000
                pairs = zip(players, paths, strict=True)
                await asyncio.gather(
                    *(simulate(player, path, interval_s=interval_s, steps=steps, tell=tell) for player, path in pairs)
                )

    with contextlib.suppress(KeyboardInterrupt):  # the way to end it
        asyncio.run(play())
    return _summary(players, as_json=as_json, seed=chosen)


def _tell(waiting: str) -> None:
    click.echo(waiting, err=True)


def _summary(players: Sequence[PriceFeed], *, as_json: bool, seed: int | None = None) -> int:
    """Tell what was sent and what that did; 1 if a market took nothing."""
    names = ("ticker", "prices", "overtaken", "lastPrice", "liquidations")
    feeds = [
        (p.ticker, p.sent, p.overtaken, None if p.last is None else f"{p.last:f}", p.liquidations) for p in players
    ]
    if as_json:
        told = {"feeds": [dict(zip(names, row, strict=True)) for row in feeds]}
        click.echo(json.dumps(told if seed is None else {"seed": seed, **told}))
    else:
        columns = ("ticker", "prices", "overtaken", "last price", "liquidations")
        show_table(columns, [["-" if cell is None else str(cell) for cell in row] for row in feeds])
    return 0 if all(player.sent for player in players) else 1
