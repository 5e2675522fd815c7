"""The client on the agents' channel: the same methods, many in one frame, and nothing twice when the line is cut."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from contextlib import aclosing, suppress

import pytest

from perps.client import NOTHING, Agent, BadAnswer, OutcomeUnknown, Refused, Row, Unavailable, Venue
from perps.wire.agents import IN_FLIGHT_MAX, MSGPACK, Envelope
from tests.client.scripted import listening
from tests.support.answers import at_once
from tests.support.slowness import soon
from tests.web.agents.channel import none_left
from tests.web.conftest import Starter, clock, no_fault_goes_unnoticed, session, starter, venue
from tests.web.venue import Running
from web.agents.frames import Replied
from web.agents.session import Session
from web.api.agents import Desk

__all__ = ["clock", "no_fault_goes_unnoticed", "session", "starter", "venue"]

KEY = "no key of this venue"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What a WebSocket's hand-shake is proved with."""


def cut(running: Running) -> None:
    """The line of every agent is cut."""
    for one in tuple(running.venue.context.agents._open):
        one._line.abort()


async def _agent(running: Running, name: str = "ann", deposit: str = "1000000") -> Agent:
    client = await running.user(name, deposit)
    return Agent(running.url, client.key or "")


async def test_every_trading_method_goes_over_the_channel_and_answers_as_http(venue: Running) -> None:
    await venue.user("ann", "1000000")
    key = (await venue.key("read", "trade", "price", userId="ann")).key or ""
    async with Agent(venue.url, key) as agent, Venue(venue.url, key) as http:
        opened = at_once(await agent.open("BTC-PERP", "long", size=1000, leverage=10))
        await agent.open("BTC-PERP", "long", size=1000, leverage=10, position_id=opened.position.id)
        await agent.quote("BTC-PERP", "long", size=1000, leverage=10)
        await agent.change_margin(opened.position.id, 5)
        await agent.set_triggers(opened.position.id, take_profit="60000")
        placed = await agent.place_order("BTC-PERP", "limit", "long", 1000, 10, "40000")
        await agent.replace_order(placed.order.id, price="41000")
        await agent.cancel_order(placed.order.id)
        await agent.place_order("BTC-PERP", "limit", "long", 1000, 10, "40000")
        assert len((await agent.cancel_orders()).orders) == 1
        trailing = (await agent.trail_position(opened.position.id, "0.02")).order
        assert (trailing.type, trailing.callback, trailing.extreme_price) == ("trailing_stop", "0.02", "50000.00")
        assert (await agent.replace_order(trailing.id, callback="0.5")).order.price == "25000.00"
        await agent.set_price("BTC-PERP", "50001")
        assert await agent.get_balance("me") == await http.get_balance("me")
        assert await agent.list_markets() == await http.list_markets()
        assert await agent.list_positions("me") == await http.list_positions("me")
        assert [position.id async for position in agent.list_positions("me")] == [opened.position.id]
        closed = at_once(await agent.close(opened.position.id))
        assert closed.position.status == "closed"
        assert (await agent.ping()).offset == closed.offset
        assert (await agent.get_me()).user_id == "ann", "what has no envelope goes over HTTP"
        hello = agent.hello
        assert hello is not None
        assert (hello.user_id, hello.in_flight_max) == ("ann", IN_FLIGHT_MAX)


async def test_what_is_asked_at_once_goes_in_one_frame_and_more_than_the_credits_wait(venue: Running) -> None:
    async with await _agent(venue) as agent:
        await agent.ping()
        (channel,) = venue.venue.context.agents._open
        frames: list[int] = []
        real = channel.take

        async def take(raw: bytes) -> None:
            frames.append(len(channel._form.envelopes(raw)))
            await real(raw)

        channel.take = take  # type: ignore[method-assign]
        count = IN_FLIGHT_MAX + 44
        opened = await asyncio.gather(*(agent.open("BTC-PERP", "long", 20, 10) for _ in range(count)))
    assert frames[0] == IN_FLIGHT_MAX
    assert sum(frames) == count
    assert len({at_once(one).position.id for one in opened}) == count, "nothing was refused, nothing done twice"


async def test_a_refusal_is_final_and_says_what_http_says(venue: Running) -> None:
    async with await _agent(venue) as agent:
        with pytest.raises(Refused) as refused:
            await agent.open("BTC-PERP", "long", size=1000, leverage=5000)
        assert (refused.value.code, refused.value.status) == ("leverage_too_high", 422)
        assert refused.value.client_order_id
        with pytest.raises(TypeError, match="float"):
            await agent.open("BTC-PERP", "long", size=0.1, leverage=10)  # type: ignore[arg-type]


async def test_a_key_that_is_not_known_is_refused(venue: Running) -> None:
    async with Agent(venue.url, KEY) as agent:
        with pytest.raises(Refused) as refused:
            await agent.open("BTC-PERP", "long", size=1000, leverage=10)
    assert refused.value.code == "unauthorized"


async def test_without_a_venue_it_gives_up_and_says_that_nothing_was_done() -> None:
    async with Agent("http://127.0.0.1:9", KEY, retry_s=0.05) as agent:
        with pytest.raises(Unavailable):
            await agent.open("BTC-PERP", "long", size=1000, leverage=10)


async def test_a_line_that_is_cut_amid_a_batch_loses_nothing_and_does_nothing_twice(venue: Running) -> None:
    async with await _agent(venue) as agent:
        await agent.ping()
        for _ in range(5):
            opening = [asyncio.create_task(agent.open("BTC-PERP", "long", 20, 10)) for _ in range(IN_FLIGHT_MAX)]
            while not venue.venue.context.bridge.in_flight:  # noqa: ASYNC110 - plain values
                await asyncio.sleep(0)
            cut(venue)
            async with soon(15):
                opened = await asyncio.gather(*opening)
            assert len({at_once(one).position.id for one in opened}) == IN_FLIGHT_MAX
        positions = [position.id async for position in agent.list_positions("me", limit=500)]
    assert len(positions) == len(set(positions)) == 5 * IN_FLIGHT_MAX


async def test_a_command_that_must_not_be_done_twice_is_not_sent_again(venue: Running) -> None:
    feed = await venue.key("price")
    async with Agent(venue.url, feed.key or "") as agent:
        await agent.ping()
        setting = asyncio.create_task(agent.set_price("BTC-PERP", "50100"))
        while not venue.venue.context.bridge.in_flight:  # noqa: ASYNC110 - plain values
            await asyncio.sleep(0)
        cut(venue)
        with pytest.raises(OutcomeUnknown):
            await setting
    await none_left(venue)


async def test_a_venue_that_starts_anew_is_found_again(starter: Starter, venue: Running) -> None:
    async with await _agent(venue, deposit="1000000") as agent:
        first = await agent.open("BTC-PERP", "long", 20, 10, client_order_id="one")
        port = int(venue.url.rpartition(":")[2])
        await starter.stop(venue)
        asking = asyncio.create_task(agent.open("BTC-PERP", "long", 20, 10, client_order_id="one"))
        again = await starter(venue.backend, clock=venue.clock)
        agent._sender.url = again.url  # the test's venue has another port each time
        async with soon(15):
            assert await asking == first
    assert port


async def _rows(rows: list[Row], stream: object, until: int) -> None:
    async with aclosing(stream) as found:  # type: ignore[type-var]
        async for row in found:  # type: ignore[attr-defined]
            rows.append(row)
            if row.offset >= until:
                return


@pytest.mark.parametrize(("tickers", "user"), [(None, None), (["BTC-PERP"], None), (None, "me"), (["BTC-PERP"], "me")])
async def test_its_stream_has_the_rows_of_http(venue: Running, tickers: list[str] | None, user: str | None) -> None:
    async with await _agent(venue) as agent, Venue(venue.url, venue.keys["ann"]) as http:
        begin = venue.venue.context.model.offset
        mine: list[Row] = []
        theirs: list[Row] = []
        watching = [
            asyncio.create_task(_rows(mine, agent.stream(tickers, user=user), begin + 3)),
            asyncio.create_task(_rows(theirs, http.stream(tickers, user=user), begin + 3)),
        ]
        while not (mine and theirs):  # noqa: ASYNC110 - plain values
            await asyncio.sleep(0.001)
        opened = at_once(await agent.open("BTC-PERP", "long", 20, 10))
        await agent.open("BTC-PERP", "short", 20, 10)
        await agent.close(opened.position.id)
        async with soon(10):
            await asyncio.gather(*watching)
    assert mine == theirs
    assert len(mine) == 4


async def test_nothing_takes_a_term_away_on_the_channel_too(venue: Running) -> None:
    async with await _agent(venue) as agent:
        placed = await agent.place_order("BTC-PERP", "limit", "long", 1000, 10, "40000", stop_loss="39000")
        replaced = await agent.replace_order(placed.order.id, stop_loss=NOTHING)
    assert (placed.order.stop_loss, replaced.order.stop_loss) == ("39000.00", None)


async def test_its_stream_begins_again_when_the_venue_does_not_answer_in_time(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = Session._subscribe, 0

    async def subscribe(session: Session, envelope: Envelope) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            await real(session, envelope)

    monkeypatch.setattr(Session, "_subscribe", subscribe)
    async with await _agent(venue) as agent:
        await agent.ping()
        agent._sender.timeout_s = 0.2
        async with soon(15), aclosing(agent.stream()) as rows:
            assert (await anext(rows)).offset == venue.venue.context.model.offset
    assert asked > 1


async def test_its_stream_goes_on_where_it_was_cut(venue: Running) -> None:
    async with await _agent(venue) as agent, Venue(venue.url, venue.keys["ann"]) as http:
        begin = venue.venue.context.model.offset
        rows: list[Row] = []
        watching = asyncio.create_task(_rows(rows, agent.stream(user="me"), begin + 40))
        while not rows:  # noqa: ASYNC110 - plain values
            await asyncio.sleep(0.001)
        for number in range(40):
            if not number % 10:
                cut(venue)
            await http.open("BTC-PERP", "long", 20, 10)
        async with soon(30):
            await watching
    assert [row.offset for row in rows] == list(range(begin, begin + 41))
    assert not any(row.is_reset for row in rows)


async def test_whoever_reads_the_events_too_slowly_reads_all_of_them_later(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perps.client.channel.ROWS_MAX", 5)
    async with await _agent(venue) as agent:
        begin = venue.venue.context.model.offset
        async with aclosing(agent.stream(user="me")) as stream:
            assert (await anext(stream)).offset == begin
            await asyncio.gather(*(agent.open("BTC-PERP", "long", 20, 10) for _ in range(40)))
            async with soon(30):
                offsets = [(await anext(stream)).offset for _ in range(40)]
    assert offsets == list(range(begin + 1, begin + 41))


async def test_a_second_stream_goes_over_http(venue: Running) -> None:
    async with await _agent(venue) as agent, aclosing(agent.stream()) as first, aclosing(agent.stream()) as second:
        assert await anext(first) == await anext(second)
        assert venue.venue.context.streams.readers == 2


class _Mute:
    """Shakes hands for a channel, and then does what it is told with each connection in turn: nothing, or cut it."""

    def __init__(self, *steps: str) -> None:
        self.steps, self.begun, self.left = list(steps), 0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = re.search(r"Sec-WebSocket-Key: (\S+)", head)
        assert key is not None
        proof = base64.b64encode(hashlib.sha1((key[1] + GUID).encode()).digest()).decode()
        writer.write(
            f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {proof}\r\n"
            f"Sec-WebSocket-Protocol: {MSGPACK}\r\n\r\n".encode()
        )
        step = self.steps[min(self.begun, len(self.steps) - 1)]
        self.begun += 1
        if step == "text":
            writer.write(b"\x81\x02[]")
        if step != "cut":
            with suppress(ConnectionError):
                await reader.read()
        self.left += 1


@pytest.mark.parametrize(("step", "timeout_s", "error"), [("silence", 0.2, Unavailable), ("text", 5.0, BadAnswer)])
async def test_a_connection_on_which_no_hello_comes_is_closed(
    step: str, timeout_s: float, error: type[Exception]
) -> None:
    mute = _Mute(step)
    async with listening(mute.serve) as url, Agent(url, KEY, timeout_s=timeout_s, retry_s=0) as agent:
        with pytest.raises(error):
            await agent.ping()
        async with soon(10):
            while not mute.left:  # noqa: ASYNC110 - a plain value
                await asyncio.sleep(0.001)


async def test_a_line_that_is_cut_before_the_hello_is_tried_again() -> None:
    mute = _Mute("cut", "cut", "silence")
    async with listening(mute.serve) as url, Agent(url, KEY, timeout_s=1.0, retry_s=2) as agent:
        with pytest.raises(Unavailable):
            await agent.ping()
    assert mute.begun >= 3


async def test_the_end_of_a_stream_takes_a_place_like_anything_else(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.agents.session.IN_FLIGHT_MAX", 2)
    monkeypatch.setattr("perps.wire.agents.IN_FLIGHT_MAX", 2)
    refused: list[Envelope] = []
    real = Desk.over_the_limit

    def over_the_limit(desk: Desk, one: Envelope) -> Replied:
        refused.append(one)
        return real(desk, one)

    monkeypatch.setattr(Desk, "over_the_limit", over_the_limit)
    async with await _agent(venue) as agent:
        async with aclosing(agent.stream()) as rows:
            await anext(rows)
            opening = [asyncio.create_task(agent.open("BTC-PERP", "long", 20, 10)) for _ in range(6)]
            await asyncio.sleep(0)
        await asyncio.gather(*opening)
        await agent.ping()
        async with soon(10):
            while venue.venue.context.streams.readers:  # noqa: ASYNC110 - a plain value
                await asyncio.sleep(0.001)
        async with aclosing(agent.stream()) as rows:
            await anext(rows)
        async with aclosing(agent.stream()) as again, soon(10):
            first = await anext(again)
            await agent.open("BTC-PERP", "long", 20, 10)
            assert (await anext(again)).offset == first.offset + 1, "the end of the one did not end the other"
    assert refused == []
