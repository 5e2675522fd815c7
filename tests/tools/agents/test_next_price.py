"""Agents in a market that executes at the next price: what waits counts, and so does each trade once it is one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import aiohttp
import pytest

from perps.agents.crowd import Crowd
from perps.agents.line import TRANSPORTS
from perps.agents.strategies.noise import Noise
from perps.client import Venue
from tests.support.slowness import soon
from tests.web.venue import ADMIN_KEY, ManualClock, OnMemory, Running, start
from tools.worlds.reading import read_world
from tools.worlds.run import run_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WORLD = """
[[markets]]
ticker = "NOVA"
price = 100
preset = "game"
execution = "next_price"
[[agents]]
strategy = "noise"
count = 2
size = 60
"""


@pytest.fixture
def clock() -> ManualClock:
    """A price decides what was placed before it, so time passes before each."""
    return ManualClock()


@pytest.fixture
async def venue(clock: ManualClock) -> AsyncIterator[Running]:
    """A venue on memory, empty."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session, clock=clock)
        yield running
        await running.venue.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_agent_trades_at_the_next_price_and_each_trade_counts_once(
    venue: Running, clock: ManualClock, transport: str
) -> None:
    await venue.market(price="10000", execution="next_price")
    await venue.user("ann")
    connect, stop = TRANSPORTS[transport], asyncio.Event()
    async with (
        soon(60),
        Venue(venue.url, ADMIN_KEY) as admin,
        connect(venue.url, None, retry_s=10) as markets,
        connect(venue.url, venue.keys["ann"], retry_s=10) as line,
    ):
        crowd, turns = Crowd(), asyncio.Semaphore(0)

        class Counted(Noise):
            async def decide(self) -> None:
                await super().decide()
                turns.release()

        async def decisions(count: int) -> None:
            for _ in range(count):
                await turns.acquire()

        trader = crowd.add(
            line, Counted, user="ann", ticker="BTC-PERP", random=Random(7), size=500, leverage=5, pace=50
        )
        account = trader.seat.account
        tasks = [asyncio.create_task(crowd.hear(markets, ["BTC-PERP"])), asyncio.create_task(trader.run(stop))]
        await decisions(40)
        waiting = [one async for one in admin.list_orders(user_id="ann")]
        assert len(waiting) == Noise.positions_max
        assert account.trades == 0, "nothing has been traded yet"
        assert account.positions == ()
        for _ in range(3):
            clock.advance(1)
            await admin.set_price("BTC-PERP", "10000", source="event")
            await decisions(20)
            there = [one async for one in admin.list_positions("ann")]
            assert len(there) <= Noise.positions_max
        stop.set()
        await tasks[1]
        tasks[0].cancel()
        traded = [one async for one in admin.list_user_trades("ann")]
        assert account.trades == len(traded) > Noise.positions_max
        assert trader.problem == ""
        assert trader.seat.desk.refusals == {}
        leaving = asyncio.create_task(trader.leave_all())
        while not leaving.done():
            clock.advance(1)
            await admin.set_price("BTC-PERP", "10000", source="event")
        await leaving
        assert [one async for one in admin.list_positions("ann")] == []


async def test_the_agents_of_a_world_wait_for_the_next_price_too(
    venue: Running, clock: ManualClock, tmp_path: Path
) -> None:
    file, stop = tmp_path / "world.toml", asyncio.Event()
    await asyncio.to_thread(file.write_text, WORLD)
    world = await asyncio.to_thread(read_world, file)
    begun = asyncio.Event()
    work = run_world(venue.url, ADMIN_KEY, stop, world, keys_in=tmp_path, ready=lambda _: begun.set(), pace=50)
    task = asyncio.create_task(work)
    agents = ("agent-noise-1", "agent-noise-2")
    async with soon(60), Venue(venue.url, ADMIN_KEY) as admin:
        await begun.wait()
        for user in agents:
            waiting = 0
            async for row in admin.stream(user=user):
                for event in row.events:
                    waiting += len(event.data["orders"]) if event.name == "snapshot" else event.name == "order"
                if waiting == Noise.positions_max:
                    break
        clock.advance(1)
        await admin.set_price("NOVA", "101", source="event")
        for user in agents:
            traded = [one async for one in admin.list_user_trades(user)]
            assert len(traded) == Noise.positions_max, "so many waited, and no more"
        stop.set()
        await task
