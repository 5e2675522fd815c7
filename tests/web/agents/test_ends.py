"""How a channel begins and ends: hand-shakes, keys, a line that is cut, a venue that stops, events that go on."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from actors.messages import Outcome
from perps.commands import Command, PlaceOrder
from perps.journal import JournalUnavailable
from perps.wire.agents import Envelope
from perps.wire.base import pack
from tests.conftest import Event
from tests.support.slowness import soon
from tests.web.agents.channel import channel, none_left
from tests.web.agents.raw import framed, raw
from tests.web.agents.test_envelopes import OPEN
from tests.web.conftest import Starter
from tests.web.venue import Client, Running
from web.agents import socket
from web.agents.frames import Replied
from web.agents.line import Line
from web.api.agents import Desk

ORDER = {**OPEN, "type": "limit", "price": "40000"}


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


async def test_channels_that_begin_at_the_same_time_count_too(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.api.agents.AGENTS_MAX", 1)
    opening, may_open = _slow_to_open(monkeypatch)
    ann = await venue.user("ann")
    first = asyncio.create_task(_opened(ann))
    await opening.wait()
    refused = asyncio.create_task(ann.ask("GET", "/api/agents", headers=_upgrade()))
    try:
        async with soon(10):
            (await refused).refused(503, "overloaded")
    finally:
        may_open.set()
    assert await first == "hello"
    await none_left(venue)
    assert await _opened(ann) == "hello", "the place is free again"


async def test_a_channel_that_begins_while_the_venue_stops_ends_with_it(
    starter: Starter, venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, may_open = _slow_to_open(monkeypatch)
    ann = await venue.user("ann")

    async def closed() -> tuple[int | None, str]:
        async with channel(ann) as agent:
            return await agent.closed()

    said = asyncio.create_task(closed())
    await opening.wait()
    stopping = asyncio.create_task(starter.stop(venue))
    while not venue.venue.context.agents.closing:  # noqa: ASYNC110 - a plain value
        await asyncio.sleep(0)
    may_open.set()
    async with soon(10):
        assert await said == (1001, "The venue is stopping. Come back in 1 s.")
        await stopping


def _slow_to_open(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Hand-shakes wait for the second event; the first says that one does."""
    opening, may_open, real = asyncio.Event(), asyncio.Event(), socket.Channel.open

    async def open_later(one: socket.Channel) -> Line:
        opening.set()
        await may_open.wait()
        return await real(one)

    monkeypatch.setattr(socket.Channel, "open", open_later)
    return opening, may_open


async def _opened(client: Client) -> str:
    """Open a channel and leave."""
    async with channel(client):
        return "hello"


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


async def test_a_channel_whose_events_cannot_be_read_ends_and_says_so(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> int:
        raise JournalUnavailable("the store does not answer")

    monkeypatch.setattr(venue.venue.context.streams, "_known_offset", lost)
    ann = await venue.user("ann")
    async with channel(ann) as agent:
        await agent.ask((1, "subscribe", {"user": "me", "since": "1-1"}))
        assert await agent.closed() == (1013, "The venue cannot send events now. Come back in 1 s.")
    await none_left(venue)


async def test_a_channel_ends_if_an_answer_cannot_be_written(
    venue: Running, monkeypatch: pytest.MonkeyPatch, error_lines: list[Event]
) -> None:
    def failing(*_: object) -> bytes:
        raise TypeError("not encodable")

    ann = await venue.user("ann")
    async with channel(ann) as agent:
        (session,) = venue.venue.context.agents._open
        monkeypatch.setattr(session._form, "answers", failing)
        await agent.send((1, "ping"))
        code, reason = await agent.closed()
        assert (code, reason.partition(".")[0]) == (1011, "The venue failed to write an answer")
    await none_left(venue)
    assert [line["event"] for line in error_lines] == ["agents.not_encoded"]
    error_lines.clear()


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
