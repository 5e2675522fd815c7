"""The feeds of a world: each sends prices to its markets until it is told to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from secrets import randbits
from typing import Final

from perps.client import Venue
from tools.feeds.addresses import json_path
from tools.feeds.files import PriceFile, Reading
from tools.feeds.http_prices import HttpSource, Poll
from tools.feeds.market_feed import PriceFeed
from tools.feeds.player import Pacer, replay, simulate
from tools.feeds.polling import keep_sending
from tools.feeds.price_process import SEED_BITS, Process, price_path
from tools.worlds.stories import Story, read_stories
from tools.worlds.waiting import LOG, Work, pause
from tools.worlds.world import FileFeed, HttpFeed, ProcessFeed, Stories, World

REPEAT_S: Final = 60.0
"""Between the last story and the first of the next round."""


def works_of(admin: Venue, world: World, stop: asyncio.Event, pace: float) -> Iterator[tuple[str, Work]]:
    """Every feed of a world: its name, and what to keep going. Errors of each: VenueError, ToolError."""
    folder = world.file.parent
    for feed in world.feeds:
        match feed:
            case ProcessFeed():
                for ticker in feed.markets:
                    yield f"prices of {ticker}", partial(_process, admin, feed, ticker, pace)
            case FileFeed():
                yield f"{feed.file} into {feed.market}", partial(_file, admin, feed, folder, stop, pace)
            case HttpFeed():
                yield f"live prices of {feed.market}", partial(_http, admin, feed, pace)
            case Stories():
                yield f"stories of {feed.file}", partial(_stories, admin, feed, folder, stop, pace)


async def _process(admin: Venue, asked: ProcessFeed, ticker: str, pace: float) -> None:
    feed, market = await PriceFeed.of(admin, ticker)
    seed = randbits(SEED_BITS) if asked.seed is None else f"{asked.seed}:{ticker}"
    path = price_path(float(market.index_price), seed, replace(Process(), volatility=asked.volatility))
    await simulate(feed, path, interval_s=asked.interval / pace, steps=None, tell=lambda: None)


async def _file(admin: Venue, asked: FileFeed, folder: Path, stop: asyncio.Event, pace: float) -> None:
    feed, _ = await PriceFeed.of(admin, asked.market)
    while not stop.is_set():
        file = PriceFile(folder / asked.file, Reading(), time.time_ns() // 1_000_000)
        await replay(feed, file.tick_blocks(), Pacer(asked.speed * pace), lambda _: None)
        if not asked.repeat:
            await stop.wait()


async def _http(admin: Venue, asked: HttpFeed, pace: float) -> None:
    feed, _ = await PriceFeed.of(admin, asked.market)
    path, time_path = json_path(asked.json_path), json_path(asked.time_path) if asked.time_path else None
    sources = [HttpSource(url, path, time_path, asked.timeout) for url in asked.urls]
    told = partial(LOG.warning, "world.price_source", market=asked.market)
    quorum, interval_s = len(sources) // 2 + 1, asked.interval / pace
    poll = Poll(sources, quorum, asked.max_age, asked.max_spread, interval_s, lambda text: told(reason=text))
    await keep_sending(feed, poll, None)


async def _stories(admin: Venue, asked: Stories, folder: Path, stop: asyncio.Event, pace: float) -> None:
    stories = await asyncio.to_thread(read_stories, folder / asked.file)
    feeds: dict[str, PriceFeed] = {}
    for wait, story in timed(stories, asked):
        await pause(stop, wait / pace)
        if stop.is_set():
            return
        if story.ticker not in feeds:
            feeds[story.ticker], _ = await PriceFeed.of(admin, story.ticker)
            feeds[story.ticker].source = "event"
        await feeds[story.ticker].send_change(story.change, reason=story.reason)
    await stop.wait()


def timed(stories: list[Story], asked: Stories) -> Iterator[tuple[float, Story]]:
    """Stories, each with the pause before it, seconds."""
    if asked.every is not None:
        random = Random(randbits(SEED_BITS))
        shortest, longest = asked.every
        while True:
            for story in random.sample(stories, len(stories)):
                yield random.uniform(shortest, longest), story
    now = 0.0
    while True:
        for story in stories:
            yield story.at_s - now, story
            now = story.at_s
        if not asked.repeat:
            return
        now = -REPEAT_S
