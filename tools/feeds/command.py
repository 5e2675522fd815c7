"""``perps feed replay|simulate``: send prices to a running venue, as an outside feed would."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from secrets import randbits
from typing import TYPE_CHECKING, Final

import rich_click as click

from tools.argument_types import MOMENT, SPEED, TICKER, Real, Whole
from tools.output import counted, progress, show_table
from tools.settings import Access, SettingsGroup, access_options, json_option

if TYPE_CHECKING:
    from tools.feeds.player import PriceFeed

BPS: Final = 1e-4
SEED_BITS: Final = 128
"""Of a seed that nobody gave: whoever finds it knows every price to come."""


patience_option = click.option(
    "--patience",
    type=Real(0),
    default=60.0,
    show_default=True,
    help="Seconds to keep trying when the venue stops answering.",
)


@click.group(cls=SettingsGroup)
def feed() -> None:
    """Send recorded or simulated prices to markets."""


@feed.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--ticker", type=TICKER, required=True, help="The market that gets the prices.")
@click.option(
    "--speed", type=SPEED, default="60", show_default=True, help="Recorded seconds per real second; max does not wait."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "ohlc", "tick"]),
    default="auto",
    show_default=True,
    help="What a row is: an OHLC bar or a single price. auto: the columns decide.",
)
@click.option(
    "--from", "from_ms", type=MOMENT, help="Begin at this time: ISO 8601, or seconds or milliseconds since 1970."
)
@click.option("--to", "to_ms", type=MOMENT, help="Stop before this time.")
@click.option("--limit", type=Whole(min=1), help="Send at most this many rows.")
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
    """Send the prices of a CSV file to a market.

    The file has OHLC bars (time, open, high, low, close) or ticks (time, price). Commas separate the columns. A header
    names them; without a header they are in this order. Times are ISO 8601, or seconds or milliseconds since 1970.

    A bar becomes four prices over its time: open, low, high, close; in a falling bar the high comes before the low.
    Each price is rounded to the market's tick.

    A file is checked before the first price is sent. A pipe is checked row by row while it is sent.
    """
    from tools.client import be_patient, venue_at
    from tools.errors import ToolError
    from tools.feeds.csv_file import BadRow, Format, Tick, Window, count_ticks, read_ticks
    from tools.feeds.player import Pacer, PriceFeed, replay

    window = Window(from_ms, to_ms, limit)
    total = count_ticks(file, Format(form), window) if file.is_file() else None
    ticks = read_ticks(file, Format(form), window)

    async def play() -> PriceFeed:
        async with venue_at(access) as venue:
            player, _ = await PriceFeed.of(venue, ticker)
            be_patient(venue, patience)
            with progress("sending prices", total) as report:

                def tell(tick: Tick) -> None:
                    place = f"line {tick.line} · {counted(player.liquidations, 'liquidation')}"
                    report(player.sent + player.overtaken, f"{ticker} {player.last} · {place}")

                try:
                    await replay(player, ticks, Pacer(speed), tell)
                except BadRow as error:
                    raise ToolError(f"{error}; {counted(player.sent, 'price')} sent before that") from error
            return player

    return _summary([asyncio.run(play())], as_json=as_json)


@feed.command("simulate")
@click.option("--ticker", "tickers", type=TICKER, multiple=True, required=True, help="A market; repeat it for more.")
@click.option(
    "--seed",
    type=Whole(min=0),
    help="The same seed makes the same prices: who knows it knows all prices to come. For tests."
    "  [default: a random one, which is printed at the end]",
)
@click.option(
    "--interval-ms", type=Whole(min=1), default=1000, show_default=True, help="Milliseconds between two prices."
)
@click.option("--steps", type=Whole(min=1), help="Stop after this many prices per market.  [default: run until Ctrl-C]")
@click.option(
    "--volatility",
    type=Real(0, 500, min_open=True),
    default=1.0,
    show_default=True,
    help="Typical size of a step in a normal market, in 1/10,000 of the price.",
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
    """Send simulated prices to markets, until Ctrl-C.

    The simulated market is calm, normal or stormy by turns, jumps now and then, and tends back to where it began.
    """
    from tools.client import be_patient, venue_at
    from tools.feeds.player import PriceFeed, simulate
    from tools.feeds.price_process import Process, price_path

    chosen = randbits(SEED_BITS) if seed is None else seed
    process = replace(Process(), volatility=volatility * BPS)
    players: list[PriceFeed] = []

    async def play() -> None:
        total = None if steps is None else steps * len(set(tickers))
        async with venue_at(access) as venue:
            paths = []
            for ticker in dict.fromkeys(tickers):
                player, market = await PriceFeed.of(venue, ticker)
                players.append(player)
                paths.append(price_path(float(market.index_price), f"{chosen}:{ticker}", process))
            be_patient(venue, patience)
            with progress("sending prices", total) as report:

                def tell() -> None:
                    report(sum(player.sent for player in players), " · ".join(f"{p.ticker} {p.last}" for p in players))

                interval_s = interval_ms / 1000
                pairs = zip(players, paths, strict=True)
                await asyncio.gather(
                    *(simulate(player, path, interval_s=interval_s, steps=steps, tell=tell) for player, path in pairs)
                )

    with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
        asyncio.run(play())
    if seed is None:
        click.echo(f"seed {chosen}", err=True)
    return _summary(players, as_json=as_json, seed=chosen)


def _summary(players: Sequence[PriceFeed], *, as_json: bool, seed: int | None = None) -> int:
    """Show what was sent and what that did. The exit code: 1 if a market took no price."""
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
