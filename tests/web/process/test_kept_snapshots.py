"""Which snapshots are kept: what was asked for, and always two that can be used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from persistence.journal.snapshots import PostgresSnapshots
from tests.web.conftest import Starter
from tests.web.snapshotting import NEVER, snapshot_taken
from tests.web.venue import Backend, OnMemory, OnPostgres
from web.compose import Limits


def store_of(backend: Backend) -> Callable[[dict[int, bytes]], None]:
    """Puts bytes where snapshots are kept, by row."""

    def put(bodies: dict[int, bytes]) -> None:
        for offset, body in bodies.items():
            if isinstance(backend, OnMemory):
                backend.store.save(offset, body, keep=10)
            else:
                assert isinstance(backend, OnPostgres)
                PostgresSnapshots(backend.url).save(offset, body, keep=10)

    return put


def rows_of(backend: Backend) -> list[int]:
    """The rows of the stored snapshots, newest first."""
    return [offset for offset, _ in backend.stores().history.snapshots()]


async def test_one_that_is_asked_for_stays_whatever_else_is_stored(starter: Starter, backend: Backend) -> None:
    """Broken ones of higher rows neither count among those kept nor keep their places."""
    venue = await starter(backend, limits=Limits(snapshots=NEVER))
    await venue.market()
    first = (await snapshot_taken(venue))["offset"]
    await venue.price("50100")
    await asyncio.to_thread(store_of(backend), {10**9 + n: b"abc" for n in range(3)})

    taken = (await snapshot_taken(venue))["offset"]

    assert await asyncio.to_thread(rows_of, backend) == [taken, first]
    again = await starter.restart(venue, limits=Limits(snapshots=NEVER))
    assert again.venue.host.began_at == taken


async def test_a_broken_one_of_the_same_row_is_replaced(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend, limits=Limits(snapshots=NEVER))
    await venue.market()
    taken = await snapshot_taken(venue)
    await asyncio.to_thread(store_of(backend), {taken["offset"]: b"abc"})

    assert (await snapshot_taken(venue))["stateHash"] == taken["stateHash"]

    again = await starter.restart(venue, limits=Limits(snapshots=NEVER))
    assert again.venue.host.began_at == taken["offset"]


async def test_two_that_can_be_used_are_always_kept(starter: Starter) -> None:
    """The one just taken and the one it began from, whatever happens to those between."""
    memory = OnMemory()
    venue = await starter(memory, limits=Limits(snapshots=NEVER))
    await venue.market()
    saved = memory.store.saved_snapshots
    for number in range(12):
        await venue.price(str(50_100 + number))
        last = (await snapshot_taken(venue))["offset"]
        whole = [offset for offset, body in saved.items() if body != b"abc"]
        assert last == max(whole)
        assert len(whole) >= min(2, number + 1)
        if number % 3 == 1:
            saved[last] = b"abc"
        if number % 3 == 2:
            saved.update({10**6 + n: b"abc" for n in range(3)})
