"""The hub: rows to subscribers of any kind, once and in order, or a reset. No HTTP and no SSE here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from perps.journal import Row
from perps.venue import VenueState
from tests.actors.venue import Running, open_long, running, set_price
from tests.conftest import Event as LogEvent
from tests.support.memory import MemoryQueries
from tests.web.streams.follow import Following
from tests.web.streams.kinds import ALL, ByMarket, Mine, Wire
from web.readside.model import ReadModel
from web.streams.deliveries import AT_ONCE, Deliveries
from web.streams.hub import Hub
from web.streams.subscribers import Subscriber
from web.streams.topics import Topics

A, B = "A-PERP", "B-PERP"


@pytest.fixture(params=[20_000, 1], ids=["memory", "journal"])
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """A core with two markets and a user: rows 1 to 3. Its rows are kept in memory, or read from the journal."""
    async with running(rows_kept=request.param) as core:
        await core.list_market(A)
        await core.list_market(B)
        await core.add_user("ann")
        yield core


@pytest.fixture
async def follow(venue: Running) -> AsyncIterator[Following]:
    """Opens readers of the venue's hub."""
    async with AsyncExitStack() as stack:
        yield Following(venue, stack)


async def _prices(venue: Running, *tickers: str) -> None:
    for number, ticker in enumerate(tickers):
        await venue.do(set_price(ticker, 101 + number))


async def _written() -> None:
    """Wait until all has been written that waits."""
    for _ in range(4):
        await asyncio.sleep(0)


def _idle(deliveries: Deliveries, wire: Wire) -> Subscriber:
    """One that has caught up and may have 8 bytes waiting."""
    subscriber = Subscriber(ByMarket(), ALL, deliveries, behind_bytes_max=8)
    subscriber.write, subscriber.is_idle = wire.put, True
    return subscriber


async def test_a_row_is_encoded_once_for_all_who_follow_a_kind(venue: Running, follow: Following) -> None:
    kind, other = ByMarket(), ByMarket()
    readers = [await follow(kind) for _ in range(5)] + [await follow(kind, frozenset((A,))), await follow(other)]
    for reader in readers:
        await reader.next()

    await _prices(venue, A, A)

    assert kind.encoded == other.encoded == [4, 5]
    assert [await reader.next() for reader in readers] == ["4 5 "] * 7
    assert (kind.framed, other.framed) == (2, 2), "once also for groups that follow something else and see the same"


async def test_who_is_not_behind_is_written_to_without_waking_its_task(venue: Running, follow: Following) -> None:
    reader, wire = await follow(ByMarket()), Wire()
    reader.subscriber.write = wire.put
    assert await reader.next() == "now(all) "
    more = asyncio.create_task(reader.next())
    await asyncio.sleep(0)

    await _prices(venue, A, A)
    await _written()

    assert (wire.took, more.done()) == (["4 ", "5 "], False)
    more.cancel()


async def test_who_is_behind_gets_what_comes_in_order_when_there_is_room_again(
    venue: Running, follow: Following
) -> None:
    reader, wire = await follow(ByMarket()), Wire()
    reader.subscriber.write = wire.put
    await reader.next()
    waiting = asyncio.create_task(reader.next())
    await asyncio.sleep(0)
    wire.has_room = False

    await _prices(venue, A)
    await _written()
    await _prices(venue, A, A)

    assert wire.took == ["4 "]
    assert await waiting in ("", "5 ", "5 6 ")
    assert reader.subscriber.is_behind
    rest = "" if waiting.result() == "" else waiting.result()
    while rest != "5 6 ":
        rest += await reader.next()
    wire.has_room = True
    idle = asyncio.create_task(reader.next())
    await asyncio.sleep(0)
    await _prices(venue, A)
    await _written()
    assert wire.took == ["4 ", "7 "]
    idle.cancel()


async def test_what_comes_before_a_reader_who_is_behind_has_been_woken_waits() -> None:
    deliveries, wire = Deliveries(), Wire()
    subscriber = _idle(deliveries, wire)
    wire.has_room = False

    for block in (b"1 ", b"2 ", b"3 "):
        subscriber.push(block)
        deliveries.flush()

    assert (wire.took, subscriber.take()) == (["1 "], b"2 3 ")


async def test_the_next_turn_of_the_loop_comes_before_anybody_is_written_to_and_between_some_and_the_next() -> None:
    deliveries, wires = Deliveries(), [Wire() for _ in range(2 * AT_ONCE + 1)]
    for subscriber in [_idle(deliveries, wire) for wire in wires]:
        subscriber.push(b"1 ")
    written = []

    for _ in range(5):
        await asyncio.sleep(0)
        written.append(sum(len(wire.took) for wire in wires))

    assert written == [0, AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 1, 2 * AT_ONCE + 1]


async def test_who_is_due_again_before_its_turn_gets_all_at_once_and_in_order() -> None:
    deliveries, wires = Deliveries(), [Wire(), Wire()]
    first, second = [_idle(deliveries, wire) for wire in wires]
    for block in (b"1 ", b"2 "):
        first.push(block)
        second.push(block)
    first.push(b"3 ")

    await _written()

    assert [wire.took for wire in wires] == [["1 2 3 "], ["1 2 "]]


async def test_nobody_is_cut_off_because_the_venue_does_not_come_to_write() -> None:
    deliveries, wire = Deliveries(), Wire()
    subscriber = _idle(deliveries, wire)

    for number in range(5):
        subscriber.push(b"%03d " % number)

    assert not subscriber.ended
    assert wire.took == ["000 001 002 "], "what is beyond the limit of 8 bytes does not wait"
    await _written()
    assert wire.took == ["000 001 002 ", "003 004 "]


async def test_what_waits_is_written_before_the_hub_closes(venue: Running, follow: Following) -> None:
    reader, wire = await follow(ByMarket()), Wire()
    reader.subscriber.write = wire.put
    await reader.next()
    more = asyncio.create_task(reader.rest())
    await asyncio.sleep(0)
    await _prices(venue, A)

    venue.hub.close()

    assert wire.took == ["4 "]
    assert await more == ""


async def test_nothing_is_encoded_for_nobody(venue: Running, follow: Following) -> None:
    kind = ByMarket()
    reader = await follow(kind)
    await reader.next()
    await reader.blocks.aclose()

    await _prices(venue, A)

    assert (kind.encoded, venue.hub.readers) == ([], 0)


async def test_a_subscriber_gets_its_topics_and_no_others(venue: Running, follow: Following) -> None:
    kind = ByMarket()
    all_, only_b = await follow(kind), await follow(kind, frozenset((B,)))
    assert [await all_.next(), await only_b.next()] == ["now(all) ", "now(B-PERP) "]

    await _prices(venue, A, B, A, B)

    assert [await all_.next(), await only_b.next()] == ["4 5 6 7 ", "5 7 "]


async def test_one_row_may_speak_on_many_topics(venue: Running, follow: Following) -> None:
    """As a user's own stream, an administrator's of all users, and one of a market and oneself will need it."""
    kind = Mine()
    await venue.add_user("bob")
    for user in ("ann", "bob"):
        await venue.do(open_long(A, user, leverage=100))
    anns, everybodys, both = (
        await follow(kind, frozenset(("user:ann",))),
        await follow(kind),
        await follow(kind, frozenset((A, "user:bob"))),
    )
    for reader in (anns, everybodys, both):
        await reader.next()

    await venue.do(set_price(A, 50))
    last = venue.model.offset

    assert await anns.next() == f"user:ann@{last} "
    assert await both.next() == f"A-PERP@{last} user:bob@{last} "
    assert sorted((await everybodys.next()).split()) == [f"A-PERP@{last}", f"user:ann@{last}", f"user:bob@{last}"]


@pytest.mark.parametrize("topics", [ALL, frozenset((B,))])
async def test_who_comes_back_gets_what_he_missed_and_then_what_is_new(
    venue: Running, follow: Following, topics: Topics
) -> None:
    await _prices(venue, A, B, A, B)

    for since in range(8):
        reader = await follow(ByMarket(), topics, f"1-{since}")
        missed = [
            offset
            for offset, ticker in enumerate([A, B, "", A, B, A, B], 1)
            if offset > since and ticker in ((A, B) if topics is ALL else topics)
        ]
        if missed:
            assert await reader.next() == "".join(f"{offset} " for offset in missed)
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()


async def test_a_row_that_comes_while_a_page_is_written_comes_once(venue: Running, follow: Following) -> None:
    await _prices(venue, A, A)
    reader = await follow(ByMarket(), since="1-3")
    assert await reader.next() == "4 5 "

    await _prices(venue, A)
    assert await reader.next() == "6 "
    await _prices(venue, A)
    assert await reader.next() == "7 "


@pytest.mark.parametrize("since", ["", "x", "1-", "1-1-1", "2-1", "0-1", "1-99", "1-" + "9" * 40])
async def test_a_place_that_is_not_the_journals_is_reset(venue: Running, follow: Following, since: str) -> None:
    reader = await follow(ByMarket(), since=since)

    assert await reader.next() == f"reset({since}) now(all) "
    await _prices(venue, A)
    assert await reader.next() == "4 "


async def test_a_place_too_far_back_is_reset(
    venue: Running, follow: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.streams.hub.RESUME_ROWS_MAX", 2)

    assert (await (await follow(ByMarket(), since="1-0")).next()).startswith("reset")
    assert await (await follow(ByMarket(), since="1-1")).next() == "2 "


@pytest.mark.parametrize("venue", [1], indirect=True)
async def test_rows_that_have_been_archived_are_a_reset_and_no_gap(venue: Running, follow: Following) -> None:
    await _prices(venue, A, A, A)
    rows = list(venue.store.rows())

    async def rows_after(offset: int, limit: int) -> list[Row]:
        return [row for row in rows if row.offset > offset and row.offset not in (3, 4)][:limit]

    hub = Hub(venue.model, rows_after)

    assert await (await follow(ByMarket(), since="1-2", hub=hub)).next() == "reset(1-2) now(all) "
    assert await (await follow(ByMarket(), since="1-3", hub=hub)).next() == "reset(1-3) now(all) "
    assert await (await follow(ByMarket(), since="1-5", hub=hub)).next() == "6 "


@pytest.mark.parametrize("venue", [1], indirect=True)
async def test_a_row_that_is_durable_and_not_yet_published_is_not_taken_from_the_journal(
    venue: Running, follow: Following
) -> None:
    await _prices(venue, A, A, A)
    behind = ReadModel(rows_kept=1)
    core = VenueState()
    for row in list(venue.store.rows())[:4]:
        behind.apply(core.apply(row))
    hub = Hub(behind, MemoryQueries(venue.store).rows_after)

    assert await (await follow(ByMarket(), since="1-1", hub=hub)).next() == "2 4 "
    assert (await (await follow(ByMarket(), since="1-5", hub=hub)).next()).startswith("reset")


async def test_who_does_not_take_what_comes_is_cut_off_alone(venue: Running, follow: Following) -> None:
    kind = ByMarket()
    lazy, good = await follow(kind), await follow(kind)
    lazy.subscriber._behind_bytes_max = 3
    for reader in (lazy, good):
        await reader.next()

    for offset in range(4, 8):
        await _prices(venue, A)
        assert await good.next() == f"{offset} "

    assert (lazy.cut, lazy.subscriber.ended, good.cut) == (1, True, 0)
    assert await lazy.rest() == ""


async def test_a_kind_that_cannot_encode_a_row_ends_its_own_streams_and_nothing_else(
    venue: Running, follow: Following, error_lines: list[LogEvent]
) -> None:
    broken, whole = ByMarket(), ByMarket()
    broken.cannot = {5}
    poor, rich = await follow(broken), await follow(whole)
    for reader in (poor, rich):
        await reader.next()

    await _prices(venue, A)
    assert [await poor.next(), await rich.next()] == ["4 ", "4 "]
    await _prices(venue, A, A)

    assert (await poor.rest(), await rich.next()) == ("", "5 6 ")
    assert not venue.host.ended.done()
    assert await (await follow(broken, since="1-4")).next() == "reset(1-4) now(all) "
    assert await (await follow(broken, since="1-5")).next() == "6 "
    assert [line["event"] for line in error_lines] == ["stream.not_encoded"] * 2
    error_lines.clear()


async def test_a_hub_that_closes_ends_its_streams_and_cuts_off_who_is_behind(venue: Running, follow: Following) -> None:
    kind = ByMarket()
    waiting, behind = await follow(kind), await follow(kind)
    await waiting.next()
    await behind.next()
    end = asyncio.create_task(waiting.rest())
    await asyncio.sleep(0)

    venue.hub.close()

    assert await end == ""
    assert (waiting.cut, behind.cut) == (0, 1)
    assert venue.hub.is_full
    assert await (await follow(kind, since="1-0")).rest() == ""


async def test_a_hub_is_full_at_its_limit(venue: Running, follow: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.streams.hub.SUBSCRIBERS_MAX", 2)
    readers, was_full = [await follow(ByMarket()) for _ in range(2)], list[bool]()
    for reader in readers:
        await reader.next()
        was_full.append(venue.hub.is_full)
    await readers[0].blocks.aclose()

    assert [*was_full, venue.hub.is_full] == [False, True, False]
