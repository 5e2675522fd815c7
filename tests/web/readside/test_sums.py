"""Lifetime sums beyond 64 bits, and money that administrators paid in, are in a snapshot like all others."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from perps.commands import FundMarket, HouseAccount
from perps.journal import Entry
from perps.snapshot.format import Snapshot, SnapshotBroken
from perps.units import Micros
from perps.venue import VenueState
from tests.support.entries import Scribe
from tests.support.snapshots import snapshot_of
from web.readside.image import decode_views, encode_views, views_of
from web.readside.loading import check_views, load_views
from web.readside.model import ReadModel
from web.readside.sums import packed, unpacked


def state_of(entries: list[Entry]) -> VenueState:
    state = VenueState()
    for entry in entries:
        state.apply(entry.row)
    return state


def traded() -> Scribe:
    scribe = Scribe()
    scribe.live(50)
    return scribe


@pytest.mark.parametrize("total", [0, 2**64 - 1, -(2**63), 2**64, -(2**63) - 1, 10**40])
def test_a_sum_is_stored_and_found_again_however_large(total: int) -> None:
    assert unpacked(packed(total)) == total
    assert isinstance(packed(total), str) is not (-(2**63) <= total < 2**64)


def test_a_venue_whose_sums_have_outgrown_64_bits_still_takes_snapshots_and_starts_from_them() -> None:
    scribe, model = traded(), ReadModel()
    for entry in scribe.entries:
        model.apply(entry)
    user = model.users["user0"]
    user.deposited += 10**30
    user.withdrawn += 10**30
    minute = model.markets["BTC-PERP"].history._minute
    assert minute is not None
    minute.volume += 10**30
    state = state_of(scribe.entries)
    snapshot = Snapshot.decode(Snapshot.of(state, encode_views(model)).encode())

    begun = ReadModel()
    load_views(begun, snapshot, state)

    assert views_of(begun) == views_of(model)
    assert begun.users["user0"].deposited == user.deposited
    assert begun.markets["BTC-PERP"].history._minute is not None
    assert begun.markets["BTC-PERP"].history._minute.volume == minute.volume


def test_money_that_an_administrator_paid_in_is_known_after_a_start() -> None:
    scribe = traded()
    for account, amount in ((HouseAccount.HOUSE, 500), (HouseAccount.INSURANCE, 70), (HouseAccount.INSURANCE, -30)):
        scribe.command(FundMarket(ticker="BTC-PERP", account=account, amount=Micros(amount)), "admin")
    state, model = state_of(scribe.entries), ReadModel()

    load_views(model, snapshot_of(scribe.entries), state)

    assert model.markets["BTC-PERP"].funded == 540


@pytest.mark.parametrize("text", ["x", "", "1.5", "1e9"])
def test_a_sum_that_is_no_number_makes_a_snapshot_broken(text: str) -> None:
    scribe = traded()
    state, snapshot = state_of(scribe.entries), snapshot_of(scribe.entries)
    views = decode_views(snapshot)
    first, *others = views.users
    wrong = msgspec.msgpack.encode(replace(views, users=[first._replace(pnl=text), *others]))

    with pytest.raises(SnapshotBroken, match="no number"):
        check_views(replace(snapshot, views=wrong), state)
