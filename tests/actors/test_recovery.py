"""Start-up begins from the newest snapshot that can be used, and ends where a whole replay ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import pytest
import structlog
from msgspec.structs import replace

from actors.messages import Failure, Repeated, Settled
from actors.recovery import Recovered, recover, reload_market
from perps.commands import CreateUser
from perps.journal import Entry, Row
from perps.snapshot.format import Snapshot, SnapshotBroken, state_hash
from perps.units import Micros
from perps.venue import JournalCorrupt, VenueState
from tests.actors.test_core_is_rebuilt import FlakyJournal
from tests.actors.venue import USD, open_long, poison, running, set_price
from tests.support.entries import Scribe
from tests.support.memory import MemoryStore
from web.process.snapshot_taking import take_snapshot

ROWS = 400


def stored(scribe: Scribe) -> MemoryStore:
    """A store that holds all a scribe has written."""
    store = MemoryStore()
    store.acquire().append(scribe.entries)
    return store


def day() -> tuple[MemoryStore, Scribe]:
    """A market day, and what wrote it."""
    scribe = Scribe()
    scribe.live(ROWS)
    return stored(scribe), scribe


def state_after(entries: Sequence[Entry]) -> VenueState:
    """The state of a whole replay."""
    state = VenueState()
    for entry in entries:
        state.apply(entry.row)
    return state


def snapshot_at(scribe: Scribe, offset: int) -> bytes:
    """The snapshot of a row."""
    return Snapshot.of(state_after(scribe.entries[:offset])).encode()


def recovered(store: MemoryStore) -> tuple[Recovered, list[int]]:
    """What recovery comes to, and which rows it read."""
    read: list[int] = []
    return recover(store, lambda entry, _: read.append(entry.row.offset)), read


@pytest.mark.parametrize("offset", [1, 200, ROWS])
def test_only_the_rows_after_the_snapshot_are_read(offset: int) -> None:
    """I6."""
    store, scribe = day()
    store.save(offset, snapshot_at(scribe, offset), keep=3)

    found, read = recovered(store)

    assert read == list(range(offset + 1, len(scribe.entries) + 1))
    assert found.begun_at == offset
    assert state_hash(found.state) == state_hash(state_after(scribe.entries))


def test_without_a_snapshot_every_row_is_read() -> None:
    store, scribe = day()
    found, read = recovered(store)
    assert (found.begun_at, len(read)) == (0, len(scribe.entries))


@pytest.mark.parametrize("broken", [b"", b"not a snapshot", "truncated", "flipped"])
def test_a_broken_snapshot_is_skipped_with_a_warning_for_the_one_before(
    broken: bytes | str,
) -> None:
    store, scribe = day()
    whole = snapshot_at(scribe, 300)
    named = {"truncated": whole[:-1], "flipped": whole[:500] + bytes([whole[500] ^ 1]) + whole[501:]}
    store.save(100, snapshot_at(scribe, 100), keep=3)
    store.save(300, named.get(broken, b"") if isinstance(broken, str) else broken, keep=3)

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with structlog.testing.capture_logs() as logs:
        found, _ = recovered(store)

    assert found.begun_at == 100
    assert state_hash(found.state) == state_hash(state_after(scribe.entries))
    assert [(event["event"], event["log_level"], event["offset"]) for event in logs] == [
        ("snapshot.skipped", "warning", 300)
    ]


def test_when_all_are_broken_the_whole_journal_is_replayed() -> None:
    store, scribe = day()
    for offset in (100, 200, 300):
        store.save(offset, b"broken", keep=3)
    found, read = recovered(store)
    assert (found.begun_at, len(read)) == (0, len(scribe.entries))


def test_one_that_the_read_side_cannot_use_is_skipped_too() -> None:
    store, scribe = day()
    store.save(100, snapshot_at(scribe, 100), keep=3)
    store.save(300, snapshot_at(scribe, 300), keep=3)
    begun: list[int] = []

    def begin(snapshot: Snapshot, state: VenueState) -> None:
        if snapshot.offset == 300:
            raise SnapshotBroken("views of another program")
        begun.append(snapshot.offset)

    assert recover(store, lambda *_: None, begin).begun_at == 100
    assert begun == [100]


def test_a_rebuild_begins_no_later_than_it_is_told() -> None:
    store, scribe = day()
    for offset in (100, 200, 300):
        store.save(offset, snapshot_at(scribe, offset), keep=3)
    assert recover(store, lambda *_: None, until=250).begun_at == 200
    assert recover(store, lambda *_: None, until=99).begun_at == 0


def test_a_journal_that_lost_the_rows_a_snapshot_knows_is_refused() -> None:
    store, scribe = day()
    store.save(300, snapshot_at(scribe, 300), keep=3)
    del store.journal[250:]
    with pytest.raises(JournalCorrupt, match="row 300: missing"):
        recovered(store)


def test_a_journal_altered_at_a_snapshots_row_is_refused() -> None:
    store, scribe = day()
    store.save(300, snapshot_at(scribe, 300), keep=3)
    store.journal[299] = replace(store.journal[299], hash=bytes(32))
    with pytest.raises(JournalCorrupt, match="row 300: its hash"):
        recovered(store)


def test_a_row_altered_after_the_snapshot_is_named() -> None:
    store, scribe = day()
    store.save(300, snapshot_at(scribe, 300), keep=3)
    store.journal[349] = replace(store.journal[349], at=store.journal[349].at + 1)
    with pytest.raises(JournalCorrupt, match="row 350"):
        recovered(store)


def test_one_market_is_reloaded_from_the_snapshot_and_its_own_later_rows() -> None:
    store, scribe = day()
    store.save(300, snapshot_at(scribe, 300), keep=3)
    asked: list[tuple[str, int]] = []
    rows_of = store.rows_of

    def watched(stream: str, after: int = 0) -> object:
        asked.append((stream, after))
        return rows_of(stream, after)

    store.rows_of = watched  # type: ignore[method-assign, assignment]

    market = reload_market(store, "ETH-PERP")

    whole = state_after(scribe.entries).markets["ETH-PERP"]
    assert market.image() == replace(whole.image(), positions=market.image().positions)
    assert set(market.positions.items()) == set(whole.positions.items())
    assert asked == [("ETH-PERP", state_after(scribe.entries[:300]).markets["ETH-PERP"].seq)]


def test_a_market_listed_after_the_snapshot_is_reloaded_from_its_rows() -> None:
    scribe = Scribe()
    scribe.list_market("BTC-PERP")
    only_one = Snapshot.of(state_after(scribe.entries)).encode()
    scribe.list_market("ETH-PERP", price=300_000)
    scribe.price(310_000, "ETH-PERP")
    store = stored(scribe)
    store.save(1, only_one, keep=3)
    assert reload_market(store, "ETH-PERP").index_price == 310_000


async def test_a_venue_that_began_from_a_snapshot_still_knows_the_answers_before_it() -> None:
    """I4: the client ids of rows before the snapshot are looked up in the journal."""
    store = MemoryStore()
    async with running(store) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        first = await venue.do(open_long("A", "ann"), sender="ann", order_id="once")
        offset = first.entry.row.offset
    take_snapshot(store, store)

    async with running(store) as venue:
        assert await venue.send(open_long("A", "ann"), sender="ann", order_id="once") == Repeated(offset)
        assert isinstance(await venue.send(open_long("A", "ann"), sender="ann", order_id="twice"), Settled)


async def test_a_market_that_dies_after_a_snapshot_is_rebuilt_from_it() -> None:
    store = MemoryStore()
    async with running(store) as venue:
        await venue.list_market("A")
        await venue.add_user("ann")
        await venue.do(open_long("A", "ann"), sender="ann", order_id="1")
        take_snapshot(store, store)
        await venue.do(open_long("A", "ann"), sender="ann", order_id="2")
        forget(store, before=store.journal[-1].offset)
        await venue.send(poison("A", "ann"), sender="ann", order_id="p")

        third = await venue.do(open_long("A", "ann"), sender="ann", order_id="3")

        assert third.entry.row.market_seq == 4
        await venue.do(set_price("A", 101))
        assert len(venue.model.markets["A"].market.positions) == 3


async def test_a_core_that_dies_after_a_snapshot_is_rebuilt_from_it_and_nothing_is_missed() -> None:
    """Rows in doubt may be in a snapshot already: the rebuild begins before them, so that they are published."""
    store, fails = MemoryStore(), list[str]()
    async with running(store, open_journal=lambda: FlakyJournal(store.acquire(), fails)) as venue:
        await venue.add_user("ann")
        take_snapshot(store, store)
        known = venue.model.offset
        fails.append("after")
        doubtful = venue.send(CreateUser(user="bob", deposit=Micros(USD)))
        read = watch_rows(store, lambda: take_snapshot(store, store))

        assert isinstance(await doubtful, Failure)
        await venue.rebuilt()

        assert read[-1] == known
        assert venue.model.wallet("bob") == USD


def forget(store: MemoryStore, before: int) -> None:
    """Make the rows before an offset unreadable for a market's reload: it must not need them."""
    rows_of = store.rows_of

    def later(stream: str, after: int = 0) -> list[Row]:
        return [row for row in rows_of(stream, after) if row.offset >= before]

    store.rows_of = later  # type: ignore[method-assign, assignment]


def watch_rows(store: MemoryStore, first: Callable[[], object]) -> list[int]:
    """After which offsets rows are read, from now on; ``first`` is called before the first of them."""
    read: list[int] = []
    rows, waiting = store.rows, [first]

    def watched(after: int = 0) -> Iterator[Row]:
        if waiting:
            waiting.pop()()
        read.append(after)
        return rows(after)

    store.rows = watched  # type: ignore[method-assign]
    return read
