"""How a channel begins and ends: hand-shakes, keys, silence, agents that do not read, floods, a venue that stops."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from actors.messages import Outcome
from perps.commands import Command, PlaceOrder
from perps.wire.agents import ENVELOPES_MAX, MSGPACK, Envelope
from perps.wire.base import pack
from tests.support.slowness import soon
from tests.web.agents.channel import channel, none_left
from tests.web.agents.test_envelopes import OPEN
from tests.web.conftest import Starter
from tests.web.venue import Client, OnMemory, Running
from web.agents import line
from web.agents.frames import Replied
from web.agents.session import Session
from web.api.agents import Desk
from web.compose import Limits

ORDER = {**OPEN, "type": "limit", "price": "40000"}


@asynccontextmanager
async def raw(client: Client, query: str = "") -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A channel behind its hand-shake, by hand: nobody reads it, and nothing answers pings."""
    port = int(client.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    key = base64.b64encode(b"0123456789abcdef").decode()
    writer.write(
        f"GET /api/agents{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {client.key}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Protocol: {MSGPACK}\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    try:
        yield reader, writer
    finally:
        writer.close()


def framed(message: bytes, opcode: int = 0x2) -> bytes:
    """A message to the venue as one WebSocket frame, with a mask that changes nothing."""
    size = len(message)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + length + bytes(4) + message


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": ""}, 401, "unauthorized"),
        ({"Authorization": "Bearer wrong"}, 401, "unauthorized"),
        ({}, 400, "validation_error"),
        ({"Upgrade": "websocket"}, 400, "validation_error"),
        ({"Sec-WebSocket-Protocol": "perps.v9"}, 400, "validation_error"),
    ],
)
async def test_what_is_no_hand_shake_gets_an_answer_of_http(
    venue: Running, headers: dict[str, str], status: int, code: str
) -> None:
    ann = await venue.user("ann")
    answer = await ann.ask("GET", "/api/agents", headers=headers)
    answer.refused(status, code)


async def test_an_unknown_subprotocol_is_refused_with_those_there_are(venue: Running) -> None:
    ann = await venue.user("ann")
    details = (await ann.ask("GET", "/api/agents", headers={"Sec-WebSocket-Protocol": "x, y"})).refused(
        400, "validation_error"
    )
    assert details["allowed"] == ["perps.v1.msgpack", "perps.v1.json"]


async def test_a_caller_has_so_many_streams_and_channels_and_no_more(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venue.venue.context.admission._streams, "each", 3)
    ann, bob = await venue.user("ann"), await venue.user("bob")
    async with channel(ann), channel(ann), ann.session.get(f"{ann.url}/api/sse/users/ann", headers=_key(ann)):
        (await ann.ask("GET", "/api/agents", headers=_upgrade())).refused(429, "rate_limited")
        async with channel(bob):
            pass
    await none_left(venue)
    async with channel(ann):
        pass


async def test_the_venue_has_so_many_channels_and_no_more(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.api.agents.AGENTS_MAX", 1)
    ann = await venue.user("ann")
    async with channel(ann):
        (await ann.ask("GET", "/api/agents", headers=_upgrade())).refused(503, "overloaded")


def _key(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.key}"}


def _upgrade() -> dict[str, str]:
    return {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
    }


async def test_a_channel_ends_with_its_key(venue: Running) -> None:
    ann = await venue.user("ann")
    key_id = (await ann.get("/api/me")).ok()["keyId"]
    async with channel(ann) as agent:
        (await venue.admin.delete(f"/api/admin/keys/{key_id}")).ok()
        assert await agent.closed() == (1008, "The key has been revoked, or has expired.")
    await none_left(venue)


async def test_a_venue_that_stops_says_good_bye_and_answers_what_is_under_way(starter: Starter, venue: Running) -> None:
    ann = await venue.user("ann", "1000000")
    async with channel(ann) as agent:
        await agent.send(*((number, "open", {**OPEN, "size": "20"}) for number in range(1, 101)), (101, "subscribe"))
        while not venue.venue.context.bridge.in_flight:  # noqa: ASYNC110 - a plain value
            await asyncio.sleep(0)
        stopping = asyncio.create_task(starter.stop(venue))
        answers = await agent.until(*range(1, 101))
        assert await agent.closed() == (1001, "The venue is stopping. Come back in 1 s.")
        await stopping
    statuses = {status for status, _ in answers}
    assert statuses <= {201, 503}
    assert 201 in statuses


async def test_orders_are_cancelled_when_a_channel_ends_that_asked_for_it(venue: Running) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    async with channel(bob) as other:
        await other.ask((1, "order.place", ORDER))
        async with channel(ann, query="?cancelOnDisconnect=1") as agent:
            await agent.ask((1, "order.place", ORDER), (2, "open", OPEN))
            async with channel(ann) as second:
                await second.ask((1, "order.place", ORDER))
            await asyncio.sleep(0)
            assert len((await ann.get("/api/orders")).ok()["orders"]) == 2, "the end of another channel changes nothing"
        await none_left(venue, but=1)
        assert (await ann.get("/api/orders")).ok()["orders"] == []
        assert len(await ann.positions()) == 1, "positions stay"
        assert len((await bob.get("/api/orders")).ok()["orders"]) == 1, "others' orders stay"


async def test_orders_that_are_under_way_when_the_line_is_cut_are_cancelled_too(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core may be slower with an order than with a cancel: the cancel goes when the orders have ended."""
    ann = await venue.user("ann", "1000000")
    core, may_go = venue.venue.context.bridge, asyncio.Event()
    real, going = core.send, list[asyncio.Task[Outcome]]()

    async def slowly(command: Command, **how: Any) -> Outcome:
        await may_go.wait()
        return await real(command, **how)

    async def send(command: Command, **how: Any) -> Outcome:
        if not isinstance(command, PlaceOrder):
            return await real(command, **how)
        going.append(asyncio.create_task(slowly(command, **how)))
        return await asyncio.shield(going[-1])  # it goes on whether or not somebody waits

    monkeypatch.setattr(core, "send", send)
    async with channel(ann, query="?cancelOnDisconnect=1") as agent:
        await agent.send(*((number, "order.place", {**ORDER, "size": "20"}) for number in range(1, 21)))
        while len(going) < 20:  # noqa: ASYNC110 - a plain value
            await asyncio.sleep(0)
        (one,) = venue.venue.context.agents._open
        one._line.abort()
        while len(venue.venue.context.agents):  # noqa: ASYNC110 - a plain value
            await asyncio.sleep(0)
        for _ in range(200):  # a cancel that did not wait would go now
            await asyncio.sleep(0)
        may_go.set()
        await asyncio.wait(going)
        await none_left(venue)
    assert venue.venue.context.model.offset > 22, "they were placed"
    assert (await ann.get("/api/orders")).ok()["orders"] == []


async def test_a_read_that_is_under_way_when_the_line_is_cut_ends_in_order(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await venue.user("ann")
    reading, may_go, real = asyncio.Event(), asyncio.Event(), Desk.answer
    ended = list[asyncio.Task[Any] | None]()

    async def answer(desk: Desk, envelope: Envelope) -> Replied:
        if envelope.kind == "positions":
            ended.append(asyncio.current_task())
            reading.set()
            await may_go.wait()
        return await real(desk, envelope)

    monkeypatch.setattr(Desk, "answer", answer)
    async with channel(ann, query="?cancelOnDisconnect=1") as agent:
        await agent.send((1, "order.place", ORDER), (2, "positions"), (3, "balance"))
        await reading.wait()
        (one,) = venue.venue.context.agents._open
        one._line.abort()
        while len(venue.venue.context.agents):  # noqa: ASYNC110 - a plain value
            await asyncio.sleep(0)
        may_go.set()
        await none_left(venue)
    (task,) = ended
    assert task is not None
    assert task.exception() is None
    assert (await ann.get("/api/orders")).ok()["orders"] == []


async def test_only_a_key_that_trades_for_a_user_may_ask_for_that(venue: Running) -> None:
    await venue.user("ann")
    reading = await venue.key("read", userId="ann")
    path = "/api/agents?cancelOnDisconnect=1"
    (await reading.ask("GET", path, headers=_upgrade())).refused(403, "forbidden")
    (await venue.admin.ask("GET", path, headers=_upgrade())).refused(400, "validation_error")
    (await reading.ask("GET", "/api/agents?cancelOnDisconnect=2", headers=_upgrade())).refused(400, "validation_error")


async def test_a_batch_that_is_cut_in_its_middle_is_no_frame_and_does_nothing(venue: Running) -> None:
    ann = await venue.user("ann")
    frame = framed(pack([(number, "open", OPEN) for number in range(1, 11)]))
    async with venue.unchanged():
        async with raw(ann) as (_, writer):
            writer.write(frame[: len(frame) // 2])
            await writer.drain()
            await asyncio.sleep(0)
        await none_left(venue)


async def test_a_batch_whose_agent_leaves_at_once_is_done_whole_or_not_at_all_for_each(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")
    frame = framed(pack([(n, "open", {**OPEN, "size": "20", "clientOrderId": f"c{n}"}) for n in range(1, 101)]))
    async with raw(ann) as (_, writer):
        writer.write(frame)
        await writer.drain()
    await none_left(venue)
    await venue.venue.context.bridge.drained()
    async with channel(ann) as agent:
        again = [(n, "open", {**OPEN, "size": "20", "clientOrderId": f"c{n}"}) for n in range(1, 101)]
        answers = await agent.ask(*again)
    assert {status for status, _ in answers} == {201}
    assert len(await ann.positions()) == 100, "each once"


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


async def test_events_that_are_not_read_cut_the_channel_at_a_byte_limit(starter: Starter) -> None:
    venue = await starter(OnMemory(), limits=Limits(behind_bytes_max=2_000))
    await venue.market()
    ann, bob = await venue.user("ann"), await venue.user("bob", "1000000")
    async with raw(ann) as (reader, writer):
        writer.write(framed(pack([(1, "subscribe")])))
        await reader.readuntil(b"snapshot")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with channel(bob) as agent, soon(60):
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


async def test_after_a_cut_events_go_on_where_they_were(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")
    async with channel(ann) as agent:
        await agent.ask((1, "subscribe", {"user": "me"}))
        _, since = await agent.event("snapshot")
    for _ in range(3):
        await ann.opened()
    async with channel(ann) as agent:
        await agent.ask((1, "subscribe", {"user": "me", "since": since}))
        offsets = [(await agent.event("trade"))[0]["offset"] for _ in range(3)]
        model = venue.venue.context.model
        assert offsets == [model.offset - 2, model.offset - 1, model.offset]
        _, place = await agent.event("balance")
        assert place == f"{model.epoch}-{model.offset}"


async def test_another_subscription_takes_the_place_of_the_first(venue: Running) -> None:
    await venue.market("ETH-PERP", "2000")
    ann = await venue.user("ann", "1000000")
    async with channel(ann) as agent:
        await agent.ask((1, "subscribe", {"tickers": "BTC-PERP"}))
        snapshot, _ = await agent.event("snapshot")
        assert [market["ticker"] for market in snapshot["markets"]] == ["BTC-PERP"]
        await agent.ask((2, "subscribe", {"tickers": "ETH-PERP"}))
        assert agent.events == []
        snapshot, _ = await agent.event("snapshot")
        assert [market["ticker"] for market in snapshot["markets"]] == ["ETH-PERP"]
        await agent.ask((3, "open", OPEN), (4, "open", {**OPEN, "ticker": "ETH-PERP"}))
        trade, _ = await agent.event("trade")
        assert trade["ticker"] == "ETH-PERP"
        await agent.ask((5, "unsubscribe"), (6, "open", {**OPEN, "ticker": "ETH-PERP"}), (7, "ping"))
        assert venue.venue.context.streams.readers == 0
        assert agent.events == []


async def test_nobody_follows_another_user(venue: Running) -> None:
    ann, _ = await venue.user("ann"), await venue.user("bob")
    feed = await venue.key("price")
    async with channel(ann) as agent:
        ((status, answer),) = await agent.ask((1, "subscribe", {"user": "bob"}))
        assert (status, answer["error"]["code"]) == (403, "forbidden")
        ((status, answer),) = await agent.ask((2, "subscribe", {"tickers": "NO-PERP"}))
        assert (status, answer["error"]["code"]) == (404, "market_not_found")
    async with channel(feed) as agent:
        assert (await agent.ask((1, "subscribe", {"user": "me"})))[0][0] in (400, 403)


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
