"""The client and a venue that is the real one, with a line between them that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from yarl import URL

from perps.client import Pending, Refused, Row, Venue
from perps.wire.trading import Opened
from tests.client.scripted import Relay, listening
from tests.web.venue import ADMIN_KEY, OnMemory, Running, start


@dataclass
class Lines:
    """A venue, and the address of a relay in front of it."""

    running: Running
    relay: Relay
    url: str

    async def restart(self) -> None:
        """Close the venue, and start another on the same data."""
        await self.running.venue.close()
        self.relay.cut()
        self.running = await start(self.running.backend, self.running.session)
        self.relay.port = URL(self.running.url).port or 0


@pytest.fixture
async def lines() -> AsyncIterator[Lines]:
    """A venue on memory with a market at 10,000 and the user ann, behind a relay."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session)
        await running.market(price="10000")
        await running.user("ann", "1000")
        relay = Relay(URL(running.url).port or 0)
        async with listening(relay.serve) as url:
            found = Lines(running, relay, url)
            yield found
            await found.running.venue.close()


async def test_however_often_an_answer_is_lost_the_journal_has_one_row_for_an_id(lines: Lines) -> None:
    before = lines.running.venue.context.model.offset
    async with Venue(lines.url, lines.running.keys["ann"]) as venue:
        for count in (1, 2, 4):
            lines.relay.lost = count
            before += 1
            opened = await venue.open("BTC-PERP", "long", size=100, leverage=10)
            assert opened.offset == before == lines.running.venue.context.model.offset
        opened = await venue.open("BTC-PERP", "long", size=100, leverage=10)
        assert isinstance(opened, Opened)
        before += 1
        lines.relay.lost = 3
        closed = await venue.close(opened.position.id)
        assert closed.offset == before + 1 == lines.running.venue.context.model.offset
        with pytest.raises(Refused, match="position_closed"):
            await venue.close(opened.position.id)
        assert len([trade async for trade in venue.list_user_trades("ann")]) == 5


async def test_money_that_is_paid_in_doubt_is_paid_once(lines: Lines) -> None:
    async with Venue(lines.url, ADMIN_KEY) as admin:
        lines.relay.lost = 3
        assert (await admin.deposit("ann", "0.50")).new_balance == "1000.50"
        lines.relay.lost = 3
        assert (await admin.withdraw("ann", 1)).new_balance == "999.50"
        assert [move.amount async for move in admin.list_transactions("ann")] == ["-1.00", "0.50", "1000.00"]


async def test_a_list_goes_through_all_its_pages_and_one_page_is_a_page(lines: Lines) -> None:
    async with Venue(lines.url, ADMIN_KEY) as admin:
        for number in range(7):
            await admin.set_price("BTC-PERP", 10_000 + number)
        found = admin.list_prices("BTC-PERP", limit=3)
        assert [price.index_price async for price in found] == [f"{10_006 - n}.00" for n in range(7)] + ["10000.00"]
        page = await found
        assert [price.index_price for price in page.prices] == ["10006.00", "10005.00", "10004.00"]
        rest = admin.list_prices("BTC-PERP", cursor=page.next_cursor)
        assert len((await rest).prices) == 5
        assert [key.user_id async for key in admin.list_keys(limit=1)] == ["ann"]
        assert [user.user_id async for user in admin.list_users(limit=1)] == ["ann"]


async def test_a_stream_goes_on_where_it_was_after_a_restart_of_the_venue(lines: Lines) -> None:
    rows: asyncio.Queue[Row] = asyncio.Queue()

    async def follow(venue: Venue) -> None:
        async for row in venue.stream(["BTC-PERP"]):
            rows.put_nowait(row)

    async with Venue(lines.url, ADMIN_KEY) as admin:
        following = asyncio.create_task(follow(admin))
        async with asyncio.timeout(15):
            assert [event.name for event in (await rows.get()).events] == ["snapshot"]
            for price in range(10_001, 10_004):
                await admin.set_price("BTC-PERP", price)
            await lines.restart()
            for price in range(10_004, 10_007):
                await admin.set_price("BTC-PERP", price)
            seen = [await rows.get() for _ in range(6)]
        following.cancel()
    assert [row.events[0].data["indexPrice"] for row in seen] == [f"{10_000 + n}.00" for n in range(1, 7)]
    assert [row.offset for row in seen] == list(range(seen[0].offset, seen[0].offset + 6))


async def test_a_place_that_the_venue_does_not_know_is_a_row_with_a_reset(lines: Lines) -> None:
    async with Venue(lines.url) as venue:
        async for row in venue.stream(["BTC-PERP"], since="99-1"):
            assert [event.name for event in row.events] == ["reset", "snapshot"]
            assert row.is_reset
            break


async def test_a_market_that_is_not_there_ends_a_stream(lines: Lines) -> None:
    async with Venue(lines.url) as venue:
        with pytest.raises(Refused, match="market_not_found"):
            async for _ in venue.stream(["NONE"]):
                pass


async def test_where_orders_wait_an_open_is_an_order_and_its_end_can_be_awaited(lines: Lines) -> None:
    await lines.running.market("NEXT-PERP", price="10000", execution="next_price")
    async with Venue(lines.url, lines.running.keys["ann"]) as venue, Venue(lines.url, ADMIN_KEY) as admin:
        waiting = await venue.open("NEXT-PERP", "long", size=100, leverage=10)
        assert isinstance(waiting, Pending)
        with pytest.raises(TimeoutError):
            await venue.wait_for_order(waiting.order.id, within_s=0.01)
        ending = asyncio.create_task(venue.wait_for_order(waiting.order.id))
        lines.running.clock.advance(1)  # type: ignore[union-attr]
        await admin.set_price("NEXT-PERP", 10_001, source="event")
        filled = await ending
        assert (filled.status, filled.position_id) == ("filled", "NEXT-PERP-1")
        closing = await venue.close("NEXT-PERP-1")
        assert isinstance(closing, Pending)
        assert closing.order.reduce_only
