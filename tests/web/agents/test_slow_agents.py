"""Agents that are silent, do not read, or send more than anybody could: they hold up nobody."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from perps.wire.agents import ENVELOPES_MAX
from perps.wire.base import pack
from tests.support.slowness import soon
from tests.web.agents.channel import channel, none_left
from tests.web.agents.raw import framed, raw
from tests.web.agents.test_envelopes import OPEN
from tests.web.conftest import Starter
from tests.web.venue import OnMemory, Running
from web.agents import line
from web.agents.session import Session
from web.compose import Limits
from web.limits import connections

ORDER = {**OPEN, "type": "limit", "price": "40000"}


async def test_a_half_open_line_is_cut(starter: Starter) -> None:
    """Its other end is gone without a word: no pong comes."""
    venue = await starter(OnMemory(), limits=Limits(heartbeat_s=0.2))
    ann = await venue.user("ann")
    async with raw(ann) as (reader, _), soon(10):
        while await reader.read(1 << 16):  # hello and a ping; then the end
            pass
    await none_left(venue)


async def test_an_agent_that_is_silent_and_answers_pings_stays(starter: Starter) -> None:
    venue = await starter(OnMemory(), limits=Limits(heartbeat_s=0.05))
    ann = await venue.user("ann")
    async with channel(ann) as agent:
        begun = time.monotonic()
        receiving = asyncio.create_task(agent.socket.receive())  # aiohttp answers pings meanwhile
        await asyncio.wait((receiving,), timeout=0.4)
        assert not receiving.done()
        assert time.monotonic() - begun >= 0.4
        receiving.cancel()


async def test_an_agent_that_does_not_read_is_cut_at_a_limit_and_keeps_nobody_waiting(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for the largest answer over and over, and reads none."""
    for number in range(300):
        await venue.market(f"M{number}-PERP")
    monkeypatch.setattr(line, "WRITE_S", 0.3)
    ann, bob = await venue.user("ann"), await venue.user("bob", "1000000")
    async with raw(ann) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for begin in range(1, 20_000, ENVELOPES_MAX):
            writer.write(framed(pack([(number, "markets") for number in range(begin, begin + ENVELOPES_MAX)])))
        async with channel(bob) as agent:
            for number in range(1, 6):
                async with soon(5):
                    await agent.ask((number, "open", OPEN))
        async with soon(20):
            while len(venue.venue.context.agents):  # noqa: ASYNC110 - a plain value
                await asyncio.sleep(0.01)


async def test_large_answers_wait_for_the_agent_and_do_not_pile_up(venue: Running) -> None:
    """Together they are far more than may wait for one that does not read."""
    for number in range(300):
        await venue.market(f"M{number}-PERP")
    ann = await venue.user("ann")
    async with raw(ann) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(framed(pack([(number, "markets") for number in range(1, 41)])))
        for _ in range(3_000):
            await asyncio.sleep(0)
        assert len(venue.venue.context.agents) == 1, "it is not cut"
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with soon(20):
            for _ in range(40):
                await reader.readuntil(b"\xa5count")


async def test_events_that_are_not_read_cut_the_channel_at_a_byte_limit(
    starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else cuts it: a write may wait for ever, and so may a pong."""
    monkeypatch.setattr(line, "WRITE_S", 600)
    monkeypatch.setattr(connections, "READ_S", 600)
    venue = await starter(OnMemory(), limits=Limits(behind_bytes_max=2_000, heartbeat_s=600))
    await venue.market()
    ann, bob = await venue.user("ann"), await venue.user("bob", "1000000")
    async with raw(ann) as (reader, writer):
        writer.write(framed(pack([(1, "subscribe")])))
        await reader.readuntil(b"snapshot")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with channel(bob) as agent, soon(60):
            assert len(venue.venue.context.agents) == 2
            number = 0
            while len(venue.venue.context.agents) > 1:
                batch = range(number + 1, number + 101)
                await agent.ask(*((n, "open", {**OPEN, "size": "20"}) for n in batch))
                number += 100


async def test_a_flood_of_tiny_frames_and_of_pings_holds_up_nobody(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame is a turn of the loop, however many come at once: others are answered in between."""
    ann, bob = await venue.user("ann"), await venue.user("bob", "1000000")
    count, real, taken = 3_000, Session.take, list[bytes]()

    async def take(self: Session, raw: bytes) -> None:
        taken.append(raw)
        await real(self, raw)

    monkeypatch.setattr(Session, "take", take)
    tiny = pack([(1, "nothing")])
    async with channel(bob) as agent, raw(ann) as (_, writer):
        writer.write((framed(b"", 0x9) + framed(tiny)) * count)
        while not taken:  # noqa: ASYNC110 - a plain value
            await asyncio.sleep(0)
        for number in range(1, 6):
            async with soon(10):
                await agent.ask((number, "ping"))
        assert taken.count(tiny) < count // 2
    await none_left(venue)


async def test_all_frames_are_answered_that_come_at_once(venue: Running) -> None:
    """More than is kept of them: reading pauses, and goes on without anything more having to come."""
    ann = await venue.user("ann")
    count, answered = 12_000, 0
    async with raw(ann) as (reader, writer), soon(15):
        writer.write(b"".join(framed(pack([(number, "ping")])) for number in range(1, count + 1)))
        while answered < count:
            answered += (await reader.read(1 << 20)).count(b"\xa4time")


async def test_a_thousand_channels_that_come_and_go_leave_nothing_behind(venue: Running) -> None:
    ann = await venue.user("ann")
    for _ in range(20):
        async with AsyncExitStack() as stack:
            agents = [await stack.enter_async_context(channel(ann)) for _ in range(50)]
            await asyncio.gather(*(agent.ask((1, "ping"), (2, "subscribe")) for agent in agents))
            assert len(venue.venue.context.agents) >= 50
    await none_left(venue)
    assert venue.venue.context.streams.readers == 0
    assert not venue.venue.context.admission._streams._taken
