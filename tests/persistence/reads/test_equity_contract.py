"""What users had, hour by hour: what both stores must answer."""

from __future__ import annotations

import pytest

from perps.query_rows import EquityRecord
from tests.persistence.stores import Store, write
from tests.support.entries import Scribe

HOUR = 3_600_000
DAY = 24 * HOUR
HUGE = 10**25
"""Sums have no bound."""


def seen(user: str, at: int, equity: int = 5) -> EquityRecord:
    return EquityRecord(user, at, equity, paid_in=-3, pnl=-HUGE, volume=HUGE)


def rounds(*hours: int) -> list[EquityRecord]:
    return [EquityRecord("", hour * HOUR) for hour in hours]


@pytest.fixture
def tables(store: Store) -> None:
    """A store that is a venue's."""
    write(store.acquire(), [])


@pytest.mark.usefixtures("tables")
async def test_a_round_is_kept_whole_and_once(store: Store) -> None:
    equity, queries = store.equity(), store.queries()
    await queries.open()
    await equity.add([*rounds(1), seen("ann", HOUR), seen("bob", HOUR, 2**62)])
    await equity.add([seen("ann", HOUR, 6), seen("ann", 2 * HOUR, 7)])

    assert await queries.equity("ann", since=0, limit=9) == [seen("ann", 2 * HOUR, 7), seen("ann", HOUR)]
    assert await queries.equity("bob", since=0, limit=9) == [seen("bob", HOUR, 2**62)]
    assert await queries.equity("eve", since=0, limit=9) == []
    await queries.close()


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("since", "before", "limit", "hours"),
    [
        (0, None, 9, [8, 6, 4, 2]),
        (0, None, 2, [8, 6]),
        (0, 6, 9, [4, 2]),
        (4, None, 9, [8, 6, 4]),
        (5, None, 9, [8, 6, 4]),
        (9, None, 9, [8]),
        (1, None, 9, [8, 6, 4, 2]),
        (5, 4, 9, []),
        (0, None, 0, []),
    ],
)
async def test_a_history_goes_back_to_the_last_point_before_its_window(
    store: Store, since: int, before: int | None, limit: int, hours: list[int]
) -> None:
    queries = store.queries()
    await queries.open()
    await store.equity().add([seen("ann", hour * HOUR) for hour in (2, 4, 6, 8)])

    last = None if before is None else before * HOUR
    found = await queries.equity("ann", since=since * HOUR, before=last, limit=limit)

    assert [record.at // HOUR for record in found] == hours
    await queries.close()


@pytest.mark.usefixtures("tables")
async def test_a_window_begins_with_the_last_round_before_it_or_with_the_first_of_all(store: Store) -> None:
    equity = store.equity()
    assert await equity.round_at(9 * HOUR) is None
    await equity.add([*rounds(2, 4, 6), seen("ann", 2 * HOUR), seen("ann", 5 * HOUR)])

    assert [await equity.round_at(hour * HOUR) for hour in (1, 2, 3, 5, 9)] == [
        2 * HOUR,
        2 * HOUR,
        2 * HOUR,
        4 * HOUR,
        6 * HOUR,
    ]
    assert await equity.before(["ann", "bob"], 4 * HOUR) == {"ann": seen("ann", 2 * HOUR)}
    assert await equity.before(["ann"], HOUR) == {}


@pytest.mark.usefixtures("tables")
async def test_of_an_old_day_its_last_hour_stays(store: Store) -> None:
    equity, queries = store.equity(), store.queries()
    await queries.open()
    hours = [0, 1, 23, 24, 25, 50]
    await equity.add([*rounds(*hours), *(seen("ann", hour * HOUR) for hour in hours), seen("bob", HOUR)])

    await equity.thin(2 * DAY)

    assert [record.at // HOUR for record in await queries.equity("ann", since=0, limit=9)] == [50, 25, 23]
    assert [record.at // HOUR for record in await queries.equity("bob", since=0, limit=9)] == [1]
    assert await equity.round_at(24 * HOUR) == 23 * HOUR
    await queries.close()


@pytest.fixture
def lived(store: Store) -> None:
    """A store of a venue that lived for 600 rows."""
    scribe = Scribe()
    scribe.live(600, seed=7)
    write(store.acquire(), scribe.entries)


@pytest.mark.usefixtures("lived")
async def test_volumes_are_those_of_all_fills_up_to_a_row(store: Store) -> None:
    queries = store.queries()
    await queries.open()

    volumes = await store.equity().volumes(400)

    users = [f"user{number}" for number in range(5)]
    fills = {user: await queries.fills(user=user, limit=10_000) for user in users}
    assert sum(map(len, fills.values())) > 100
    assert volumes == {
        user: total
        for user, found in fills.items()
        if (total := sum(abs(fill.cost) for fill in found if fill.offset <= 400))
    }
    await queries.close()
