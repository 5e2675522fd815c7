"""Runs the demo: sets it up, then keeps prices, stories and agents going.

Nothing here can stop the server. What fails is logged and tried again; a part that ends by a bug is logged and left.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from secrets import randbits
from typing import Any, Final

import structlog

from perps.client import Venue, VenueError
from tools.demo.agents import Crowd
from tools.demo.setup import AGENT_DEPOSIT, AGENTS, FEED_VOLATILITY, STORIES, STORY_TICKER, AgentPlan, prepare
from tools.errors import ToolError
from tools.feeds.player import PriceFeed, simulate
from tools.feeds.price_process import Process, price_path
from tools.times import rfc3339

LOG: Final = structlog.get_logger("demo")

INTERVAL_S: Final = 1.0
STORY_PAUSE_S: Final = (15.0, 45.0)
STORY_DRIFT: Final = 0.1
"""The fraction of the way back to the first price that each story goes."""
TRY_S: Final = 2.0
"""How long a request is sent again, before the part that asked is begun anew."""
RETRY_S: Final = 2.0
RETRY_S_MAX: Final = 30.0
SEED_BITS: Final = 128
"""Nobody finds out what comes next."""
KEY_LIFE_S: Final = 24 * 3600
"""An agent's key expires by itself, so that a killed demo leaves no key behind for long. The agent asks for another."""

Work = Callable[[], Awaitable[None]]


async def run_demo(
    base_url: str,
    admin_key: str,
    stop: asyncio.Event,
    *,
    data_dir: Path,
    ready: Callable[[Mapping[str, str]], None],
    pace: float = 1.0,
) -> None:
    """Set the demo up and keep it moving until ``stop``.

    ``ready`` gets each person's key, once, when all agents trade; a file in ``data_dir`` keeps it. ``pace``: how much
    faster than usual everything happens.
    """
    people: dict[str, str] = {}
    without_key = {plan.user for plan in AGENTS}

    async def set_up() -> None:
        people.update(await prepare(admin, data_dir))

    def begun(agent: str) -> None:
        if agent in without_key:
            without_key.discard(agent)
            if not without_key:
                ready(people)

    async with Venue(base_url, admin_key, retry_s=TRY_S) as admin:
        await _until_stopped([_keep("setup", set_up, stop, pace, once=True)], stop)
        if stop.is_set():
            return
        LOG.debug("demo.ready", url=base_url, agents=len(AGENTS))
        works: dict[str, Work] = {ticker: partial(_run_feed, admin, ticker, pace) for ticker in FEED_VOLATILITY}
        works[STORY_TICKER] = partial(_run_stories, admin, stop, pace)
        crowd = Crowd(pace)
        works["markets"] = partial(crowd.hear, admin)
        for plan in AGENTS:
            works[plan.user] = partial(_run_agent, crowd, admin, base_url, plan, stop, begun)
        await _until_stopped([_keep(name, work, stop, pace) for name, work in works.items()], stop)


async def _keep(name: str, work: Work, stop: asyncio.Event, pace: float, *, once: bool = False) -> None:
    """Repeat a work until ``stop``, with longer pauses after failures in a row. ``once``: only until it succeeds."""
    wait = RETRY_S
    while not stop.is_set():
        begun = time.monotonic()
        try:
            await work()
            if once:
                return
        except (VenueError, ToolError) as error:
            LOG.warning("demo.part_failed", part=name, reason=str(error), retry_s=wait)
        if time.monotonic() - begun > RETRY_S_MAX:
            wait = RETRY_S
        await pause(stop, wait / pace)
        wait = min(wait * 2, RETRY_S_MAX)


async def _until_stopped(parts: list[Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
    """Run all parts until they end or until ``stop``. A part that ends by a bug is logged; the others go on.

    No part outlives this call.
    """
    tasks = {asyncio.create_task(part) for part in parts}
    stopping = asyncio.create_task(stop.wait())
    try:
        pending: set[asyncio.Task[Any]] = {stopping, *tasks}
        while not stopping.done() and len(pending) > 1:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                if not task.cancelled() and (error := task.exception()) is not None:
                    LOG.error("demo.part_died", exc_info=error)
    finally:
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)


async def _run_feed(admin: Venue, ticker: str, pace: float) -> None:
    """Send one market an outside price every second, for ever."""
    feed, market = await PriceFeed.of(admin, ticker)
    process = replace(Process(), volatility=FEED_VOLATILITY[ticker])
    path = price_path(float(market.index_price), randbits(SEED_BITS), process)
    await simulate(feed, path, interval_s=INTERVAL_S / pace, steps=None, tell=lambda: None)


async def _run_stories(admin: Venue, stop: asyncio.Event, pace: float) -> None:
    """Now and then something happens to the organisation, and its index price moves."""
    feed, market = await PriceFeed.of(admin, STORY_TICKER)
    feed.source = "event"
    random = Random(randbits(SEED_BITS))
    level = begin = math.log(float(market.index_price))
    while not stop.is_set():
        await pause(stop, random.uniform(*STORY_PAUSE_S) / pace)
        story, move = random.choice(STORIES)
        level += move * random.uniform(0.5, 1.5) + STORY_DRIFT * (begin - level)
        await feed.send_float(math.exp(level), reason=story)


async def _run_agent(
    crowd: Crowd, admin: Venue, base_url: str, plan: AgentPlan, stop: asyncio.Event, begun: Callable[[str], None]
) -> None:
    """Run one agent with its own key, until ``stop`` or until the key is no longer valid."""
    expiry = rfc3339(int((time.time() + KEY_LIFE_S) * 1000))
    made = await admin.create_key(["read", "trade"], user_id=plan.user, label="demo agent", expires_at=expiry)
    begun(plan.user)
    async with Venue(base_url, made.key, retry_s=TRY_S) as venue:

        async def top_up() -> None:
            await admin.deposit(plan.user, AGENT_DEPOSIT)
            LOG.info("demo.agent_topped_up", agent=plan.user, amount=AGENT_DEPOSIT)

        await crowd.trade(plan, venue, Random(randbits(SEED_BITS)), top_up, stop)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until ``stop``."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
