"""Agents on their channels, through a kill -9 of the venue: nothing lost, nothing twice; and many that come at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from perps.client import Agent, Venue
from tests.endtoend.conftest import Venues
from tests.endtoend.venue_process import ADMIN_KEY, VenueProcess
from tests.support.answers import at_once
from tests.support.faults import fault
from tests.support.slowness import slowness, soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "agent.py"
PATIENCE_S = 120.0
AGENTS = 50
FEW, MANY = 100, 500
"""Agents that come back at once."""


async def _prepared(venue: VenueProcess, users: int, deposit: int = 1_000_000) -> list[str]:
    """A market and users: their keys."""
    await asyncio.to_thread(venue.start)
    async with Venue(venue.url, ADMIN_KEY, retry_s=60.0) as admin:
        await admin.list_market("BTC-PERP", "btc", "Bitcoin", 10_000)
        for number in range(users):
            await admin.create_user(f"user-{number}", deposit)
        made = [await admin.create_key(["trade"], user_id=f"user-{number}") for number in range(users)]
    return [key.key for key in made]


@fault("kill -9 under the example of an agent, again and again", "I3", "I4")
async def test_the_example_survives_a_kill_9_of_the_venue_and_does_everything_once(venues: Venues) -> None:
    venue = venues()
    (key,) = await _prepared(venue, 1)
    arguments = (str(EXAMPLE), venue.url, key, "BTC-PERP", "4")
    example = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert example.stdout is not None
    async with Venue(venue.url, ADMIN_KEY, retry_s=60.0) as admin:
        try:
            async with soon(60):
                lines = [await example.stdout.readline()]
                for price in (9980, 10_000, 9980, 10_000):
                    await admin.set_price("BTC-PERP", price)
                    await asyncio.to_thread(venue.kill)  # while a frame of the agent is on its way, or before
                    await asyncio.to_thread(venue.start)
                    lines.append(await example.stdout.readline())
                assert await example.wait() == 0
        finally:
            if example.returncode is None:
                example.kill()
                await example.wait()
        trades = Counter([trade.kind async for trade in admin.list_user_trades("user-0")])
    assert [line.split()[0] for line in lines] == [b"watching", b"0", b"5", b"5", b"5"]
    assert trades == {"open": 20, "close": 15}


@fault("kill -9 of the example of an agent itself", "I3", "I4")
async def test_the_example_that_is_killed_itself_goes_on_with_what_it_has_when_it_is_started_again(
    venues: Venues,
) -> None:
    venue = venues()
    (key,) = await _prepared(venue, 1)
    arguments = (str(EXAMPLE), venue.url, key, "BTC-PERP", "2")
    async with Venue(venue.url, ADMIN_KEY, retry_s=60.0) as admin:
        for expected in (b"0", b"5"):
            example = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
            assert example.stdout is not None
            try:
                async with soon(60):
                    await example.stdout.readline()
                    await admin.set_price("BTC-PERP", 9980 if expected == b"0" else 10_000)
                    assert (await example.stdout.readline()).split()[0] == expected
            finally:
                example.kill()
                await example.wait()
        trades = Counter([trade.kind async for trade in admin.list_user_trades("user-0")])
    assert trades == {"open": 10, "close": 5}


class _Trader:
    """Keeps a few commands in flight, and knows what became of each."""

    def __init__(self, agent: Agent, name: str, chance: Random) -> None:
        self.agent, self.name, self._chance = agent, name, chance
        self.opened: dict[str, str] = {}
        """By client order id: the position."""
        self.closed: dict[str, str] = {}

    async def trade(self, end: asyncio.Event) -> None:
        """Open some at once, close some at once, until the end."""
        number = 0
        while not end.is_set():
            ids = [f"{self.name}-{number + n}" for n in range(self._chance.randint(1, 8))]
            number += len(ids)
            opened = await asyncio.gather(
                *(self.agent.open("BTC-PERP", "long", 20, 10, client_order_id=one) for one in ids)
            )
            self.opened |= {one: at_once(answer).position.id for one, answer in zip(ids, opened, strict=True)}
            leaving = self._chance.sample([at_once(answer).position.id for answer in opened], len(opened) // 2)
            closed = await asyncio.gather(
                *(self.agent.close(one, client_order_id=f"{self.name}-{one}") for one in leaving)
            )
            self.closed |= {f"{self.name}-{one}": one for one in (at_once(answer).position.id for answer in closed)}


@fault("kill -9 under fifty agents, whose clients send again by themselves", "I1", "I3", "I4")
async def test_a_venue_killed_under_fifty_busy_agents_loses_nothing_and_does_nothing_twice(venues: Venues) -> None:
    venue = venues()
    keys = await _prepared(venue, AGENTS)
    end = asyncio.Event()
    agents = [Agent(venue.url, key, retry_s=PATIENCE_S) for key in keys]
    traders = [_Trader(agent, f"user-{number}", Random(number)) for number, agent in enumerate(agents)]
    for agent in agents:
        await agent.__aenter__()
    try:
        trading = [asyncio.create_task(trader.trade(end)) for trader in traders]
        for _ in range(3):
            before = sum(len(trader.opened) for trader in traders)
            async with soon(60):
                while sum(len(trader.opened) for trader in traders) < before + 200:  # noqa: ASYNC110 - plain values
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(venue.kill)
            await asyncio.to_thread(venue.start)
        end.set()
        async with soon(90):
            await asyncio.gather(*trading)
    finally:
        for agent in agents:
            await agent.__aexit__(None, None, None)
    async with Venue(venue.url, ADMIN_KEY, retry_s=60.0) as admin:
        for trader in traders:
            trades = [(trade.kind, trade.position_id) async for trade in admin.list_user_trades(trader.name, limit=500)]
            opened = sorted(position for kind, position in trades if kind == "open")
            closed = sorted(position for kind, position in trades if kind == "close")
            assert opened == sorted(trader.opened.values()), "each open of the journal is one that was answered, once"
            assert closed == sorted(trader.closed.values())
        stats = await admin.get_stats()
    assert stats.accounts.total == "0.00"


async def _come_back_at_once(venue: VenueProcess, count: int) -> float:
    """So many agents, all cut by a kill -9, all back: seconds until each has its answer."""
    keys = await _prepared(venue, 10)
    agents = [Agent(venue.url, keys[number % len(keys)], retry_s=PATIENCE_S) for number in range(count)]
    for agent in agents:
        await agent.__aenter__()
    try:
        await asyncio.gather(*(agent.ping() for agent in agents))
        await asyncio.to_thread(venue.kill)
        asking = [
            asyncio.create_task(agent.open("BTC-PERP", "long", 20, 10, client_order_id=f"back-{number}"))
            for number, agent in enumerate(agents)
        ]
        await asyncio.to_thread(venue.start)
        began = time.monotonic()
        opened = await asyncio.gather(*asking)
        took_s = time.monotonic() - began
    finally:
        await asyncio.gather(*(agent.__aexit__(None, None, None) for agent in agents))
    assert len({at_once(one).position.id for one in opened}) == count
    return took_s


@fault("a hundred agents come back at once", "I8")
async def test_a_hundred_agents_that_come_back_at_once_are_all_answered_soon(venues: Venues) -> None:
    took_s = await _come_back_at_once(venues(), FEW)
    print(f"{FEW} agents: {took_s:.1f} s")
    assert took_s < 10 * slowness()


@fault("five hundred agents come back at once", "I8")
@pytest.mark.faults
async def test_five_hundred_agents_that_come_back_at_once_are_all_answered_soon(venues: Venues) -> None:
    took_s = await _come_back_at_once(venues(), MANY)
    print(f"{MANY} agents: {took_s:.1f} s")
    assert took_s < 20 * slowness()
