"""Frames: what is one, how many envelopes may be under way, and in which order they are decided."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
import pytest

from actors import bridge
from actors.messages import Envelope as Sent
from actors.messages import Outcome
from perps.commands import Command
from perps.wire.agents import ENVELOPES_MAX, FRAME_BYTES_MAX, IN_FLIGHT_MAX, JSON, MSGPACK
from tests.web.agents.channel import PROTOCOLS, channel, none_left
from tests.web.agents.test_envelopes import OPEN
from tests.web.venue import Running

NO_FRAMES: dict[str, list[bytes]] = {
    JSON: [
        b"",
        b"{}",
        b"[",
        b"[]",
        b"1",
        b"[1]",
        b"[[]]",
        b"[[1]]",
        b'[[0,"ping"]]',
        b'[[-1,"ping"]]',
        b'[[1.5,"ping"]]',
        b'[["1","ping"]]',
        b"[[1,2]]",
        b'[[1,"ping",{},4]]',
        b'[[1,"ping",{}]',
        b'[[1,"ping",{]]',
        b"\xff\xfe",
        b"[" * FRAME_BYTES_MAX,
        b'[[1,"ping",' + b"[" * 60_000 + b"]" * 5_000 + b"]]",
        b"[[1," + b'"' + b"x" * 65 + b'"]]',
    ],
    MSGPACK: [
        b"",
        b"\x80",
        b"\x90",
        b"\xc1",
        b"\x91\x01",
        b"\x91\x93",
        b"\x91\x92\x00\xa4ping",
        b"\x91" * FRAME_BYTES_MAX,
        b"\xdd\xff\xff\xff\xff",
        b"\x91\x93\x01\xa4ping\xdf\xff\xff\xff\xff",
        b"\x91\x93\x01\xa4ping\xdb\xff\xff\xff\xff",
        b"\x91\x93\x01\xa4ping" + b"\x91" * 60_000,
        b"\x91\x92\x01\xa4ping" + b"trailing",
    ],
}


@pytest.mark.parametrize(("protocol", "raw"), [(name, raw) for name, all_of in NO_FRAMES.items() for raw in all_of])
async def test_what_is_no_frame_ends_the_channel_and_says_why(venue: Running, protocol: str, raw: bytes) -> None:
    ann = await venue.user("ann")
    async with channel(ann, protocol) as agent:
        await agent.send_raw(raw)
        code, reason = await agent.closed()
    assert code == (1009 if raw in (b"[]", b"\x90") else 1007), reason
    assert reason.startswith(("A frame ", "The frame "))
    await none_left(venue)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_frame_has_at_most_so_many_envelopes(venue: Running, protocol: str) -> None:
    ann = await venue.user("ann")
    async with channel(ann, protocol) as agent:
        answers = await agent.ask(*((number, "ping") for number in range(1, ENVELOPES_MAX + 1)))
        assert {status for status, _ in answers} == {200}
        await agent.send(*((number, "ping") for number in range(1, ENVELOPES_MAX + 2)))
        assert await agent.closed() == (1009, f"A frame has 1 to {ENVELOPES_MAX} envelopes, not {ENVELOPES_MAX + 1}.")


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_frame_has_at_most_so_many_bytes(venue: Running, protocol: str) -> None:
    ann = await venue.user("ann")

    def padded(size: int) -> bytes:
        frame = agent.encoded([[1, "ping", {"x": "y" * (size - 40)}]])
        return agent.encoded([[1, "ping", {"x": "y" * (2 * size - 40 - len(frame))}]])

    async with channel(ann, protocol) as agent:
        assert len(padded(FRAME_BYTES_MAX)) == FRAME_BYTES_MAX
        await agent.send_raw(padded(FRAME_BYTES_MAX))
        ((status, _),) = await agent.until(1)
        assert status == 400, "it is read: ping takes no x"
        await agent.send_raw(padded(FRAME_BYTES_MAX + 1))
        assert (await agent.closed())[0] == 1009


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_other_kind_of_message_ends_the_channel(venue: Running, protocol: str) -> None:
    ann = await venue.user("ann")
    async with channel(ann, protocol) as agent:
        kind = aiohttp.WSMsgType.BINARY if protocol == JSON else aiohttp.WSMsgType.TEXT
        await agent.socket.send_frame(agent.encoded([[1, "ping"]]), kind)
        code, reason = await agent.closed()
    assert code == 1003
    assert protocol in reason


async def test_a_frame_may_come_in_parts(venue: Running) -> None:
    ann = await venue.user("ann")
    async with channel(ann) as agent:
        raw = agent.encoded([[1, "balance"], [2, "open", OPEN]])
        for number, place in enumerate(range(0, len(raw), 20)):
            part = raw[place : place + 20]
            is_last = place + 20 >= len(raw)
            first = (0x80 if is_last else 0) | (0 if number else 0x2)
            agent.wire(bytes((first, 0x80 | len(part), 0, 0, 0, 0)) + part)
        answers = await agent.until(1, 2)
    assert [status for status, _ in answers] == [200, 201]


async def test_compression_is_not_spoken(venue: Running) -> None:
    ann = await venue.user("ann")
    async with channel(ann, compress=15) as agent:
        assert not agent.socket.compress
        assert (await agent.ask((1, "ping")))[0][0] == 200


async def test_a_compressed_frame_ends_the_channel(venue: Running) -> None:
    """A bomb: 64 KiB that would be 64 MiB. It is not unpacked."""
    ann = await venue.user("ann")
    async with channel(ann) as agent:
        await agent.socket.send_frame(b"\x00" * (64 << 20), aiohttp.WSMsgType.BINARY, compress=15)
        code, _ = await agent.closed()
    assert code == 1002


async def test_the_commands_of_a_frame_reach_the_core_together_and_in_order(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await venue.user("ann", "1000000")
    batches: list[Sequence[Sent]] = []
    supervisor = venue.venue.context.bridge._supervisor

    real = bridge.tell  # type: ignore[attr-defined]

    def tell(ref: Any, message: Any) -> bool:
        if ref is supervisor and isinstance(message, list):
            batches.append(message)
        return bool(real(ref, message))

    monkeypatch.setattr(bridge, "tell", tell)
    count = 64
    async with channel(ann) as agent:
        await agent.ask(*((n, "open", {**OPEN, "size": "20", "clientOrderId": f"c{n}"}) for n in range(1, count + 1)))
    assert [sent.client_order_id for sent in batches[0]] == [f"c{n}" for n in range(1, count + 1)]
    assert len(batches) == 1


async def test_commands_on_one_market_are_decided_in_the_order_of_their_frame(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")
    async with channel(ann) as agent:
        answers = await agent.ask(*((n, "open", {**OPEN, "size": "20"}) for n in range(1, ENVELOPES_MAX + 1)))
    offsets = [answer["offset"] for _, answer in answers]
    assert offsets == sorted(offsets)
    assert [answer["position"]["id"] for _, answer in answers] == [f"BTC-PERP-{n}" for n in range(1, len(answers) + 1)]


async def test_beyond_its_credits_an_envelope_is_refused_and_the_others_are_done(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await venue.user("ann", "1000000")
    core, may_go = venue.venue.context.bridge, asyncio.Event()
    real = core.send

    async def send(command: Command, **how: Any) -> Outcome:
        await may_go.wait()
        return await real(command, **how)

    monkeypatch.setattr(core, "send", send)
    opening = {**OPEN, "size": "20"}
    async with channel(ann) as agent:
        await agent.send(*((number, "open", opening) for number in range(1, IN_FLIGHT_MAX + 1)))
        beyond = range(IN_FLIGHT_MAX + 1, IN_FLIGHT_MAX + 11)
        refused = await agent.ask(*((number, "open", opening) for number in beyond))
        may_go.set()
        done = await agent.until(*range(1, IN_FLIGHT_MAX + 1))
        again = await agent.ask((9_999, "open", opening))
    assert {status for status, _ in refused} == {429}
    assert all(answer["error"]["details"] == {"limit": IN_FLIGHT_MAX} for _, answer in refused)
    assert agent.headers[beyond[0]] == {"Retry-After": "1"}
    assert {status for status, _ in [*done, *again]} == {201}


async def test_a_message_pack_of_any_width_is_read(venue: Running) -> None:
    """Other languages' encoders choose other widths for the same value."""
    ann = await venue.user("ann")
    async with channel(ann) as agent:
        wide = b"\xdd\x00\x00\x00\x01\xdd\x00\x00\x00\x03\xcf" + (1).to_bytes(8, "big")
        wide += b"\xdb\x00\x00\x00\x07balance\xdf\x00\x00\x00\x01\xdb\x00\x00\x00\x06userId\xd9\x02me"
        await agent.send_raw(wide)
        ((status, answer),) = await agent.until(1)
        assert (status, answer["balance"]) == (200, "10000.00")
        assert msgspec.msgpack.decode(wide) == [[1, "balance", {"userId": "me"}]]
