"""The first page of open positions comes from memory, however many the user holds; the next ones join it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from perps.query_rows import PositionRecord
from tests.support.memory import MemoryQueries
from tests.web.conftest import Starter
from tests.web.venue import OnMemory, Running
from web.readside.queries import Page


class Counting(MemoryQueries):
    """A read side that counts how often it is asked for positions."""

    asked = 0

    async def positions(
        self, user: str, *, status: str, ticker: str | None = None, before: Page = None, limit: int
    ) -> list[PositionRecord]:
        """As the read side."""
        self.asked += 1
        return await super().positions(user, status=status, ticker=ticker, before=before, limit=limit)


async def _pages(venue: Running, ticker: str = "") -> list[list[str]]:
    ann, pages, cursor = venue.client("ann"), list[list[str]](), ""
    while True:
        narrowed = f"&ticker={ticker}" if ticker else ""
        path = f"/api/markets/positions/ann?limit=3{narrowed}{cursor}"
        body = (await ann.get(path)).ok()
        pages.append([position["id"] for position in body["perpetuals"]["positions"]])
        if body["nextCursor"] is None:
            return pages
        cursor = f"&cursor={body['nextCursor']}"


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_first_page_asks_the_database_for_nothing(starter: Starter, is_restarted: bool) -> None:
    backend = OnMemory()
    queries = Counting(backend.store)
    stores = replace(backend.stores(), queries=queries)
    venue = await starter(backend, stores=stores)
    await venue.market()
    await venue.market("ETH-PERP")
    ann = await venue.user("ann")
    for number in range(8):
        await ann.opened("BTC-PERP" if number % 2 else "ETH-PERP", size="20")
    (await ann.close("BTC-PERP-2")).ok()
    if is_restarted:
        (await venue.admin.post("/api/admin/snapshots")).ok(201)
        keys = venue.keys
        await starter.stop(venue)
        venue = await starter(backend, stores=replace(backend.stores(), queries=queries))
        venue.keys = keys

    for _ in range(2):
        queries.asked = 0
        assert await _pages(venue) == [
            ["BTC-PERP-4", "ETH-PERP-4", "BTC-PERP-3"],
            ["ETH-PERP-3", "ETH-PERP-2", "BTC-PERP-1"],
            ["ETH-PERP-1"],
        ]
    assert queries.asked == 2
    assert await _pages(venue, "BTC-PERP") == [["BTC-PERP-4", "BTC-PERP-3", "BTC-PERP-1"]]
    assert await _pages(venue, "ETH-PERP") == [["ETH-PERP-4", "ETH-PERP-3", "ETH-PERP-2"], ["ETH-PERP-1"]]


async def test_positions_that_one_price_opened_are_on_one_page_each(starter: Starter) -> None:
    venue = await starter(OnMemory())
    await venue.market()
    ann = await venue.user("ann")
    for price in ("49000", "48999", "48998", "48997", "48996"):
        order = {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "20", "leverage": 10, "price": price}
        (await ann.post("/api/orders", order)).ok(201)
    await venue.price("48900")

    for _ in range(2):
        assert await _pages(venue) == [["BTC-PERP-5", "BTC-PERP-4", "BTC-PERP-3"], ["BTC-PERP-2", "BTC-PERP-1"]]
