"""Snapshots from outside: asked for, taken by themselves, and begun from as if nothing had happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from perps.images import digest
from perps.snapshot import Snapshot, state_hash
from perps.venue import VenueState
from persistence.postgres_snapshots import PostgresSnapshots
from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.venue import Backend, Json, ManualClock, OnMemory, OnPostgres, Running
from web import snapshots
from web.compose import Limits
from web.snapshot_taking import SnapshotStalled, SnapshotTaken
from web.snapshots import SnapshotPolicy

NEVER = SnapshotPolicy(rows=10**9, seconds=10**9)


async def _busy(venue: Running) -> None:
    """A little of everything, over two days."""
    clock = venue.clock
    assert isinstance(clock, ManualClock)
    await venue.market()
    await venue.market("STORY", price="10", markSource="quote", maxLeverage=5, tickSize="0.01", lotSize="0.01")
    await venue.user("bob")
    ann = await venue.user("ann", referrer="bob")
    bob = venue.client("bob")
    for hour in range(30):
        clock.advance(3_600)
        await venue.price(str(50_000 + 13 * hour))
    await ann.opened(clientOrderId="kept")
    await bob.opened(side="short", leverage=100)
    opened = await bob.opened("STORY", "100", leverage=2)
    await ann.opened("STORY", "50", leverage=3)
    clock.advance(61)
    (await bob.close(opened["position"]["id"], percentage=0.4)).ok()
    await venue.price("52000", source="event", reason="news")
    (await venue.admin.post("/api/admin/users/ann/withdraw", {"amount": "7"})).ok()
    await venue.mode("reduce_only", "STORY")


async def _seen(venue: Running) -> Json:
    """All that can be read."""
    seen = await venue.footprint()
    for ticker in [market["ticker"] for market in seen["stats"]["markets"]]:
        for path in ("candles?interval=1h", "candles?interval=1m", "trades", "prices"):
            seen[f"{ticker} {path}"] = (await venue.anybody.get(f"/api/markets/perps/{ticker}/{path}")).ok()
    return seen


async def _snapshot(venue: Running) -> Json:
    return (await venue.admin.post("/api/admin/snapshots")).ok(201)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a plain value that a background task sets
            await asyncio.sleep(0.02)


async def test_a_venue_that_begins_from_a_snapshot_shows_what_it_showed_before(
    starter: Starter, backend: Backend
) -> None:
    """I6, and the read side's own sums, lists, candles and 24 hours."""
    venue = await starter(backend, clock=ManualClock(), limits=Limits(snapshots=NEVER))
    await _busy(venue)
    before = await _seen(venue)
    taken = await _snapshot(venue)

    again = await starter.restart(venue, limits=Limits(snapshots=NEVER))

    assert again.venue.host.began_at == taken["offset"] == before["stats"]["offset"]
    after = await _seen(again)
    after["stats"]["epoch"] = before["stats"]["epoch"]
    assert after == before
    kept = await again.client("ann").open(clientOrderId="kept")
    assert kept.headers["Idempotent-Replay"] == "true"


async def test_what_happens_after_a_snapshot_is_there_too(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend, clock=ManualClock(), limits=Limits(snapshots=NEVER))
    await _busy(venue)
    await _snapshot(venue)
    await venue.client("bob").opened()
    await venue.price("51000")
    before = await _seen(venue)

    again = await starter.restart(venue)

    assert 0 < again.venue.host.began_at < before["stats"]["offset"]
    after = await _seen(again)
    after["stats"]["epoch"] = before["stats"]["epoch"]
    assert after == before


async def test_a_stream_resumes_across_a_restart_from_a_snapshot(starter: Starter, backend: Backend) -> None:
    """I10: what memory no longer holds comes from the journal."""
    venue = await starter(backend)
    await venue.market()
    async with listening(venue) as stream:
        await stream.next()
        await venue.price("50100")
        seen = await stream.next()
    await venue.price("50200")
    await venue.price("50300")
    await _snapshot(venue)

    again = await starter.restart(venue)

    async with listening(again, headers={"Last-Event-ID": seen.id or ""}) as stream:
        prices = [(await stream.next()).data["indexPrice"] for _ in range(2)]
    assert prices == ["50200.00", "50300.00"]


async def test_the_answer_says_what_the_state_is(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory)
    await _busy(venue)

    taken = await _snapshot(venue)

    state = VenueState()
    for row in memory.store.rows():
        state.apply(row)
    assert taken["offset"] == taken["rows"] == state.offset
    assert taken["stateHash"] == state_hash(state).hex()
    assert taken["size"] == len(memory.store.saved_snapshots[state.offset])
    again = await _snapshot(venue)
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
    assert 'perps_snapshots_total{outcome="failed"} 1.0' in (await venue.anybody.get("/metrics")).body.decode()


async def test_they_are_taken_by_themselves_after_so_many_rows(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory, limits=Limits(snapshots=replace(NEVER, rows=5)))
    await venue.market()
    for price in range(50_000, 50_004):
        await venue.price(str(price))

    await _until(lambda: bool(memory.store.saved_snapshots))
    assert max(memory.store.saved_snapshots) == 5


async def test_they_are_taken_by_themselves_after_a_time_if_there_is_anything_new(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory, limits=Limits(snapshots=replace(NEVER, seconds=0.1)))
    await venue.market()
    await _until(lambda: bool(memory.store.saved_snapshots))
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
    asked = [asyncio.create_task(_snapshot(venue)) for _ in range(100)]
    await _until(lambda: bool(taking))
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


async def test_a_broken_newest_one_does_not_stop_a_start(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory)
    await venue.market()
    await _snapshot(venue)
    await venue.price("50100")
    last = (await _snapshot(venue))["offset"]
    memory.store.saved_snapshots[last] = memory.store.saved_snapshots[last][:-1]
    before = await _seen(venue)

    again = await starter.restart(venue)

    assert again.venue.host.began_at == 1
    after = await _seen(again)
    after["stats"]["epoch"] = before["stats"]["epoch"]
    assert after == before


async def test_one_that_is_asked_for_stays_whatever_else_is_stored(starter: Starter, backend: Backend) -> None:
    """Broken ones of higher rows neither count among those kept nor keep their places."""
    venue = await starter(backend, limits=Limits(snapshots=NEVER))
    await venue.market()
    first = (await _snapshot(venue))["offset"]
    await venue.price("50100")
    await asyncio.to_thread(store_of(backend), {10**9 + n: b"abc" for n in range(3)})

    taken = (await _snapshot(venue))["offset"]

    assert await asyncio.to_thread(rows_of, backend) == [taken, first]
    again = await starter.restart(venue, limits=Limits(snapshots=NEVER))
    assert again.venue.host.began_at == taken


async def test_a_broken_one_of_the_same_row_is_replaced(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend, limits=Limits(snapshots=NEVER))
    await venue.market()
    taken = await _snapshot(venue)
    await asyncio.to_thread(store_of(backend), {taken["offset"]: b"abc"})

    assert (await _snapshot(venue))["stateHash"] == taken["stateHash"]

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
        last = (await _snapshot(venue))["offset"]
        whole = [offset for offset, body in saved.items() if body != b"abc"]
        assert last == max(whole)
        assert len(whole) >= min(2, number + 1)
        if number % 3 == 1:
            saved[last] = b"abc"
        if number % 3 == 2:
            saved.update({10**6 + n: b"abc" for n in range(3)})


async def test_that_none_can_be_taken_is_shown_until_one_is(starter: Starter) -> None:
    """No reason not to be ready: every part takes commands."""
    failing = True

    async def take() -> SnapshotTaken:
        if failing:
            raise SnapshotStalled("it stood still for 90 s and was ended")
        return SnapshotTaken(offset=1, state_hash=b"", size=0, rows=0)

    venue = await starter(stores=replace(OnMemory().stores(), take_snapshot=take), limits=Limits(snapshots=NEVER))
    (await venue.admin.post("/api/admin/snapshots")).refused(503, "unavailable")

    ready = (await venue.anybody.get("/readyz")).ok()
    assert ready["warnings"] == {"snapshots": "none could be taken: it stood still and was ended"}
    metrics = (await venue.anybody.get("/metrics")).body.decode()
    assert 'perps_snapshots_total{outcome="stalled"} 1.0' in metrics
    assert "perps_snapshot_problem 1.0" in metrics

    failing = False
    await _snapshot(venue)
    assert "warnings" not in (await venue.anybody.get("/readyz")).ok()
    assert "perps_snapshot_problem 0.0" in (await venue.anybody.get("/metrics")).body.decode()


async def test_one_that_fails_is_tried_again(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "CHECK_S", 0.01)
    monkeypatch.setattr(snapshots, "RETRY_S", 0.01)
    tries, done = list[int](), asyncio.Event()

    async def take() -> SnapshotTaken:
        tries.append(1)
        if len(tries) < 3:
            raise SnapshotStalled("it stood still")
        done.set()
        return SnapshotTaken(offset=1, state_hash=b"", size=0, rows=0)

    venue = await starter(
        stores=replace(OnMemory().stores(), take_snapshot=take), limits=Limits(snapshots=replace(NEVER, rows=1))
    )
    await venue.market()
    async with asyncio.timeout(10):
        await done.wait()


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


async def test_views_of_another_program_are_no_reason_not_to_start(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory)
    await _busy(venue)
    snapshot = Snapshot.decode(memory.store.saved_snapshots[(await _snapshot(venue))["offset"]])
    memory.store.saved_snapshots = {snapshot.offset: replace(snapshot, views=b"\x93\x01\x02\x03").encode()}
    before = await _seen(venue)

    again = await starter.restart(venue)

    assert again.venue.host.began_at == 0
    after = await _seen(again)
    after["stats"]["epoch"] = before["stats"]["epoch"]
    assert after == before


async def test_the_state_in_memory_has_the_digests_of_a_replay(starter: Starter) -> None:
    """I6, live."""
    memory = OnMemory()
    venue = await starter(memory)
    await _busy(venue)

    told = (await venue.admin.get("/api/admin/state")).ok()

    state = VenueState()
    for row in memory.store.rows():
        state.apply(row)
    assert told["ledger"] == {
        "offset": state.offset,
        "seq": state.ledger.seq,
        "hash": digest(state.ledger.image(state.offset).chunks()).hex(),
    }
    assert told["markets"] == [
        {
            "ticker": ticker,
            "seq": state.markets[ticker].seq,
            "positions": len(state.markets[ticker].positions),
            "hash": digest(state.markets[ticker].image().chunks()).hex(),
        }
        for ticker in ("BTC-PERP", "STORY")
    ]


async def test_only_an_administrator_sees_the_state(venue: Running) -> None:
    ann = await venue.user("ann")
    (await ann.get("/api/admin/state")).refused(403, "forbidden")
    (await venue.anybody.get("/api/admin/state")).refused(401, "unauthorized")
