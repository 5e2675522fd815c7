"""``perps feed http``: live prices from addresses that answer with JSON."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import rich_click as click

from tools.argument_types import TICKER, Real, Whole
from tools.errors import ToolError
from tools.feeds.addresses import checked_url, json_path
from tools.feeds.replaying import patience_option, sequence_option, source_option
from tools.output import progress, show_line
from tools.settings import Access, SettingsCommand, access_options, json_option

if TYPE_CHECKING:
    from jsonpath import CompoundJSONPath, JSONPath

    from tools.feeds.http_prices import Poll, Quote
    from tools.feeds.market_feed import PriceFeed


class _Url(click.ParamType[str]):
    name = "url"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return checked_url(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Path(click.ParamType["JSONPath | CompoundJSONPath"]):
    name = "jsonpath"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> JSONPath | CompoundJSONPath:
        try:
            return json_path(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("http", cls=SettingsCommand)
@click.argument("urls", metavar="URL...", type=_Url(), nargs=-1, required=True)
@click.option("--ticker", type=TICKER, required=True, help="The market that gets the prices.")
@click.option(
    "--json-path",
    "paths",
    type=_Path(),
    multiple=True,
    required=True,
    help="Where the price is in the answer: $.data[0].price. Once for all addresses, or once for each.",
)
@click.option(
    "--time-path",
    "time_paths",
    type=_Path(),
    multiple=True,
    help="Where its time is.  [default: a price is of the moment it was asked for]",
)
@click.option("--interval", type=Real(0, 3600, min_open=True), default=1.0, show_default=True, help="Seconds.")
@click.option(
    "--timeout", type=Real(0, 300, min_open=True), default=5.0, show_default=True, help="Seconds an answer may take."
)
@click.option(
    "--max-age",
    type=Real(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds; an older price does not count.",
)
@click.option("--quorum", type=Whole(min=1), help="How many addresses must agree.  [default: more than half]")
@click.option(
    "--max-spread",
    type=Real(0),
    default=0.02,
    show_default=True,
    help="How far from the middle a price counts, as a fraction.",
)
@click.option("--steps", type=Whole(min=1), help="Stop after this many rounds.  [default: run until Ctrl-C]")
@source_option
@sequence_option
@patience_option
@access_options
@json_option
def poll_prices(
    urls: tuple[str, ...],
    ticker: str,
    paths: tuple[JSONPath | CompoundJSONPath, ...],
    time_paths: tuple[JSONPath | CompoundJSONPath, ...],
    interval: float,
    timeout: float,
    max_age: float,
    quorum: int | None,
    max_spread: float,
    steps: int | None,
    source: str,
    no_sequence: bool,
    patience: float,
    access: Access,
    as_json: bool,
) -> int:
    """Send live prices to a market, from one or several addresses that answer with JSON, until Ctrl-C.

    Of several addresses the middle price counts. One that fails, is slow, or sends something else is asked again, later
    and later; the others go on. Without enough fresh prices nothing is sent.
    """
    from tools.client import be_patient, venue_at
    from tools.feeds.http_prices import HttpSource, Poll
    from tools.feeds.market_feed import PriceFeed
    from tools.feeds.summary import summary

    for option, given in (("--json-path", paths), ("--time-path", time_paths)):
        if len(given) not in (len(urls), 1, 0):
            raise click.UsageError(f"give {option} once, or once for each of the {len(urls)} addresses")
    if quorum is not None and quorum > len(urls):
        raise click.UsageError(f"--quorum {quorum} is more than there are addresses: {len(urls)}")
    sources = [
        HttpSource(url, paths[at % len(paths)], time_paths[at % len(time_paths)] if time_paths else None, timeout)
        for at, url in enumerate(urls)
    ]
    poll = Poll(
        sources, quorum or len(urls) // 2 + 1, max_age, max_spread, interval, lambda text: show_line(text, err=True)
    )
    feeds: list[PriceFeed] = []

    async def play() -> None:
        async with venue_at(access) as venue:
            feed, _ = await PriceFeed.of(venue, ticker, source, has_sequence=not no_sequence)
            feeds.append(feed)
            be_patient(venue, patience)
            with progress("sending prices", steps) as report:
                await keep_sending(feed, poll, steps, lambda done: report(done, f"{ticker} {feed.last}"))

    with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
        asyncio.run(play())
    return summary(feeds, as_json=as_json) if feeds else 1


async def keep_sending(
    feed: PriceFeed, poll: Poll, steps: int | None, report: Callable[[int], object] = lambda _: None
) -> None:
    """Send the middle price whenever there is a new one, for so many rounds; ``report`` hears of each.

    Errors: VenueError, ToolError. A price that the market cannot have ends the feed if it is the first one, and is
    passed over later: then it is a fault of whoever says it.
    """
    import aiohttp

    loop, done, last = asyncio.get_running_loop(), 0, None
    headers = {"Accept": "application/json", "User-Agent": "perps"}
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar()) as session:
        due = loop.time()
        while steps is None or done < steps:
            quote = await poll.round(session)
            if quote is not None and quote != last:
                problem = await _sent(feed, quote)
                if problem is not None:
                    poll.tell(f"{feed.ticker}: the price {quote.price:f} is passed over: {problem}")
                last = quote
            done += 1
            report(done)
            due = max(due + poll.interval_s, loop.time())
            if steps is None or done < steps:
                await asyncio.sleep(due - loop.time())


async def _sent(feed: PriceFeed, quote: Quote) -> str | None:
    """Send a price; why the market cannot have it, if others of this feed have been taken. Errors: as above."""
    from perps.client import Refused
    from tools.feeds.rounding import coarse_tick

    problem = coarse_tick(quote.price, feed.tick_size)
    if problem is not None:
        if not feed.sent:
            raise ToolError(f"{feed.ticker}: {problem}")
        return problem
    try:
        await feed.send(quote.price, at_ms=quote.at_ms)
    except Refused as error:
        if error.code != "validation_error" or not feed.sent:
            raise
        return str(error)
    return None
