"""Readers that do not read, or go away without a word: they are cut off and forgotten; nobody else notices."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from perps.journal import Row
from tests.support.memory import MemoryQueries
from tests.support.slowness import soon
from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.venue import OnMemory, Running
from web.compose import Limits
from web.readside.model import ROWS_KEPT
from web.streams.sse import WRITE_S

ENOUGH_S = 10.0


@asynccontextmanager
async def _not_reading(venue: Running, query: str = "") -> AsyncIterator[None]:
    """A stream whose reader takes its first bytes and then nothing, with as little buffer as there can be."""
    address, loop = urlsplit(venue.url), asyncio.get_running_loop()
    with socket.socket() as plug:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        plug.setblocking(False)
        await loop.sock_connect(plug, (address.hostname, address.port))
        await loop.sock_sendall(plug, f"GET /api/sse/markets{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert await loop.sock_recv(plug, 12) == b"HTTP/1.1 200"
        yield


async def _streams(venue: Running) -> int:
    streams: int = (await venue.admin.get("/api/admin/stats")).ok()["streams"]
    return streams


async def _prices(venue: Running, count: int) -> int:
    """Many prices, 500 to a request; the offset of the last."""
    offset = 0
    for _ in range(count // 500):
        sent = [{"ticker": "BTC-PERP", "price": 50_000 + number} for number in range(500)]
        body = (await venue.admin.post("/api/markets/prices", sent)).ok()
        assert not any("error" in result for result in body["results"])
        offset = body["results"][-1]["offset"]
    return offset


async def test_a_reader_that_does_not_read_is_cut_off_and_another_gets_everything(starter: Starter) -> None:
    venue = await starter(limits=Limits(behind_bytes_max=100_000))
    await venue.market()
    async with listening(venue) as good, _not_reading(venue):
        await good.next()
        assert await _streams(venue) == 2

        got = 0
        sent = 0
        async with soon(ENOUGH_S):
            while await _streams(venue) == 2:
                reading = asyncio.create_task(good.take(500))
                await _prices(venue, 500)
                events = await reading
                offsets = [event.offset for event in events]
                assert offsets == list(range(offsets[0], offsets[0] + 500))
                got, sent = got + len(events), sent + 500

        assert got == sent
        await venue.price("1")
        assert (await good.next()).data["indexPrice"] == "1.00"


async def test_a_commit_larger_than_the_limit_cuts_off_nobody_who_reads(starter: Starter) -> None:
    venue = await starter(limits=Limits(behind_bytes_max=10_000))
    await venue.market()
    ann = await venue.user("ann", "100000")
    await asyncio.gather(*(ann.opened(size="20", leverage=50) for _ in range(200)))
    async with listening(venue) as stream:
        await stream.next()
        body = await venue.price("40000")
        events = await stream.until_offset(body["offset"])

    assert [event.name for event in events] == ["price", *["trade", "liquidation"] * 200]


async def test_a_reader_that_does_not_read_does_not_hold_up_a_stop(starter: Starter) -> None:
    venue = await starter(limits=Limits(behind_bytes_max=10_000_000))
    await venue.market()
    async with _not_reading(venue):
        await _prices(venue, 10_000)

        async with soon(ENOUGH_S):
            await starter.stop(venue)


@pytest.mark.parametrize("kept", [ROWS_KEPT, 1], ids=["from memory", "from the journal"])
async def test_readers_that_do_not_read_do_not_hold_up_another_who_resumes(starter: Starter, kept: int) -> None:
    venue = await starter(limits=Limits(rows_kept=kept))
    await venue.market()
    offset = await _prices(venue, 17_000)  # more than a socket's buffers take
    async with AsyncExitStack() as lazy:
        for _ in range(16):
            await lazy.enter_async_context(_not_reading(venue, "?since=0-0"))

        async with asyncio.timeout(WRITE_S / 3), listening(venue, f"?since=1-{offset - 10}") as stream:
            events = await stream.take(10)

    assert [event.offset for event in events] == list(range(offset - 9, offset + 1))


class Counting(MemoryQueries):
    """A read side that counts how often it is asked for rows."""

    pages = 0

    async def rows_after(self, offset: int, limit: int) -> list[Row]:
        """As the read side."""
        self.pages += 1
        return await super().rows_after(offset, limit)


async def test_of_what_is_not_read_little_is_kept(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.streams.sse.WRITE_S", 0.5)
    backend = OnMemory()
    queries = Counting(backend.store)
    stores = replace(backend.stores(), queries=queries)
    venue = await starter(backend, limits=Limits(rows_kept=1), stores=stores)
    await venue.market()
    await _prices(venue, 17_000)
    async with _not_reading(venue, "?since=0-0"), soon(ENOUGH_S):
        while await _streams(venue):
            await venue.anybody.get("/healthz")

    assert queries.pages <= 8  # half a megabyte: four; what the system keeps by default: eighteen


async def test_a_reader_that_left_is_forgotten_on_a_quiet_venue(starter: Starter) -> None:
    venue = await starter(limits=Limits(heartbeat_s=0.05))
    await venue.market()
    for query in ("", "?tickers=BTC-PERP"):
        async with listening(venue, query) as stream:
            await stream.next()
            assert await _streams(venue) == 1
        async with soon(ENOUGH_S):
            while await _streams(venue):
                await venue.anybody.get("/healthz")


async def test_a_reader_that_left_is_forgotten_at_the_next_event(starter: Starter) -> None:
    venue = await starter(limits=Limits(heartbeat_s=1000))
    await venue.market()
    async with listening(venue) as stream:
        await stream.next()
    async with soon(ENOUGH_S):
        while await _streams(venue):
            await venue.price("50001")


async def test_many_readers_come_and_go(starter: Starter) -> None:
    venue = await starter(limits=Limits(heartbeat_s=0.05))
    await venue.market()

    async def visit() -> None:
        async with listening(venue) as stream:
            assert (await stream.next()).name == "snapshot"

    for _ in range(5):
        await asyncio.gather(*(visit() for _ in range(60)))
    async with soon(ENOUGH_S):
        while await _streams(venue):
            await venue.price("50001")


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_fault(venue: Running) -> None:
    address = urlsplit(venue.url)
    for body in (b"", b'{"ticker": "BTC', b"x" * 5000):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        head = b"POST /api/markets/perps/open HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n"
        writer.write(head + body)
        await writer.drain()
        writer.transport.abort()
        (await venue.anybody.get("/healthz")).ok()
    await venue.price("50001")


async def test_a_client_that_leaves_before_its_answer_has_been_served(venue: Running) -> None:
    await venue.user("ann")
    address = urlsplit(venue.url)
    body = b'{"ticker":"BTC-PERP","side":"long","size":"20","leverage":2,"userId":"ann","clientOrderId":"gone"}'
    head = b"POST /api/markets/perps/open HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the-administrator\r\n"
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.transport.abort()

    answer = await venue.admin.post("/api/markets/perps/open", body)

    answer.ok(201)
    assert len(await venue.client("ann").positions()) == 1
