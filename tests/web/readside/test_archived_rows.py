"""Old journal rows have left for the archive: what still needs them says so, and never leaves a silent gap."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.postgres import sql
from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.venue import OnPostgres, Running
from web.compose import Limits


@pytest.fixture
async def venue(on_postgres: OnPostgres, starter: Starter) -> Running:
    """A venue that remembers one row, with a market."""
    running = await starter(on_postgres, limits=Limits(rows_kept=1))
    await running.market()
    return running


async def forget(on_postgres: OnPostgres, last: int) -> None:
    """Take the rows up to ``last`` out of the journal, as archiving does."""
    await asyncio.to_thread(sql, on_postgres.url, 'delete from journal where "offset" <= $1', last)


async def test_a_reader_whose_next_rows_are_archived_begins_anew(venue: Running, on_postgres: OnPostgres) -> None:
    async with listening(venue) as stream:
        await stream.next()
        prices = [await venue.price(str(50_001 + number)) for number in range(6)]
        events = await stream.until_offset(prices[-1]["offset"])
    await forget(on_postgres, prices[2]["offset"])
    for event, is_whole in zip(events, (False, False, False, True, True), strict=False):
        async with listening(venue, f"?since={event.id}") as stream:
            first = await stream.next()
            assert (first.name == "reset") is not is_whole, (event, first)
    async with listening(venue, "?since=0-0") as stream:
        assert (await stream.next()).name == "reset"


async def test_a_retry_of_an_archived_command_is_refused_and_not_done_again(
    venue: Running, on_postgres: OnPostgres
) -> None:
    ann = await venue.user("ann")
    opened = await ann.opened(clientOrderId="old")
    await venue.price("50001")
    await forget(on_postgres, opened["offset"])
    async with venue.unchanged():
        details = (await ann.open(clientOrderId="old")).refused(409, "client_order_id_reused")
    assert details == {"offset": opened["offset"]}


async def test_lists_of_a_market_go_on_page_by_page_into_what_is_archived(
    venue: Running, on_postgres: OnPostgres
) -> None:
    ann, last = await venue.user("ann"), 0
    for number in range(6):
        await venue.price(str(50_001 + number))
        last = (await ann.opened(size="20"))["offset"]
    paths = {path: f"/api/markets/perps/BTC-PERP/{path}?limit=2" for path in ("prices", "trades")}

    async def pages(path: str) -> list[object]:
        found: list[object] = []
        cursor = ""
        for _ in range(20):
            body = (await venue.anybody.get(path + cursor)).ok()
            items = next(value for value in body.values() if isinstance(value, list))
            found += items
            if body["nextCursor"] is None:
                return found
            cursor = f"&cursor={body['nextCursor']}"
        raise AssertionError("it never ends")

    whole = {name: await pages(path) for name, path in paths.items()}
    assert [len(items) for items in whole.values()] == [7, 6]
    await forget(on_postgres, last - 2)
    assert {name: await pages(path) for name, path in paths.items()} == whole
