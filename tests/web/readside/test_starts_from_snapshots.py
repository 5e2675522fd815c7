"""A start from a snapshot shows what was shown before, as if nothing had happened; a broken one stops no start."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import actors.recovery
import web.process.host
import web.process.snapshot_taking
from actors.recovery import Recovered
from perps.snapshot.format import Snapshot
from tests.conftest import Event
from tests.web.api.trading.test_orders import placed
from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.process.test_failures import Doubtful
from tests.web.snapshotting import NEVER, all_that_can_be_read, busy_days, snapshot_taken, until_true
from tests.web.venue import Backend, ManualClock, OnMemory
from web.compose import Limits
from web.readside.image import decode_views, views_of
from web.readside.model import ReadModel


async def test_a_venue_that_begins_from_a_snapshot_shows_what_it_showed_before(
    starter: Starter, backend: Backend
) -> None:
    """I6, and the read side's own sums, lists, candles and 24 hours."""
    venue = await starter(backend, clock=ManualClock(), limits=Limits(snapshots=NEVER))
    await busy_days(venue)
    before = await all_that_can_be_read(venue)
    taken = await snapshot_taken(venue)

    again = await starter.restart(venue, limits=Limits(snapshots=NEVER))

    assert again.venue.host.began_at == taken["offset"] == before["stats"]["offset"]
    after = await all_that_can_be_read(again)
    after["stats"]["epoch"] = before["stats"]["epoch"]
    assert after == before
    kept = await again.client("ann").open(clientOrderId="kept")
    assert kept.headers["Idempotent-Replay"] == "true"


async def test_resting_orders_are_shown_in_the_order_in_which_they_were_placed(starter: Starter) -> None:
    clock = ManualClock()
    venue = await starter(clock=clock, limits=Limits(snapshots=NEVER))
    await venue.market()
    await venue.market("OTHER")
    ann = await venue.user("ann")
    for ticker in ("BTC-PERP", "OTHER", "BTC-PERP"):
        await placed(ann, "49000", ticker=ticker)
        clock.advance(0.001)
    await snapshot_taken(venue)
    again = await starter.restart(venue, limits=Limits(snapshots=NEVER))
    for running in (venue, again):
        assert list(running.venue.context.model.users["ann"].orders) == [("BTC-PERP", 1), ("OTHER", 1), ("BTC-PERP", 2)]


async def test_what_happens_after_a_snapshot_is_there_too(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend, clock=ManualClock(), limits=Limits(snapshots=NEVER))
    await busy_days(venue)
    await snapshot_taken(venue)
    await venue.client("bob").opened()
    await venue.price("51000")
    before = await all_that_can_be_read(venue)

    again = await starter.restart(venue)

    assert 0 < again.venue.host.began_at < before["stats"]["offset"]
    after = await all_that_can_be_read(again)
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
    await snapshot_taken(venue)

    again = await starter.restart(venue)

    async with listening(again, headers={"Last-Event-ID": seen.id or ""}) as stream:
        prices = [(await stream.next()).data["indexPrice"] for _ in range(2)]
    assert prices == ["50200.00", "50300.00"]


async def test_a_broken_newest_one_does_not_stop_a_start(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory)
    await venue.market()
    await snapshot_taken(venue)
    await venue.price("50100")
    last = (await snapshot_taken(venue))["offset"]
    memory.store.saved_snapshots[last] = memory.store.saved_snapshots[last][:-1]
    before = await all_that_can_be_read(venue)

    again = await starter.restart(venue)

    assert again.venue.host.began_at == 1
    after = await all_that_can_be_read(again)
    after["stats"]["epoch"] = before["stats"]["epoch"]
    assert after == before


async def test_views_of_another_program_are_no_reason_not_to_start(starter: Starter) -> None:
    memory = OnMemory()
    venue = await starter(memory)
    await busy_days(venue)
    snapshot = Snapshot.decode(memory.store.saved_snapshots[(await snapshot_taken(venue))["offset"]])
    memory.store.saved_snapshots = {snapshot.offset: replace(snapshot, views=b"\x93\x01\x02\x03").encode()}
    before = await all_that_can_be_read(venue)

    again = await starter.restart(venue)

    assert again.venue.host.began_at == 0
    after = await all_that_can_be_read(again)
    after["stats"]["epoch"] = before["stats"]["epoch"]
    assert after == before


@pytest.mark.parametrize("are_its_own", [True, False])
async def test_a_rebuilt_core_begins_only_from_what_a_start_would_begin_from(
    starter: Starter, monkeypatch: pytest.MonkeyPatch, error_lines: list[Event], are_its_own: bool
) -> None:
    memory, plan, begun_at = OnMemory(), list[str](), list[int]()

    def recover(*args: Any, **options: Any) -> Recovered:
        recovered = actors.recovery.recover(*args, **options)
        begun_at.append(recovered.begun_at)
        return recovered

    monkeypatch.setattr(web.process.host, "recover", recover)
    stores = replace(memory.stores(), open_journal=lambda: Doubtful(memory.store.acquire(), plan))
    venue = await starter(memory, stores=stores)
    await venue.market()
    ann = await venue.user("ann")
    taken = (await snapshot_taken(venue))["offset"]
    if not are_its_own:
        snapshot = Snapshot.decode(memory.store.saved_snapshots[taken])
        views = decode_views(snapshot)
        views = replace(views, users=[user._replace(fees=-1) for user in views.users])
        memory.store.saved_snapshots[taken] = replace(snapshot, views=msgspec.msgpack.encode(views)).encode()
    plan.append("after")

    (await ann.open(clientOrderId="x")).refused(503, "outcome_unknown")
    await until_true(lambda: len(begun_at) == 2 and not venue.venue.host.problems())

    assert begun_at == [0, taken if are_its_own else 0]
    assert len(await ann.positions()) == 1
    error_lines.clear()


async def test_volumes_that_a_snapshot_of_an_older_version_lacks_are_counted(
    starter: Starter, backend: Backend
) -> None:
    venue = await starter(backend, limits=Limits(snapshots=NEVER))
    await busy_days(venue)
    model = venue.venue.context.model
    before = {user: view.volume for user, view in model.users.items()}
    assert sum(before.values()) > 0
    stores = backend.stores()
    views = views_of(model)
    older = [image[: image._fields.index("volume")] for image in views.users]

    def without_volumes(model: ReadModel) -> bytes:
        return msgspec.msgpack.encode({"users": older, "markets": views.markets})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web.process.snapshot_taking, "encode_views", without_volumes)
        await stores.take_snapshot()
    await venue.client("bob").opened()
    before = {user: view.volume for user, view in model.users.items()}

    again = await starter.restart(venue)
    await again.venue.context.observations.look()

    assert again.venue.host.began_at > 0
    assert {user: view.volume for user, view in again.venue.context.model.users.items()} == before
