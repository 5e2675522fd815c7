"""``perps feed simulate``: prices of a simulated market."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from secrets import randbits
from typing import TYPE_CHECKING

import rich_click as click

from tools.argument_types import TICKER, Real, Whole
from tools.feeds.replaying import patience_option, sequence_option, source_option
from tools.output import progress
from tools.settings import Access, SettingsCommand, access_options, json_option

if TYPE_CHECKING:
    from tools.feeds.market_feed import PriceFeed


@click.command("simulate", cls=SettingsCommand)
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
@source_option
@sequence_option
@patience_option
@access_options
@json_option
def simulate_feed(
    tickers: tuple[str, ...],
    seed: int | None,
    interval_ms: int,
    steps: int | None,
    volatility: float,
    source: str,
    no_sequence: bool,
    patience: float,
    access: Access,
    as_json: bool,
) -> int:
    """Send simulated prices to markets, until Ctrl-C.

    The simulated market is calm, normal or stormy by turns, jumps now and then, and tends back to where it began.
    """
    from tools.client import be_patient, venue_at
    from tools.feeds.market_feed import PriceFeed
    from tools.feeds.player import simulate
    from tools.feeds.price_process import BPS, SEED_BITS, Process, price_path
    from tools.feeds.summary import summary

    chosen = randbits(SEED_BITS) if seed is None else seed
    process = replace(Process(), volatility=volatility * BPS)
    players: list[PriceFeed] = []

    async def play() -> None:
        total = None if steps is None else steps * len(set(tickers))
        async with venue_at(access) as venue:
            paths = []
            for ticker in dict.fromkeys(tickers):
                player, market = await PriceFeed.of(venue, ticker, source, has_sequence=not no_sequence)
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
    return summary(players, as_json=as_json, seed=chosen)
