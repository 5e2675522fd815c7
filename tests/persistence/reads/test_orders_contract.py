"""Orders as the read side must answer them, in memory and in PostgreSQL: judged by the events themselves."""

from collections.abc import AsyncIterator

import pytest

from perps.journal import Entry
from perps.query_rows import OrderRecord
from tests.persistence.slow_reads import slow_orders
from tests.persistence.stores import Queries, Store, write
from tests.persistence.wild_days import NAMES, a_wild_day


@pytest.fixture(scope="module")
def day() -> list[Entry]:
    """Rows of a day on which many orders were placed, changed and ended."""
    return a_wild_day(3, rows=500)


@pytest.fixture
def written(store: Store, day: list[Entry]) -> None:
    write(store.acquire(), day)


@pytest.fixture
async def queries(store: Store, written: None) -> AsyncIterator[Queries]:
    """The read side of a store that holds the day."""
    queries = store.queries()
    await queries.open()
    yield queries
    await queries.close()


async def test_a_users_orders_are_what_their_events_made_of_them(queries: Queries, day: list[Entry]) -> None:
    known = list(slow_orders(day).values())
    assert {order.status for order in known} == {"open", "filled", "cancelled", "expired"}
    for user in NAMES:
        for status in ("open", "closed", "all"):
            for ticker in (None, "BTC-PERP"):
                expected = [
                    order
                    for order in sorted(known, key=lambda order: -order.placed_offset)
                    if order.user_id == user
                    and (ticker is None or order.ticker == ticker)
                    and (status == "all" or (status == "open") is (order.status == "open"))
                ]
                found, before = list[OrderRecord](), None
                while page := await queries.orders(user, status=status, ticker=ticker, before=before, limit=4):
                    found += page
                    before = (page[-1].placed_offset, 0)
                assert found == expected


async def test_one_order_is_found_by_its_id(queries: Queries, day: list[Entry]) -> None:
    for name, order in list(slow_orders(day).items())[:5]:
        assert await queries.order(name) == order
    assert await queries.order("BTC-PERP-o999999") is None


async def test_the_fills_of_an_order_name_it(queries: Queries, day: list[Entry]) -> None:
    filled = [order for order in slow_orders(day).values() if order.filled_lots is not None]
    assert {order.kind for order in filled} == {"limit", "stop", "take_profit", "trailing_stop", "market"}
    for order in filled:
        number = int(order.id.rpartition("-o")[2])
        fills = await queries.fills_of_order(order.ticker, number, limit=5)
        assert len(fills) == 1 or (order.slices_done or 0) - (order.slices_skipped or 0) == len(fills)
        assert sum(fill.lots for fill in fills) == order.filled_lots
        assert sum(fill.cost for fill in fills) == order.filled_cost
        assert {(fill.order_number, fill.position_id) for fill in fills} == {(number, order.position_id)}
        assert fills[0].offset == order.offset or order.kind == "twap"
    assert await queries.fills_of_order("BTC-PERP", 999_999, limit=5) == []
