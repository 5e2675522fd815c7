"""What every store of snapshots must do, in memory and in PostgreSQL."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import asyncpg
import pytest

from perps.journal import JournalUnavailable
from persistence.journal import snapshots as postgres_snapshots
from persistence.journal.snapshots import PART_BYTES
from tests.persistence.stores import Store
from tests.support.postgres import sql


@pytest.fixture(autouse=True)
def migrated(store: Store) -> None:
    """The tables are there once somebody has owned the shard."""
    store.acquire().close()


def test_a_new_store_has_none(store: Store) -> None:
    assert list(store.history.snapshots()) == []


def test_they_come_back_byte_for_byte_newest_first(store: Store) -> None:
    for offset in (5, 70, 600):
        store.snapshots.save(offset, b"state %d" % offset, keep=10)

    assert list(store.history.snapshots()) == [(600, b"state 600"), (70, b"state 70"), (5, b"state 5")]
    assert list(store.history.snapshots(until=70)) == [(70, b"state 70"), (5, b"state 5")]
    assert list(store.history.snapshots(until=4)) == []


def test_only_the_newest_are_kept(store: Store) -> None:
    for offset in range(1, 6):
        store.snapshots.save(offset, b"x", keep=2)
    assert [offset for offset, _ in store.history.snapshots()] == [5, 4]


def test_one_of_the_same_row_is_replaced(store: Store) -> None:
    store.snapshots.save(5, b"broken", keep=2)
    store.snapshots.save(5, b"whole", keep=2)
    assert list(store.history.snapshots()) == [(5, b"whole")]


def test_a_large_one_is_cut_into_parts_and_joined(store: Store) -> None:
    body = bytes(range(256)) * (2 * PART_BYTES // 256) + b"and a rest"
    store.snapshots.save(9, body, keep=2)
    assert list(store.history.snapshots()) == [(9, body)]


def test_an_empty_one_stays_empty(store: Store) -> None:
    store.snapshots.save(9, b"", keep=2)
    assert list(store.history.snapshots()) == [(9, b"")]


def test_one_that_is_there_already_is_a_success(store: Store) -> None:
    for _ in range(2):
        store.snapshots.save(5, b"whole", keep=2)
    assert list(store.history.snapshots()) == [(5, b"whole")]


def digest(body: bytes) -> bytes:
    return sha256(body).digest()


def test_broken_ones_count_for_nothing_and_go(store: Store) -> None:
    """However high their rows."""
    store.snapshots.save(5, b"whole", keep=3)
    for offset in (10**6, 10**6 + 1, 10**6 + 2):
        store.snapshots.save(offset, b"broken", keep=10)

    broken = {offset: digest(b"broken") for offset in (10**6, 10**6 + 1, 10**6 + 2)}
    store.snapshots.save(7, b"new", keep=3, broken=broken)

    assert list(store.history.snapshots()) == [(7, b"new"), (5, b"whole")]


def test_one_that_has_been_replaced_meanwhile_is_not_the_broken_one(store: Store) -> None:
    store.snapshots.save(5, b"whole by now", keep=3)
    store.snapshots.save(7, b"new", keep=3, broken={5: digest(b"broken"), 6: digest(b"broken")})
    assert [offset for offset, _ in store.history.snapshots()] == [7, 5]


def test_the_one_just_stored_is_never_forgotten(store: Store) -> None:
    """Whatever else is there: whoever asked for it has been told that it is."""
    for offset in (10, 20, 30):
        store.snapshots.save(offset, b"x", keep=3)
    store.snapshots.save(5, b"new", keep=3)
    assert [offset for offset, _ in store.history.snapshots()] == [30, 20, 10, 5]


def test_several_of_one_row_at_once_all_succeed(store: Store) -> None:
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(store.snapshots.save, 5, bytes(PART_BYTES + 1), keep=2) for _ in range(8)]:
            done.result(15)
    assert list(store.history.snapshots()) == [(5, bytes(PART_BYTES + 1))]


async def test_storing_does_not_wait_for_ever(
    database_url: str, postgres: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For another that stands still amid its own."""
    monkeypatch.setattr(postgres_snapshots, "SAVE_TIMEOUT_S", 0.5)
    await asyncio.to_thread(postgres.acquire)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("lock table snapshots in share row exclusive mode")
            with pytest.raises(JournalUnavailable, match="saving the snapshot of row 5"):
                await asyncio.to_thread(postgres.snapshots.save, 5, b"x", keep=2)
    finally:
        await other.close()
    await asyncio.to_thread(postgres.snapshots.save, 5, b"x", keep=2)


def test_forgotten_ones_leave_no_parts_behind(database_url: str, postgres: Store) -> None:
    postgres.acquire()
    for offset in range(1, 6):
        postgres.snapshots.save(offset, b"x", keep=2)
    assert [record[0] for record in sql(database_url, 'select "offset" from snapshot_parts order by 1')] == [4, 5]
