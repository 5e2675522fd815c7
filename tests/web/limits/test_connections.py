"""Connections that are silent, slow or too many: they go, and who has something to say gets in."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest
from aiohttp.http import HttpProcessingError, RawRequestMessage
from aiohttp.web import RequestHandler

from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.venue import ADMIN_KEY, Running
from web.api.bodies.reading import BODY_BYTES_MAX
from web.compose import Limits
from web.limits.connections import PART_BYTES, Connection

ENOUGH_S = 5.0
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
JUNK = b"1\r\n[\r\n" * 10_000
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def _line(venue: Running, sent: bytes = b"") -> AsyncIterator[Line]:
    address = urlsplit(venue.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(sent)
        yield reader, writer
    finally:
        writer.transport.abort()


async def _ends(reader: asyncio.StreamReader) -> bytes:
    """What it still says, once it has been closed."""
    async with asyncio.timeout(ENOUGH_S):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", GET], ids=["no", "half", "one"])
async def test_a_connection_without_a_request_is_closed_after_a_while(
    starter: Starter, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("web.listener.KEEP_ALIVE_S", 0.3)
    venue = await starter()
    await venue.market()
    async with listening(venue) as stream, _line(venue, sent) as (reader, _):
        await stream.next()
        said = await _ends(reader)

        assert said[:15] == (b"HTTP/1.1 200 OK" if sent == GET else b"")
        body = await venue.price("1")
        await stream.until_offset(body["offset"])


async def test_a_head_that_trickles_in_is_not_waited_for(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.listener.KEEP_ALIVE_S", 0.5)
    venue = await starter()

    async with _line(venue, b"GET /healthz HTTP/1.1\r\n") as (reader, writer), asyncio.timeout(ENOUGH_S):
        closed = asyncio.create_task(_ends(reader))
        while not closed.done():
            writer.write(b"X: y\r\n")
            await asyncio.wait([closed], timeout=0.1)

    assert await closed == b""


async def test_when_all_places_are_taken_the_one_that_waited_longest_makes_room(starter: Starter) -> None:
    venue = await starter(limits=Limits(connections_max=8))
    await venue.market()
    async with listening(venue) as stream, AsyncExitStack() as crowd:
        await stream.next()
        first, _ = await crowd.enter_async_context(_line(venue))
        for _ in range(30):
            await crowd.enter_async_context(_line(venue, b"GET / HTTP/1.1\r\n"))

        assert await _ends(first) == b""
        for _ in range(5):
            async with _line(venue, GET) as (reader, _):
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        body = await venue.price("1")
        await stream.until_offset(body["offset"])
    metrics = (await venue.anybody.get("/metrics")).body.decode()
    (cut,) = re.findall(r"^perps_connections_cut_total (\S+)$", metrics, re.MULTILINE)
    assert float(cut) > 0


async def _ask_on_and_on(plug: socket.socket) -> None:
    async with asyncio.timeout(15):
        while True:
            await asyncio.get_running_loop().sock_sendall(plug, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)


async def test_an_answer_that_is_not_taken_is_given_up(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.limits.connections.READ_S", 0.3)
    venue = await starter()
    address, loop = urlsplit(venue.url), asyncio.get_running_loop()
    with socket.socket() as plug:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        plug.setblocking(False)
        await loop.sock_connect(plug, (address.hostname, address.port))
        with pytest.raises(ConnectionError):
            await _ask_on_and_on(plug)

    (await venue.anybody.get("/healthz")).ok()


@pytest.mark.parametrize("expected", [b"the unexpected", b"100-continue"])
async def test_what_a_client_expects_is_answered_as_everything_is(venue: Running, expected: bytes) -> None:
    head = b"POST /api/admin/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\nExpect: "
    async with _line(venue, head + expected + b"\r\n\r\n{}") as (reader, _):
        said = await _ends(reader)

    assert b"HTTP/1.1 400 Bad Request\r\n" in said
    assert b"\r\nX-Request-Id: " in said
    assert b'{"error":{"code":"validation_error"' in said


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Garbage is not collected: what is freed is freed because nothing leads to it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _alive(kind: type) -> list[object]:
    return [thing for thing in gc.get_objects() if isinstance(thing, kind)]


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("first", [b"", GET, GET * 60], ids=["at once", "behind one", "behind many"])
async def test_what_is_no_http_is_freed_with_its_connection(venue: Running, first: bytes) -> None:
    (await venue.anybody.get("/healthz")).ok()
    before = len(_alive(Connection))
    for _ in range(5):
        async with _line(venue, first + JUNK) as (reader, _):
            await _ends(reader)

    async with asyncio.timeout(ENOUGH_S):
        while len(_alive(Connection)) > before:
            (await venue.anybody.get("/healthz")).ok()


@pytest.mark.usefixtures("uncollected")
async def test_of_what_is_no_http_only_the_first_piece_counts(venue: Running) -> None:
    async with _line(venue, GET * 60 + JUNK) as (reader, writer):
        for _ in range(10):
            writer.write(JUNK)
        said = await _ends(reader)
        faults = _alive(HttpProcessingError)

    assert said.count(b" 400 Bad Request\r\n") == 1
    assert not faults


@pytest.mark.parametrize("behind", [JUNK, GET], ids=["junk", "requests"])
async def test_what_comes_behind_a_stream_is_not_kept(venue: Running, behind: bytes) -> None:
    kinds = (HttpProcessingError, RawRequestMessage)
    async with _line(venue, b"GET /api/sse/markets HTTP/1.1\r\nHost: x\r\n\r\n") as (reader, writer):
        async with asyncio.timeout(ENOUGH_S):
            await reader.readuntil(b"event: snapshot")
            before = sum(len(_alive(kind)) for kind in kinds)
            for _ in range(40):
                writer.write(behind)
                await writer.drain()
                (await venue.anybody.get("/healthz")).ok()
            after = sum(len(_alive(kind)) for kind in kinds)
            await venue.price("12345")
            await reader.readuntil(b"12345.00")

    assert after <= before + 1


KEY = b"Authorization: Bearer %b\r\n" % ADMIN_KEY.encode()
CHUNK = b"1\r\n \r\n"
IN_CHUNKS = b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes have been parsed, piece by piece."""
    sizes: list[int] = []
    parse = RequestHandler.data_received

    def counted(self: RequestHandler, data: bytes) -> None:
        sizes.append(len(data))
        parse(self, data)

    monkeypatch.setattr(RequestHandler, "data_received", counted)
    return sizes


@pytest.mark.parametrize("before", [b"", GET * 60], ids=["at once", "behind many"])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n" + IN_CHUNKS, b"200"),
        (b"POST /nowhere HTTP/1.1\r\n" + IN_CHUNKS, b"404"),
        (b"POST /api/streams/ticket HTTP/1.1\r\n" + IN_CHUNKS, b"401"),
        (b"POST /api/markets/perps/open HTTP/1.1\r\n" + IN_CHUNKS, b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n", b"200"),
        (b"POST /api/markets/perps/open HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n", b"413"),
    ],
)
async def test_a_body_that_nobody_will_read_is_not_parsed(
    venue: Running, parsed: list[int], before: bytes, head: bytes, status: bytes
) -> None:
    async with _line(venue, before + head + CHUNK * 50_000) as (reader, writer):
        async with asyncio.timeout(ENOUGH_S):
            for _ in range(before.count(GET)):
                await reader.readuntil(b'{"status":"ok"}')
            assert (await reader.readline()).split()[1] == status
        writer.write(CHUNK * 50_000)
        await venue.anybody.get("/healthz")

    assert sum(parsed) <= len(before) + len(head) + 2 * PART_BYTES + 200


async def test_of_a_body_in_chunks_from_a_caller_with_a_key_twice_its_limit_is_parsed(
    venue: Running, parsed: list[int]
) -> None:
    async with _line(venue, b"POST /api/markets/perps/open HTTP/1.1\r\n" + KEY + IN_CHUNKS) as (reader, writer):
        writer.write(CHUNK * 100_000)
        said = await _ends(reader)

    assert said.startswith(b"HTTP/1.1 413 ")
    assert sum(parsed) <= 2 * BODY_BYTES_MAX + 2 * PART_BYTES


async def test_a_caller_with_a_key_may_send_a_body_in_chunks(venue: Running) -> None:
    async with _line(venue, b"POST /api/admin/users HTTP/1.1\r\n" + KEY + IN_CHUNKS) as (reader, writer):
        for part in (b'{"userId":', b" " * 10_000, b'"zoe"}', b""):
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await venue.anybody.get("/healthz")
        async with asyncio.timeout(ENOUGH_S):
            assert await reader.readline() == b"HTTP/1.1 201 Created\r\n"


async def test_requests_that_come_at_once_are_all_answered_in_order(venue: Running) -> None:
    asked = [b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in (b"healthz", b"nowhere")] * 200
    async with _line(venue, b"".join(asked)) as (reader, _), asyncio.timeout(ENOUGH_S):
        for _ in range(200):
            await reader.readuntil(b'{"status":"ok"}')
            await reader.readuntil(b'"not_found"')
