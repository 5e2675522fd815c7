"""Snapshots of older formats are read, and lead to the state that the rows lead to."""

from __future__ import annotations

import zlib
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from perps.snapshot import format as snapshots
from perps.snapshot import upcast
from perps.snapshot.format import MAGICS, Snapshot, SnapshotBroken, state_hash
from perps.snapshot.upcast import FORMAT
from perps.venue import VenueState
from tests.support.entries import Scribe


def traded() -> VenueState:
    """A venue that has traded."""
    scribe, state = Scribe(), VenueState()
    for entry in scribe.live(300):
        state.apply(entry.row)
    return state


def written_as(snapshot: Snapshot, magic: bytes, **changes: Any) -> bytes:
    """The bytes of a snapshot under another magic."""
    plain = msgspec.to_builtins(snapshot, builtin_types=(bytes,))
    body = zlib.compress(msgspec.msgpack.encode({**plain, **changes}))
    return magic + sha256(body).digest() + body


def first_format(state: VenueState) -> bytes:
    """As the first release wrote it: without its format, without the time of the newest row."""
    plain = msgspec.to_builtins(Snapshot.of(state), builtin_types=(bytes,))
    del plain["format"], plain["at"]
    body = zlib.compress(msgspec.msgpack.encode(plain))
    return b"perpsnp1" + sha256(body).digest() + body


def test_a_snapshot_of_the_first_release_holds_the_same_state() -> None:
    state = traded()
    snapshot = Snapshot.decode(first_format(state))

    assert snapshot.format == 1
    assert state_hash(snapshot.state()) == state_hash(state)
    assert snapshot.hash_of_state() == state_hash(state)
    assert snapshot.state().at == max(market.at for market in state.markets.values())


def test_a_snapshot_of_today_knows_the_newest_rows_time() -> None:
    """Also where that row is no market's."""
    scribe, state = Scribe(), VenueState()
    scribe.list_market()
    scribe.now = type(scribe.now)(scribe.now + 5_000)
    scribe.add_user("ann")
    for entry in scribe.entries:
        state.apply(entry.row)

    assert Snapshot.decode(Snapshot.of(state).encode()).state().at == scribe.now


def test_every_format_has_a_magic_of_its_own() -> None:
    assert sorted(MAGICS.values()) == list(range(1, FORMAT + 1))
    assert MAGICS[snapshots.MAGIC] == FORMAT


@pytest.mark.parametrize(("magic", "says"), [(b"perpsnp1", FORMAT), (snapshots.MAGIC, 1)])
def test_a_snapshot_whose_magic_and_format_differ_is_broken(magic: bytes, says: int) -> None:
    with pytest.raises(SnapshotBroken, match="is of format"):
        Snapshot.decode(written_as(Snapshot.of(traded()), magic, format=says))


def test_a_later_format_is_not_read() -> None:
    with pytest.raises(SnapshotBroken, match="a format that this program knows"):
        Snapshot.decode(written_as(Snapshot.of(traded()), b"perpsnp9"))


def test_old_layouts_are_brought_to_the_present_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads that kept the house in dollars, positions without a referrer: each changed by the format after it."""
    state = traded()
    snapshot = Snapshot.decode(first_format(state))
    for ticker, chunks in snapshot.markets.items():
        head = msgspec.msgpack.decode(chunks[0])
        head[-2] = [head[-2]]
        positions = [[plain[:9] for plain in msgspec.msgpack.decode(chunk)] for chunk in chunks[1:]]
        snapshot.markets[ticker] = [msgspec.msgpack.encode(part) for part in (head, *positions)]
    referrers = {user: state.ledger.referrers[user] for user in state.ledger.referrers}

    def head_of_2(plain: list[Any]) -> list[Any]:
        return [*plain[:-2], plain[-2][0], plain[-1]]

    def position_of_2(plain: list[Any]) -> list[Any]:
        return [*plain, referrers[plain[1]]]

    monkeypatch.setattr(upcast, "HEADS", {1: head_of_2})
    monkeypatch.setattr(upcast, "POSITIONS", {1: position_of_2})
    old = Snapshot.decode(snapshot_with_its_hash(snapshot))

    assert old.state_hash != state_hash(state), "the same state has other bytes in another layout"
    assert old.hash_of_state() == state_hash(state), "so states are compared"


def snapshot_with_its_hash(snapshot: Snapshot) -> bytes:
    """A changed snapshot of the first format, which claims the hash it has."""
    return written_as(snapshot, b"perpsnp1", state_hash=snapshot.computed_hash(), format=1)
