"""What every store of snapshots must do, in memory and in PostgreSQL."""

import pytest

from persistence.postgres_snapshots import PART_BYTES
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


def test_forgotten_ones_leave_no_parts_behind(database_url: str, postgres: Store) -> None:
    postgres.acquire()
    for offset in range(1, 6):
        postgres.snapshots.save(offset, b"x", keep=2)
    assert [record[0] for record in sql(database_url, 'select "offset" from snapshot_parts order by 1')] == [4, 5]
