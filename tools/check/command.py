"""``perps market check``: what adversaries would earn in a market."""

from __future__ import annotations

import asyncio
from pathlib import Path
from secrets import randbits
from typing import TYPE_CHECKING, Final

import rich_click as click

from tools.argument_types import Real, Whole
from tools.output import progress, show_json, show_line, show_table
from tools.settings import SettingsCommand, access_to, data_dir_option, json_option, key_option, url_option

if TYPE_CHECKING:
    from perps.params import MarketParams
    from tools.check.prices import Played
    from tools.settings import Access

COUNT: Final = 5_000
COLUMNS: Final = ("strategy", "earns USD", "trades", "liquidations", "bad debt USD", "would be stopped by")


@click.command("check", cls=SettingsCommand)
@click.argument("market", metavar="TICKER|FILE")
@click.option(
    "--prices",
    "price_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play on the prices of this file, as of feed replay.  [default: the market's own, or simulated ones]",
)
@click.option("--count", type=Whole(100, 1_000_000), default=COUNT, show_default=True, help="Play on so many prices.")
@click.option("--seed", type=Whole(min=0), help="Of simulated prices.  [default: a random one, which is printed]")
@click.option(
    "--interval-ms", type=Whole(min=1), default=1000, show_default=True, help="Milliseconds between simulated prices."
)
@click.option(
    "--volatility",
    type=Real(0, 500, min_open=True),
    default=1.0,
    show_default=True,
    help="Typical size of a simulated step, in 1/10,000 of the price.",
)
@url_option
@key_option
@data_dir_option
@json_option
def check_market(
    market: str,
    price_file: Path | None,
    count: int,
    seed: int | None,
    interval_ms: int,
    volatility: float,
    url: str | None,
    key: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> int:
    """Say what adversaries would earn in a market.

    TICKER is a market of the venue; FILE is a listing, the JSON that you would send. Each adversary plays by itself, in
    this process, on the venue's own rules: nothing is sent to the market. They play on the prices of --prices, else
    on those that the venue's market had, else on simulated ones.

    The exit code is 1 if one of them earns something.
    """
    from tools.check.prices import of_file, simulated
    from tools.check.results import results, work_of

    if Path(market).is_file():
        params, price = _listing(Path(market))
        played: Played | None = None
    else:
        access = access_to(url, key, data_dir, needs_key=False)
        params, price, played = asyncio.run(_of_venue(market, access, count if price_file is None else 0))
    if price_file is not None:
        played = of_file(price_file, params, count)
    if played is None:
        chosen = randbits(32) if seed is None else seed
        played = simulated(price, chosen, count, interval_ms, volatility / 10_000)
    with progress("playing", work_of(played)) as report:
        found = list(results(params, played, report))
    if as_json:
        answer = {
            "ticker": params.ticker,
            "prices": len(played.prices),
            "origin": played.origin,
            "intervalMs": played.interval_ms,
            "largestStep": f"{played.largest_step:.9f}",
            "strategies": found,
        }
        show_json(answer)
    else:
        hours = len(played.prices) * played.interval_ms / 3_600_000
        show_line(
            f"{len(played.prices)} prices over {hours:.1f} h ({played.origin}); largest step {played.largest_step:.4%}"
        )
        rows = [
            [
                each.strategy,
                each.earned,
                str(each.trades),
                str(each.liquidations),
                each.bad_debt,
                each.stopped_by or "-",
            ]
            for each in found
        ]
        show_table(COLUMNS, rows)
    return 1 if any(each.stopped_by for each in found) else 0


def _listing(path: Path) -> tuple[MarketParams, int]:
    """Parameters and price (ticks) of a listing in a file. Errors: ToolError."""
    import msgspec

    from perps.wire.base import decoder
    from perps.wire.listing import MarketBody
    from tools.errors import ToolError
    from web.answers.errors import RequestError
    from web.api.bodies.commands import list_command

    try:
        listing = list_command(decoder(MarketBody).decode(path.read_bytes()))
    except (msgspec.DecodeError, RequestError) as error:
        raise ToolError(f"{path}: it is no listing: {error}") from error
    return listing.params, listing.price


async def _of_venue(ticker: str, access: Access, most: int) -> tuple[MarketParams, int, Played | None]:
    from tools.check.listed import params_of, ticks_of
    from tools.check.prices import of_venue
    from tools.client import venue_at

    async with venue_at(access) as venue:
        shown = (await venue.get_market(ticker)).market
        params = params_of(shown)
        return params, ticks_of(shown, params), await of_venue(venue, ticker, params, most) if most else None
