"""Lists, page by page: every item exactly once, newest first, also while new ones arrive."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Starter
from tests.web.venue import Backend, Client, Running


async def _pages(client: Client, path: str, name: str, limit: int) -> list[list[Any]]:
    """Every page of a list."""
    pages: list[list[Any]] = []
    cursor = ""
    join = "&" if "?" in path else "?"
    while True:
        body = (await client.get(f"{path}{join}limit={limit}{cursor}")).ok()
        items: list[Any] = body["perpetuals"]["positions"] if name == "positions" else body[name]
        assert len(items) <= limit
        pages.append(items)
        if body["nextCursor"] is None:
            return pages
        cursor = f"&cursor={body['nextCursor']}"


async def _busy(venue: Running) -> Client:
    """A user with 14 positions in two markets, 6 of them closed, 2 liquidated; in a few rows each of everything."""
    await venue.market("ETH-PERP", "3000")
    ann = await venue.user("ann", "100000")
    for number in range(14):
        await ann.opened(["BTC-PERP", "ETH-PERP"][number % 2], "100", leverage=100 if number in (0, 2) else 2)
    for position in ("BTC-PERP-3", "ETH-PERP-1", "BTC-PERP-5", "ETH-PERP-7", "ETH-PERP-2", "BTC-PERP-7"):
        (await ann.close(position)).ok()
    await venue.price("49000")
    return ann


LISTS = [
    ("/api/users/ann/transactions", "transactions", "id"),
    ("/api/users/ann/trades", "trades", "id"),
    ("/api/markets/perps/BTC-PERP/trades", "trades", "id"),
    ("/api/markets/perps/BTC-PERP/prices", "prices", "offset"),
    ("/api/markets/perps/BTC-PERP/liquidations", "liquidations", "id"),
    ("/api/markets/positions/ann?status=open", "positions", "id"),
    ("/api/markets/positions/ann?status=closed", "positions", "id"),
    ("/api/markets/positions/ann?status=all", "positions", "id"),
    ("/api/markets/positions/ann?status=all&ticker=ETH-PERP", "positions", "id"),
]
COUNTS = [1 + 14 * 2 + 6 * 2 + 2, 14 + 6 + 2, 7 + 3 + 2, 2, 2, 6, 8, 14, 7]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
async def test_pages_show_each_item_once(starter: Starter, backend: Backend, limit: int) -> None:
    venue = await starter(backend)
    await venue.market()
    ann = await _busy(venue)

    for (path, name, key), count in zip(LISTS, COUNTS, strict=True):
        pages = await _pages(ann, path, name, limit)
        whole = await _pages(ann, path, name, 500)
        items = [item for page in pages for item in page]
        assert items == whole[0], path
        assert len({item[key] for item in items}) == len(items), path
        if name != "transactions":
            assert len(items) == count, path
        assert all(len(page) == limit for page in pages[:-1]), path


async def test_lists_are_newest_first(venue: Running) -> None:
    ann = await _busy(venue)

    for path, name, _ in LISTS[:5]:
        (items,) = await _pages(ann, path, name, 500)
        times = [item["at"] for item in items]
        assert times == sorted(times, reverse=True)
        places = [tuple(int(part) for part in str(item.get("id", item.get("offset"))).split("-")) for item in items]
        assert places == sorted(places, reverse=True)


async def test_what_arrives_meanwhile_does_not_shift_the_pages(venue: Running) -> None:
    ann = await _busy(venue)
    path = "/api/users/ann/trades"
    before = (await _pages(ann, path, "trades", 500))[0]

    first = (await ann.get(f"{path}?limit=5")).ok()
    await ann.opened()
    await ann.opened()
    second = (await ann.get(f"{path}?limit=5&cursor={first['nextCursor']}")).ok()

    assert first["trades"] + second["trades"] == before[:10]


async def test_the_default_page_has_100_items(venue: Running) -> None:
    prices = [{"ticker": "BTC-PERP", "price": 50_000 + number} for number in range(150)]
    (await venue.admin.post("/api/markets/prices", prices)).ok()

    body = (await venue.anybody.get("/api/markets/perps/BTC-PERP/prices")).ok()

    assert len(body["prices"]) == 100
    assert body["nextCursor"]
