"""Snapshots are taken: asked for, by themselves, together, in vain and again."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from perps.snapshot.format import state_hash
from perps.venue import VenueState
from tests.web.conftest import Starter
from tests.web.snapshotting import NEVER, busy_days, snapshot_taken, until_true
from tests.web.venue import OnMemory, Running
from web.compose import Limits
from web.process import snapshots
from web.process.snapshot_taking import SnapshotStalled, SnapshotTaken


async def test_the_answer_says_what_the_state_is(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory)
    await busy_days(venue)

    taken = await snapshot_taken(venue)

    state = VenueState()
    for row in memory.store.rows():
        state.apply(row)
    assert taken["offset"] == taken["rows"] == state.offset
    assert taken["stateHash"] == state_hash(state).hex()
    assert taken["size"] == len(memory.store.saved_snapshots[state.offset])
    again = await snapshot_taken(venue)
    assert again == {**taken, "rows": 0}


async def test_only_an_administrator_may_ask(venue: Running) -> None:
    ann = await venue.user("ann")
    (await ann.post("/api/admin/snapshots")).refused(403, "forbidden")
    (await venue.anybody.post("/api/admin/snapshots")).refused(401, "unauthorized")


async def test_one_that_fails_is_said_and_costs_nothing_else(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory)
    await venue.market()
    await venue.price("50100")
    first = memory.store.journal[0]
    memory.store.journal[0] = replace(first, at=first.at + 1)

    (await venue.admin.post("/api/admin/snapshots")).refused(503, "unavailable")

    assert memory.store.saved_snapshots == {}
    await venue.price("50200")
    assert 'perps_snapshots_total{outcome="failed"} 1.0' in (await venue.admin.get("/metrics")).body.decode()


async def test_they_are_taken_by_themselves_after_so_many_rows(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory, limits=Limits(snapshots=replace(NEVER, rows=5)))
    await venue.market()
    for price in range(50_000, 50_004):
        await venue.price(str(price))

    await until_true(lambda: bool(memory.store.saved_snapshots))
    assert max(memory.store.saved_snapshots) == 5


async def test_they_are_taken_by_themselves_after_a_time_if_there_is_anything_new(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory, limits=Limits(snapshots=replace(NEVER, seconds=0.1)))
    await venue.market()
    await until_true(lambda: bool(memory.store.saved_snapshots))
    assert list(memory.store.saved_snapshots) == [1]
    assert venue.venue.context.snapshots.last_offset == 1


async def test_those_who_ask_at_once_share_one(starter: Starter) -> None:
    """A hundred requests make two snapshots: the one being taken, and one more for all who came meanwhile."""
    memory, taking, go_on = OnMemory(), list[int](), asyncio.Event()

    async def take() -> SnapshotTaken:
        taking.append(1)
        await go_on.wait()
        return SnapshotTaken(offset=1, state_hash=b"", size=0, rows=0)

    venue = await starter(stores=replace(memory.stores(), take_snapshot=take), limits=Limits(snapshots=NEVER))
    asked = [asyncio.create_task(snapshot_taken(venue)) for _ in range(100)]
    await until_true(lambda: bool(taking))
    go_on.set()

    await asyncio.gather(*asked)

    assert 1 <= len(taking) <= 2


async def test_a_venue_stops_while_one_is_being_taken(starter: Starter) -> None:
    taking = asyncio.Event()

    async def take() -> SnapshotTaken:
        taking.set()
        await asyncio.Event().wait()
        raise AssertionError

    venue = await starter(
        stores=replace(OnMemory().stores(), take_snapshot=take), limits=Limits(snapshots=replace(NEVER, rows=1))
    )
    await venue.market()
    await taking.wait()

    async with asyncio.timeout(5):
        await starter.stop(venue)


async def test_who_asks_for_one_while_the_venue_stops_is_told_so(starter: Starter) -> None:
    """And nothing is started any more."""
    taking = list[int]()
    begun = asyncio.Event()

    async def take() -> SnapshotTaken:
        taking.append(1)
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    venue = await starter(stores=replace(OnMemory().stores(), take_snapshot=take), limits=Limits(snapshots=NEVER))
    asked = asyncio.create_task(venue.admin.post("/api/admin/snapshots"))
    await begun.wait()

    await venue.venue.context.snapshots.stop()

    answer = await asyncio.wait_for(asked, 5)
    answer.refused(503, "unavailable")
    assert "the venue is stopping" in answer.body.decode()
    assert "the venue is stopping" in (await venue.admin.post("/api/admin/snapshots")).body.decode()
    assert taking == [1]


async def test_that_none_can_be_taken_is_shown_until_one_is(starter: Starter) -> None:
    """No reason not to be ready: every part takes commands."""
    failing = True

    async def take() -> SnapshotTaken:
        if failing:
            raise SnapshotStalled("it made no progress for 90 s and was ended")
        return SnapshotTaken(offset=1, state_hash=b"", size=0, rows=0)

    venue = await starter(stores=replace(OnMemory().stores(), take_snapshot=take), limits=Limits(snapshots=NEVER))
    (await venue.admin.post("/api/admin/snapshots")).refused(503, "unavailable")

    ready = (await venue.anybody.get("/readyz")).ok()
    assert ready["warnings"] == {"snapshots": "none could be taken: it made no progress and was ended"}
    metrics = (await venue.admin.get("/metrics")).body.decode()
    assert 'perps_snapshots_total{outcome="stalled"} 1.0' in metrics
    assert "perps_snapshot_problem 1.0" in metrics

    failing = False
    await snapshot_taken(venue)
    assert "warnings" not in (await venue.anybody.get("/readyz")).ok()
    assert "perps_snapshot_problem 0.0" in (await venue.admin.get("/metrics")).body.decode()


async def test_one_that_fails_is_tried_again(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "CHECK_S", 0.01)
    monkeypatch.setattr(snapshots, "RETRY_S", 0.01)
    tries, done = list[int](), asyncio.Event()

    async def take() -> SnapshotTaken:
        tries.append(1)
        if len(tries) < 3:
            raise SnapshotStalled("it made no progress")
        done.set()
        return SnapshotTaken(offset=1, state_hash=b"", size=0, rows=0)

    venue = await starter(
        stores=replace(OnMemory().stores(), take_snapshot=take), limits=Limits(snapshots=replace(NEVER, rows=1))
    )
    await venue.market()
    async with asyncio.timeout(10):
        await done.wait()
