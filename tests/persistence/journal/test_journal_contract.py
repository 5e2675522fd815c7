"""What every journal and history must do, in memory and in PostgreSQL."""

import msgspec
import pytest

from perps.journal import GENESIS, Entry, JournalRefused, JournalUnavailable, OwnershipLost, hash_of
from perps.venue import VenueState
from persistence.journal.writer import STATEMENT_RECORDS_MAX
from tests.persistence.stores import Store, looked_up, write
from tests.support.entries import Scribe

SMALL, LARGE = 3, STATEMENT_RECORDS_MAX + 44
"""Batch sizes that take PostgreSQL's two ways of writing."""

both_sizes = pytest.mark.parametrize("size", [SMALL, LARGE])


def altered(entry: Entry, **changes: object) -> Entry:
    """The entry with other fields in its row."""
    return msgspec.structs.replace(entry, row=msgspec.structs.replace(entry.row, **changes))


def test_one_row_reads_back_as_it_was_written(store: Store) -> None:
    entry = Scribe().add_user("ann")
    store.acquire().append([entry])
    assert list(store.history.rows()) == [entry.row]


@pytest.mark.parametrize("size", [1, 10, LARGE, 1000])
def test_rows_of_any_batch_read_back_byte_for_byte_and_replay(store: Store, size: int) -> None:
    scribe = Scribe()
    entries = scribe.live(1000)
    write(store.acquire(), entries, sizes=[size])
    state, previous = VenueState(), GENESIS
    replayed = []
    for row in store.history.rows():
        assert hash_of(previous, row) == row.hash
        replayed.append(state.apply(row))
        previous = row.hash
    assert replayed == entries
    assert state.ledger.balances == scribe.ledger.balances
    assert state.last_hash == scribe.last_hash


def test_rows_after_an_offset_are_the_rest(store: Store) -> None:
    entries = Scribe().live(50)
    write(store.acquire(), entries)
    assert list(store.history.rows(after=20)) == [entry.row for entry in entries[20:]]
    assert list(store.history.rows(after=entries[-1].row.offset)) == []


def test_an_empty_store_has_no_rows(store: Store) -> None:
    with_owner = store.acquire()
    assert list(store.history.rows()) == []
    assert list(store.history.rows_of("BTC-PERP")) == []
    assert looked_up(store.history, []) == {}
    with_owner.append([])
    assert list(store.history.rows()) == []


def test_a_stream_has_its_own_rows_in_order(store: Store) -> None:
    entries = Scribe().live(400)
    write(store.acquire(), entries)
    for stream in ("BTC-PERP", "ETH-PERP", "@ledger"):
        expected = [entry.row for entry in entries if entry.row.stream == stream]
        assert [row.market_seq for row in expected] == list(range(1, len(expected) + 1))
        assert list(store.history.rows_of(stream)) == expected
        assert list(store.history.rows_of(stream, after=3)) == expected[3:]
        assert list(store.history.rows_of(stream, after=len(expected))) == []
    assert list(store.history.rows_of("NO-PERP")) == []


def test_the_hash_of_a_row_is_found_by_its_offset(store: Store) -> None:
    entries = Scribe().live(20)
    store.acquire().append(entries)
    last = entries[-1].row.offset
    assert store.history.epoch_and_hash_at(7) == (entries[6].row.epoch, entries[6].row.hash)
    assert store.history.epoch_and_hash_at(last) == (entries[-1].row.epoch, entries[-1].row.hash)
    assert [store.history.epoch_and_hash_at(offset) for offset in (-1, 0, last + 1)] == [None, None, None]


def test_a_client_id_finds_the_row_that_answered_it(store: Store) -> None:
    scribe = Scribe()
    scribe.add_user("ann")
    second = scribe.deposit("ann", 5, client_order_id="mine").row
    store.acquire().append(scribe.entries)
    found = looked_up(store.history, [("ann", "mine"), ("ann", "never"), ("bob", "mine")])
    assert found == {("ann", "mine"): (second.offset, second.fingerprint)}


@both_sizes
def test_a_client_id_used_twice_refuses_the_whole_batch_and_the_session_is_as_good_as_before(
    store: Store, size: int
) -> None:
    scribe, journal = Scribe(), store.acquire()
    scribe.add_user("ann")
    first = scribe.deposit("ann", 5, client_order_id="twice")
    journal.append(scribe.entries)
    before = store.query_rows()
    good = [scribe.deposit("ann", 1) for _ in range(size)]
    bad = [*good[:-1], altered(good[-1], client_order_id=first.row.client_order_id)]
    with pytest.raises(JournalRefused, match="twice"):
        journal.append(bad)
    assert len(list(store.history.rows())) == 2
    assert store.query_rows() == before
    journal.append(good)
    assert list(store.history.rows(after=2)) == [entry.row for entry in good]


@both_sizes
def test_a_client_id_twice_in_one_batch_refuses_it(store: Store, size: int) -> None:
    scribe, journal = Scribe(), store.acquire()
    scribe.add_user("ann")
    entries = [scribe.deposit("ann", 1, client_order_id=f"id-{n % (size - 1)}") for n in range(size)]
    with pytest.raises(JournalRefused):
        journal.append([scribe.entries[0], *entries])
    assert list(store.history.rows()) == []
    assert store.query_rows() == 0


@both_sizes
def test_a_stream_place_taken_twice_refuses_the_whole_batch(store: Store, size: int) -> None:
    scribe, journal = Scribe(), store.acquire()
    scribe.add_user("ann")
    entries = [scribe.deposit("ann", 1) for _ in range(size)]
    journal.append(scribe.entries[:1])
    with pytest.raises(JournalRefused, match="@ledger"):
        journal.append([*entries[:-1], altered(entries[-1], market_seq=1)])
    assert len(list(store.history.rows())) == 1


def test_a_gap_in_the_offsets_is_refused(store: Store) -> None:
    scribe, journal = Scribe(), store.acquire()
    scribe.add_user("ann")
    scribe.deposit("ann", 1)
    scribe.deposit("ann", 1)
    with pytest.raises(JournalRefused, match="row 2 where row 1 must follow"):
        journal.append(scribe.entries[1:])
    with pytest.raises(JournalRefused, match="row 3 where row 2 must follow"):
        journal.append([scribe.entries[0], scribe.entries[2]])
    assert list(store.history.rows()) == []


def test_a_row_of_another_epoch_is_refused(store: Store) -> None:
    journal = store.acquire()
    with pytest.raises(JournalRefused, match="epoch 7"):
        journal.append([Scribe(epoch=7).add_user("ann")])
    assert list(store.history.rows()) == []


@both_sizes
def test_an_owner_after_a_take_over_writes_nothing_more(store: Store, size: int) -> None:
    scribe, journal = Scribe(), store.acquire()
    journal.append([scribe.add_user("ann")])
    before = store.query_rows()
    store.depose()
    late = [scribe.deposit("ann", 1) for _ in range(size)]
    with pytest.raises(OwnershipLost):
        journal.append(late)
    assert len(list(store.history.rows())) == 1
    assert store.query_rows() == before
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.append(late)


def test_a_probe_of_an_owner_at_rest_or_at_work_changes_nothing(store: Store) -> None:
    scribe, journal = Scribe(), store.acquire()
    journal.probe()
    journal.append([scribe.add_user("ann")])
    journal.probe()
    journal.append([scribe.deposit("ann", 1)])
    assert [row.offset for row in store.history.rows()] == [1, 2]


def test_a_probe_finds_out_that_another_owner_has_taken_over_and_ends_the_journal(store: Store) -> None:
    scribe, journal = Scribe(), store.acquire()
    journal.append([scribe.add_user("ann")])
    store.depose()
    with pytest.raises(OwnershipLost, match="another venue has taken over"):
        journal.probe()
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.probe()
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.append([scribe.deposit("ann", 1)])
    assert len(list(store.history.rows())) == 1


def test_every_ownership_has_a_higher_epoch_and_goes_on_where_the_last_one_ended(store: Store) -> None:
    scribe = Scribe()
    first = store.acquire()
    first.append([scribe.add_user("ann")])
    first.close()
    second = store.acquire()
    assert (first.epoch, second.epoch) == (1, 2)
    scribe.epoch = second.epoch
    second.append([scribe.deposit("ann", 1)])
    assert [(row.offset, row.epoch) for row in store.history.rows()] == [(1, 1), (2, 2)]


def test_a_closed_journal_takes_nothing_and_may_be_closed_again(store: Store) -> None:
    journal = store.acquire()
    journal.close()
    journal.close()
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.append([Scribe().add_user("ann")])
    assert list(store.history.rows()) == []


def test_an_iterator_left_half_way_leaves_the_store_usable(store: Store) -> None:
    entries = Scribe().live(30)
    write(store.acquire(), entries)
    rows = store.history.rows()
    assert next(rows).offset == 1
    del rows
    assert len(list(store.history.rows())) == len(entries)
