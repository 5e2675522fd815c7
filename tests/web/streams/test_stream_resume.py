"""A reader who comes back gets what he missed, once; or he is told to begin anew, never a silent gap."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from yarl import URL

from actors.messages import Settled
from tests.support.slowness import soon
from tests.web.conftest import Starter
from tests.web.events import Event, Stream, listening
from tests.web.venue import Backend, Running
from web.compose import Limits
from web.streams import hub as streams


async def _history(venue: Running) -> list[Event]:
    """What a stream tells from the listing on: a few of everything, with rows in between that are not public."""
    await venue.market("OTHER", "100")
    ann = await venue.user("ann", "100000")
    async with listening(venue) as stream:
        await stream.next()
        for number in range(5):
            await venue.price(str(50_001 + number))
            await ann.opened(leverage=100)
            (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "1"})).ok()
            await venue.price(str(101 + number), "OTHER")
        crash = await venue.price("40000")
        return await stream.until_offset(crash["offset"])


@pytest.fixture(params=["memory", "journal", "both"])
async def remembering(request: pytest.FixtureRequest, starter: Starter, backend: Backend) -> Running:
    """A venue whose rows are all in memory, all but one in the journal only, or some here and some there."""
    kept = {"memory": 20_000, "journal": 1, "both": 8}[request.param]
    venue = await starter(backend, limits=Limits(rows_kept=kept))
    await venue.market()
    return venue


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_reader_misses_nothing_wherever_he_left_off(remembering: Running, how: str) -> None:
    history = await _history(remembering)
    places = [index for index, event in enumerate(history) if event.id is not None]

    for place in places:
        ident = history[place].id or ""
        headers = {"Last-Event-ID": ident} if how == "header" else {}
        async with listening(remembering, "" if headers else f"?since={ident}", headers=headers) as stream:
            assert await stream.take(len(history) - place - 1) == history[place + 1 :]
            one_more = await remembering.price("40001", "OTHER")
            history.append(await stream.next())
            assert (history[-1].name, history[-1].offset) == ("price", one_more["offset"])


@pytest.mark.parametrize("page", [1, 3, streams.RESUME_EVENTS])
@pytest.mark.parametrize("kept", [1, 2, 3, 7, 20])
async def test_a_reader_misses_nothing_where_memory_or_a_page_ends(
    starter: Starter, kept: int, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "RESUME_EVENTS", page)
    venue = await starter(limits=Limits(rows_kept=kept))
    await venue.market()
    history = await _history(venue)

    for offset in range(history[0].offset, history[-1].offset):
        async with listening(venue, f"?since=1-{offset}") as stream:
            missed = [event for event in history if event.offset > offset]
            assert await stream.take(len(missed)) == missed, offset


async def test_a_reader_of_some_markets_misses_nothing_of_them(remembering: Running) -> None:
    history = await _history(remembering)
    first = history[0].id

    async with listening(remembering, f"?tickers=OTHER&since={first}") as stream:
        wanted = [event for event in history if event.data["ticker"] == "OTHER"]
        assert await stream.take(len(wanted)) == wanted


async def test_a_reader_may_begin_before_the_first_row(remembering: Running) -> None:
    history = await _history(remembering)

    async with listening(remembering, "?since=1-0") as stream:
        listed = await stream.take(2)
        assert [(event.name, event.data["ticker"]) for event in listed] == [("market", "BTC-PERP"), ("market", "OTHER")]
        assert await stream.take(len(history)) == history


async def test_the_header_counts_when_both_are_there(venue: Running) -> None:
    history = await _history(venue)
    place = [index for index, event in enumerate(history) if event.id is not None][-2]

    async with listening(venue, "?since=1-0", headers={"Last-Event-ID": history[place].id or ""}) as stream:
        assert await stream.next() == history[place + 1]


async def test_nothing_is_lost_or_doubled_while_the_market_moves(remembering: Running) -> None:
    """A reader who breaks off and comes back, again and again, while orders pour in."""
    ann = await remembering.user("ann", "1000000")
    since = f"1-{(await remembering.admin.get('/api/admin/stats')).ok()['offset']}"
    orders = asyncio.gather(*(ann.opened(size="20") for _ in range(60)))
    offsets: list[int] = []

    while len(offsets) < 60:
        async with listening(remembering, f"?since={since}") as stream:
            for event in await stream.take(min(11, 60 - len(offsets))):
                assert event.name == "trade"
                offsets.append(event.offset)
            since = stream.last_id or since
    placed = [body["offset"] for body in await orders]

    assert offsets == sorted(placed)


GARBLED = [
    "",
    "x",
    "1",
    "1-",
    "-1",
    "1-1-1",
    "1.0-1",
    "a-b",
    "1_0-1",
    "\u0661-1",
    " 1-1x",
    "9" * 19 + "-1",
    "1-" + "9" * 40,
]


async def _starts_anew(stream: Stream, venue: Running) -> None:
    reset, snapshot = await stream.take(2)
    assert (reset.name, snapshot.name) == ("reset", "snapshot")
    assert (await venue.price("50002"))["offset"] == (await stream.next()).offset


@pytest.mark.parametrize("since", GARBLED[1:])
async def test_a_garbled_place_is_reset(venue: Running, since: str) -> None:
    async with listening(venue, headers={"Last-Event-ID": since}) as stream:
        await _starts_anew(stream, venue)


@pytest.mark.parametrize("since", ["%00", "%ff", "%ed%a0%80", "1-1%0a", "%d9%a1-1", "x" * 5000])
async def test_a_garbled_place_in_the_query_is_reset(venue: Running, since: str) -> None:
    url = URL(f"{venue.url}/api/sse/markets?since={since}", encoded=True)
    async with venue.session.get(url) as response:
        await _starts_anew(Stream(response), venue)


async def test_bytes_that_are_no_text_are_reset(venue: Running) -> None:
    address = urlsplit(venue.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET /api/sse/markets HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1-\xff\xfe\r\n\r\n")
    told = b""
    async with soon(5):
        while b"event: snapshot" not in told:
            line = await reader.readline()
            assert line, told
            told += line
    writer.close()
    await writer.wait_closed()

    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"event: reset" in told


async def test_no_place_at_all_is_a_snapshot_without_a_reset(venue: Running) -> None:
    async with listening(venue, "?since=") as stream:
        assert (await stream.next()).name in ("snapshot", "reset")


@pytest.mark.parametrize("since", ["1-99", "2-1", "99-1", "2-0", "1-" + "9" * 18])
async def test_a_place_from_the_future_is_reset(venue: Running, since: str) -> None:
    async with listening(venue, f"?since={since}") as stream:
        await _starts_anew(stream, venue)


async def test_a_place_too_far_back_is_reset(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.streams.hub.RESUME_ROWS_MAX", 5)
    history = await _history(venue)

    for event in history[:-8]:
        if event.id:
            async with listening(venue, f"?since={event.id}") as stream:
                await _starts_anew(stream, venue)
    last = (await venue.price("50009"))["offset"]
    async with listening(venue, f"?since=1-{last - 5}") as stream:
        assert (await stream.next()).name != "reset"


async def test_a_row_of_another_epoch_is_reset(remembering: Running, starter: Starter) -> None:
    history = await _history(remembering)
    early = next(event for event in history if event.id)
    again = await starter.restart(remembering, limits=Limits(rows_kept=1))

    async with listening(again, f"?since=2-{early.offset}") as stream:
        await _starts_anew(stream, again)


async def test_a_reader_comes_back_across_a_restart(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market()
    history = await _history(venue)
    again = await starter.restart(venue)
    late = await again.price("40001")

    for place in [index for index, event in enumerate(history) if event.id is not None][::4]:
        async with listening(again, f"?since={history[place].id}") as stream:
            missed = await stream.until_offset(late["offset"])
        assert missed[:-1] == history[place + 1 :]
        assert missed[-1].id == f"2-{late['offset']}"


async def test_a_row_that_is_durable_and_not_yet_published_comes_once(starter: Starter) -> None:
    """I10: the journal may be ahead of the read model when a stream resumes from it."""
    venue = await starter(limits=Limits(rows_kept=1))
    await venue.market()
    async with listening(venue) as stream:
        first = await stream.next()
    await venue.price("50100")
    await venue.price("50200")
    bridge, held = venue.venue.host.bridge, list[list[Settled]]()
    deliver, arrived = bridge.deliver, asyncio.Event()

    def hold(rows: list[Settled]) -> None:
        held.append(rows)
        arrived.set()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bridge, "deliver", hold)
        late = asyncio.create_task(venue.price("50300"))
        await arrived.wait()
        async with listening(venue, headers={"Last-Event-ID": first.id or ""}) as stream:
            seen = [(await stream.next()).data["indexPrice"] for _ in range(2)]
            patched.undo()
            deliver(held.pop())
            await late
            await venue.price("50400")
            seen += [(await stream.next()).data["indexPrice"] for _ in range(2)]
    assert seen == ["50100.00", "50200.00", "50300.00", "50400.00"]
