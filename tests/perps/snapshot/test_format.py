"""Snapshots: a state as bytes and back, the hash that stands for it, and bytes that are not one."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from hashlib import sha256
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from perps.commands import PriceSource
from perps.engine import apply
from perps.events import ModeChanged, PriceUpdated
from perps.market.position import Position
from perps.market.state import Market
from perps.params import Mode
from perps.snapshot import format as snapshots
from perps.snapshot.format import MAGIC, Snapshot, SnapshotBroken, state_hash
from perps.snapshot.images import CHUNK_ITEMS, LedgerImage, digest
from perps.units import FundingIndex, Lots, Micros, Millis, Ticks
from perps.venue import VenueState
from tests.perps.build import full_state
from tests.support.entries import Scribe


@pytest.fixture(scope="module")
def scribe() -> Scribe:
    """A market day of 600 rows: opens, closes, liquidations, deposits on two markets."""
    scribe = Scribe()
    scribe.live(600)
    return scribe


def replayed(scribe: Scribe, rows: int) -> VenueState:
    """The state after the first ``rows`` rows."""
    state = VenueState()
    for entry in scribe.entries[:rows]:
        state.apply(entry.row)
    return state


def restored(state: VenueState) -> VenueState:
    """The state by way of a snapshot's bytes."""
    return Snapshot.decode(Snapshot.of(state).encode()).state()


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 100, 333, 600])
def test_a_snapshot_and_the_rows_after_it_are_the_whole_replay(scribe: Scribe, rows: int) -> None:
    """I6."""
    whole = replayed(scribe, 600)

    state = restored(replayed(scribe, rows))
    for entry in scribe.entries[rows:]:
        state.apply(entry.row)

    assert state_hash(state) == state_hash(whole)
    assert full_state(state.ledger, state.markets) == full_state(whole.ledger, whole.markets)
    assert (state.offset, state.epoch, state.last_hash) == (whole.offset, whole.epoch, whole.last_hash)


def test_a_restored_market_would_liquidate_the_same_positions_in_the_same_order(scribe: Scribe) -> None:
    live = replayed(scribe, 600)
    back = restored(live)

    for ticker, market in live.markets.items():
        assert len(market.positions) > 10
        for percent in (50, 90, 100, 110, 200):
            price = Ticks(market.index_price * percent // 100)
            asked = (price, market.params, market.funding_index)
            assert list(back.markets[ticker].order.candidates(*asked)) == list(market.order.candidates(*asked))


def test_the_hash_claimed_is_the_hash_of_the_state(scribe: Scribe) -> None:
    state = replayed(scribe, 200)
    assert Snapshot.of(state).state_hash == state_hash(state)
    assert Snapshot.of(state, b"views").state_hash == state_hash(state)


def test_the_hash_does_not_depend_on_how_the_state_came_about(scribe: Scribe) -> None:
    state = replayed(scribe, 600)
    for market in state.markets.values():
        market.positions = dict(sorted(market.positions.items(), key=lambda item: -item[0]))
    state.ledger.balances = dict(sorted(state.ledger.balances.items(), reverse=True))
    state.ledger.referrers = dict(sorted(state.ledger.referrers.items(), reverse=True))
    state.markets = dict(sorted(state.markets.items(), reverse=True))

    assert state_hash(state) == state_hash(replayed(scribe, 600))


def _market(state: VenueState) -> Market:
    return state.markets["BTC-PERP"]


def _a_position(state: VenueState, **changes: object) -> None:
    market = _market(state)
    number = next(iter(market.positions))
    market.positions[number] = replace(market.positions[number], **changes)


CHANGES: dict[str, Callable[[VenueState], object]] = {
    "offset": lambda state: setattr(state, "offset", state.offset + 1),
    "last hash": lambda state: setattr(state, "last_hash", bytes(32)),
    "a balance": lambda state: state.ledger.balances.update({"fees": state.ledger.balances["fees"] + 1}),
    "an empty account": lambda state: state.ledger.balances.update({"user:nobody": 0}),
    "a referrer": lambda state: state.ledger.referrers.update({"user0": "user1"}),
    "the ledger's sequence": lambda state: setattr(state.ledger, "seq", state.ledger.seq + 1),
    "a position's margin": lambda state: _a_position(state, margin=Micros(1)),
    "a position's owner": lambda state: _a_position(state, user="mallory"),
    "a position's referrer": lambda state: _a_position(state, referrer="mallory"),
    "a position gone": lambda state: _market(state).positions.popitem(),
    "the mode": lambda state: apply(_market(state), ModeChanged(Mode.HALTED, "")),
    "the reason of the mode": lambda state: apply(_market(state), ModeChanged(_market(state).mode, "why")),
    "the price": lambda state: setattr(_market(state), "index_price", Ticks(1)),
    "the price's time": lambda state: setattr(_market(state), "price_at", Millis(1)),
    "a source's time": lambda state: _market(state).source_times.update({"oracle": Millis(1)}),
    "a source's sequence": lambda state: _market(state).source_sequences.update({"oracle": 1}),
    "the funding index": lambda state: setattr(_market(state), "funding_index", FundingIndex(1)),
    "the next number": lambda state: setattr(_market(state), "next_number", 10**6),
    "the house": lambda state: setattr(_market(state), "house", Micros(1)),
    "the insurance": lambda state: setattr(_market(state), "insurance", Micros(1)),
    "the market's sequence": lambda state: setattr(_market(state), "seq", 1),
    "the market's time": lambda state: setattr(_market(state), "at", Millis(1)),
    "the parameters": lambda state: setattr(_market(state), "params", replace(_market(state).params, name="other")),
    "a market gone": lambda state: state.markets.pop("ETH-PERP"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_change_of_the_state_changes_its_hash(scribe: Scribe, what: str) -> None:
    state = replayed(scribe, 300)
    before = state_hash(state)

    CHANGES[what](state)

    assert state_hash(state) != before


def test_an_image_is_not_touched_by_what_happens_after_it(scribe: Scribe) -> None:
    state = replayed(scribe, 300)
    market, ledger = _market(state).image(), state.ledger.image(state.offset)
    before = digest(market.chunks()), digest(ledger.chunks())

    for entry in scribe.entries[300:]:
        state.apply(entry.row)
    apply(_market(state), PriceUpdated(Ticks(1), Ticks(1), Ticks(1), PriceSource.ORACLE, Millis(1), None, 5, Millis(1)))

    assert (digest(market.chunks()), digest(ledger.chunks())) == before


@pytest.mark.parametrize("accounts", [0, 1, CHUNK_ITEMS - 1, CHUNK_ITEMS, CHUNK_ITEMS + 1, 3 * CHUNK_ITEMS])
@pytest.mark.parametrize("users", [0, 1, CHUNK_ITEMS, CHUNK_ITEMS + 1])
def test_a_ledger_of_any_size_comes_back(accounts: int, users: int) -> None:
    image = LedgerImage(
        7, 5, {f"a{number}": number for number in range(accounts)}, {f"u{number}": None for number in range(users)}
    )
    assert LedgerImage.from_chunks(list(image.chunks())) == image


def test_every_truncation_is_noticed(scribe: Scribe) -> None:
    stored = Snapshot.of(replayed(scribe, 100), b"views").encode()
    for length in (*range(60), *range(60, len(stored), 97), len(stored) - 1):
        with pytest.raises(SnapshotBroken):
            Snapshot.decode(stored[:length])


def test_every_flipped_bit_is_noticed(scribe: Scribe) -> None:
    stored, random = Snapshot.of(replayed(scribe, 100), b"views").encode(), Random(1)
    for bit in (*range(8 * 48), *random.sample(range(len(stored) * 8), 500)):
        altered = bytearray(stored)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SnapshotBroken):
            Snapshot.decode(bytes(altered))


def forged(snapshot: Snapshot, **changes: object) -> bytes:
    """A snapshot with other contents under a checksum that fits."""
    body = zlib.compress(msgspec.msgpack.encode(replace(snapshot, **changes)))
    return MAGIC + sha256(body).digest() + body


def test_contents_that_do_not_have_the_hash_they_claim_are_refused(scribe: Scribe) -> None:
    snapshot = Snapshot.of(replayed(scribe, 100))
    richer = Snapshot.of(replayed(scribe, 101))
    with pytest.raises(SnapshotBroken, match="does not have the hash it claims"):
        Snapshot.decode(forged(snapshot, ledger=richer.ledger))


def test_a_newer_schema_is_refused_by_its_number(scribe: Scribe) -> None:
    with pytest.raises(SnapshotBroken, match="schema version 99 is newer"):
        Snapshot.decode(forged(Snapshot.of(replayed(scribe, 100)), schema_version=99))


def test_something_else_is_no_snapshot() -> None:
    for stored in (b"", b"perpsnp2" + bytes(100), MAGIC + sha256(b"").digest(), b"\0" * 1000):
        with pytest.raises(SnapshotBroken):
            Snapshot.decode(stored)


def under_a_checksum(body: bytes) -> bytes:
    return MAGIC + sha256(body).digest() + body


@pytest.mark.parametrize("limit", ["ANY_RATIO_BYTES", "PLAIN_BYTES_MAX"])
def test_no_more_is_decompressed_than_a_snapshot_may_be(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 MB of zeros in 20 kB."""
    bomb = under_a_checksum(zlib.compress(bytes(20_000_000)))
    monkeypatch.setattr(snapshots, limit, 1_000_000)
    most = min(snapshots.PLAIN_BYTES_MAX, max(snapshots.ANY_RATIO_BYTES, (len(bomb) - 40) * snapshots.RATIO_MAX))
    tracemalloc.start()
    try:
        with pytest.raises(SnapshotBroken, match=f"^it is larger than {most} bytes$"):
            Snapshot.decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2 * most + 100_000
    finally:
        tracemalloc.stop()


def test_a_snapshot_that_could_not_be_read_again_is_not_made(scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = Snapshot.of(replayed(scribe, 100))
    size = len(msgspec.msgpack.encode(snapshot))
    monkeypatch.setattr(snapshots, "PLAIN_BYTES_MAX", size)
    stored = snapshot.encode()
    assert Snapshot.decode(stored) == snapshot

    monkeypatch.setattr(snapshots, "PLAIN_BYTES_MAX", size - 1)

    with pytest.raises(SnapshotBroken, match=f"^it is larger than {size - 1} bytes$"):
        snapshot.encode()
    with pytest.raises(SnapshotBroken, match=f"^it is larger than {size - 1} bytes$"):
        Snapshot.decode(stored)


def test_a_snapshot_ends_where_it_ends(scribe: Scribe) -> None:
    body = Snapshot.of(replayed(scribe, 100)).encode()[40:]
    for other in (body[:-1], body + b"x", body + body):
        with pytest.raises(SnapshotBroken, match="has not the end that was written"):
            Snapshot.decode(under_a_checksum(other))


def test_a_million_positions_stay_far_below_what_a_snapshot_may_be(scribe: Scribe) -> None:
    """By the bytes of ten thousand of them and their users, the largest that numbers and names can be."""
    most = 2**53 - 1
    position = Position(
        most, "u" * 32, Lots(-most), Micros(most), Micros(most), 100, Micros(most), Micros(most), Millis(most), "r" * 32
    )
    image = msgspec.msgpack.encode([position] * 10_000)

    assert 100 * len(image) < snapshots.PLAIN_BYTES_MAX / 4


def test_a_state_whose_margins_do_not_agree_is_refused(scribe: Scribe) -> None:
    state = replayed(scribe, 100)
    _a_position(state, margin=Micros(1))
    with pytest.raises(SnapshotBroken, match="margin:BTC-PERP holds"):
        restored(state)


def test_a_state_whose_accounts_do_not_sum_to_0_is_refused(scribe: Scribe) -> None:
    state = replayed(scribe, 100)
    state.ledger.balances["fees"] += 1
    with pytest.raises(SnapshotBroken, match="accounts sum to 1"):
        restored(state)


@pytest.mark.parametrize("empty", [{"ledger": []}, {"markets": {"BTC-PERP": []}}])
def test_a_state_without_a_head_is_broken_and_no_other_error(scribe: Scribe, empty: dict[str, object]) -> None:
    hollow = replace(Snapshot.of(replayed(scribe, 100)), **empty)
    whole = replace(hollow, state_hash=hollow.computed_hash())
    with pytest.raises(SnapshotBroken, match="without a head"):
        Snapshot.decode(whole.encode()).state()
