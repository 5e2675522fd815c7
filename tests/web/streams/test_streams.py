"""The market stream: a snapshot, then every committed event once and in order, told to whoever follows its market."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from tests.conftest import Event as LogEvent
from tests.support.slowness import soon
from tests.web.conftest import Starter
from tests.web.events import Event, listening
from tests.web.process.test_failures import Doubtful
from tests.web.shapes import DECIMAL, MARKET, MONEY, TIME, Shape, fits, maybe, number, one_of, words
from tests.web.venue import OnMemory, Running
from web.compose import Limits

EVENTS: dict[str, Shape] = {
    "price": {
        "ticker": words,
        "indexPrice": DECIMAL,
        "markPrice": DECIMAL,
        "quotePrice": DECIMAL,
        "source": one_of("oracle", "event", "agent", "system"),
        "offset": number,
        "at": TIME,
    },
    "trade": {
        "ticker": words,
        "kind": one_of("open", "close", "liquidation", "deleverage"),
        "side": one_of("long", "short"),
        "price": DECIMAL,
        "size": MONEY,
        "quantity": DECIMAL,
        "offset": number,
        "at": TIME,
    },
    "liquidation": {"ticker": words, "side": one_of("long", "short"), "price": DECIMAL, "offset": number, "at": TIME},
    "market": {"ticker": words, "status": words, "reason": maybe(words), "offset": number, "at": TIME},
}


def _well_formed(events: list[Event]) -> None:
    for event in events:
        fits(event.data, EVENTS[event.name])
        for secret in ("userId", "positionId", "user", "position"):
            assert secret not in event.data
    offsets = [event.offset for event in events]
    assert offsets == sorted(offsets)


def _told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.name, event.data.get("kind") or event.data.get("status") or "") for event in events]


async def test_a_stream_begins_with_a_snapshot(venue: Running) -> None:
    async with listening(venue) as stream:
        snapshot = await stream.next()

    assert snapshot.name == "snapshot"
    assert stream.response.headers["X-Request-Id"]
    fits(snapshot.data["markets"][0], MARKET)
    assert snapshot.id == f"1-{snapshot.offset}"
    assert snapshot.data["markets"] == (await venue.anybody.get("/api/markets/perps")).ok()["markets"]


async def test_every_kind_of_event_comes_once_and_in_order(venue: Running) -> None:
    ann = await venue.user("ann")
    async with listening(venue) as stream:
        await stream.next()
        await venue.price("50001", source="oracle")
        opened = await ann.opened(leverage=100)
        await ann.opened(side="short")
        closed = (await ann.close("BTC-PERP-2", percentage="0.5")).ok()
        await venue.mode("reduce_only")
        await venue.market("NEW", "1")
        last = await venue.price("40000")
        events = await stream.until_offset(last["offset"])

    _well_formed(events)
    assert _told(events) == [
        ("price", ""),
        ("trade", "open"),
        ("trade", "open"),
        ("trade", "close"),
        ("market", "reduce_only"),
        ("market", "enabled"),
        ("price", ""),
        ("trade", "liquidation"),
        ("liquidation", "liquidation"),
    ]
    price, long, _, close, *_, crash, trade, liquidation = events
    assert (price.data["indexPrice"], price.data["source"]) == ("50001.00", "oracle")
    assert (long.data["side"], long.data["price"]) == ("long", opened["fill"]["price"])
    assert (long.data["size"], long.data["quantity"]) == (opened["fill"]["notional"], opened["fill"]["quantity"])
    assert (close.data["side"], close.data["realizedPnL"]) == ("short", closed["pnl"])
    assert crash.data["indexPrice"] == "40000.00"
    assert trade.data == liquidation.data
    assert [event.id for event in (crash, trade, liquidation)] == [None, None, f"1-{last['offset']}"]
    assert {event.id for event in events if event.id} == {f"1-{event.offset}" for event in events}


async def test_what_belongs_to_no_market_is_not_told(venue: Running) -> None:
    async with listening(venue) as stream:
        await stream.next()
        await venue.user("ann")
        (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "1"})).ok()
        await venue.price("50001")
        event = await stream.next()

    assert (event.name, event.data["indexPrice"]) == ("price", "50001.00")


async def test_a_refusal_is_not_told(venue: Running) -> None:
    ann = await venue.user("ann")
    async with listening(venue) as stream:
        await stream.next()
        (await ann.open(leverage=500)).refused(422, "leverage_too_high")
        await venue.price("50001")
        event = await stream.next()

    assert event.name == "price"


async def test_who_has_an_event_reads_what_it_says(venue: Running) -> None:
    """It comes after its commit, when every GET knows of it."""
    ann = await venue.user("ann", "1000000")
    async with listening(venue) as stream:
        await stream.next()
        orders = asyncio.gather(*(ann.opened(size="20") for _ in range(30)))
        for _ in range(30):
            event = await stream.next()
            shown = (await venue.anybody.get("/api/markets/perps")).ok()
            assert shown["offset"] >= event.offset
            trades = (await venue.anybody.get("/api/markets/perps/BTC-PERP/trades?limit=500")).ok()["trades"]
            assert event.offset in {trade["offset"] for trade in trades}
        await orders


async def test_what_was_not_committed_is_not_told(starter: Starter, error_lines: list[LogEvent]) -> None:
    backend, plan = OnMemory(), list[str]()
    stores = backend.stores()
    stores = replace(stores, open_journal=lambda: Doubtful(backend.store.acquire(), plan))
    venue = await starter(backend, stores=stores)
    await venue.market()
    async with listening(venue) as stream:
        await stream.next()
        plan += ["after", "before"]
        for price in ("1", "2"):
            answer = await venue.admin.post("/api/markets/perps/BTC-PERP/price", {"price": price})
            answer.refused(503, "outcome_unknown")
            while (await venue.anybody.get("/readyz")).status != 200:
                pass
        await venue.price("3")
        events = await stream.take(2)

    assert [(event.data["indexPrice"], event.id) for event in events] == [("2.00", "2-2"), ("3.00", "3-3")]
    error_lines.clear()


@pytest.mark.parametrize("name", ["tickers", "ticker"])
async def test_a_reader_gets_the_markets_he_asks_for(venue: Running, name: str) -> None:
    for ticker in ("A", "B", "C"):
        await venue.market(ticker, "100")
    async with listening(venue, f"?{name}=A,C") as some, listening(venue) as all_:
        snapshot = await some.next()
        await all_.next()
        for ticker in ("B", "A", "B", "C", "B", "A"):
            await venue.price("101", ticker)
        few, every = await some.take(3), await all_.take(6)

    assert [market["ticker"] for market in snapshot.data["markets"]] == ["A", "C"]
    assert [event.data["ticker"] for event in few] == ["A", "C", "A"]
    assert [event.data["ticker"] for event in every] == ["B", "A", "B", "C", "B", "A"]
    assert [event.id for event in few] == [event.id for event in every if event.data["ticker"] != "B"]


async def test_every_reader_gets_every_event(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")

    async def read(count: int) -> list[Event]:
        async with listening(venue) as stream:
            await stream.next()
            ready.release()
            return await stream.take(count)

    ready = asyncio.Semaphore(0)
    readers = [asyncio.create_task(read(40)) for _ in range(20)]
    for _ in readers:
        await ready.acquire()
    await asyncio.gather(*(ann.opened(size="20") for _ in range(40)))
    got = await asyncio.gather(*readers)

    assert all(events == got[0] for events in got)
    assert len({event.id for event in got[0]}) == 40


async def test_a_quiet_stream_has_a_heartbeat(starter: Starter) -> None:
    venue = await starter(limits=Limits(heartbeat_s=0.05))
    await venue.market()
    async with listening(venue) as stream:
        await stream.next()
        lines = [await stream.response.content.readline() for _ in range(4)]

    assert lines == [b": ping\n", b"\n", b": ping\n", b"\n"]


async def test_a_browser_is_told_when_to_come_back(venue: Running) -> None:
    async with listening(venue) as stream:
        assert await stream.response.content.readline() == b"retry: 1000\n"


async def test_streams_end_when_the_venue_stops(starter: Starter) -> None:
    venue = await starter()
    await venue.market()
    async with listening(venue) as stream, listening(venue, "?tickers=BTC-PERP") as other:
        await venue.price("50001")
        await starter.stop(venue)
        events = [await each.until_the_end() for each in (stream, other)]

    assert [[event.name for event in each] for each in events] == [["snapshot", "price"]] * 2


async def test_streams_are_counted_and_forgotten(starter: Starter) -> None:
    venue = await starter(limits=Limits(heartbeat_s=0.02))
    await venue.market()
    async with listening(venue) as stream, listening(venue) as other:
        await stream.next()
        await other.next()
        assert (await venue.admin.get("/api/admin/stats")).ok()["streams"] == 2
    async with soon(5):
        while (await venue.admin.get("/api/admin/stats")).ok()["streams"]:
            pass


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
async def test_a_stream_is_only_for_get(venue: Running, method: str) -> None:
    async with soon(5):
        answer = await venue.anybody.ask(method, "/api/sse/markets")

    assert answer.status == 405
