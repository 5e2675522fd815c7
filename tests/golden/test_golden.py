"""Old journals mean the same for ever: every released event decodes, and every recorded session leads where it led."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from perps.commands import KINDS, ListMarket
from perps.events import SCHEMA_VERSION, Event, LedgerEvent, MarketEvent, encode_events
from perps.fingerprints import fingerprint
from perps.journal import LEDGER_STREAM, events_of
from perps.snapshot.format import Snapshot, state_hash
from perps.units import Ticks
from perps.venue import VenueState, replay_market
from tests.golden.files import dump_rows, load_result, load_rows, parse_rows, result_of, versions
from tests.golden.session import PLAYED, play
from tests.perps.build import BTC_PRICE, STORY_PRICE, index_market, quote_market

VERSIONS = versions()


def event_types() -> set[str]:
    """Every class of event there is."""
    kinds = get_args(Event)
    assert set(kinds) == {*get_args(MarketEvent), *get_args(LedgerEvent)}
    return {kind.__name__ for kind in kinds}


def replayed(folder: Path) -> VenueState:
    """The state that a session's rows lead to: each is checked for its place, its hash and its money."""
    state = VenueState()
    for row in load_rows(folder):
        state.apply(row)
    return state


def test_every_schema_version_has_a_session() -> None:
    """A new version needs one before it is released: ``python -m tests.golden``."""
    assert [folder.name for folder in VERSIONS] == [f"v{number}" for number in range(1, SCHEMA_VERSION + 1)]


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_a_recorded_session_replays_to_its_recorded_result(folder: Path) -> None:
    """Balances, users, positions, prices, modes and the hash of the chain."""
    assert result_of(replayed(folder)) == load_result(folder)


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_rows_of_a_version_carry_its_number(folder: Path) -> None:
    assert {f"v{row.schema_version}" for row in load_rows(folder)} == {folder.name}


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_each_market_of_a_session_can_be_replayed_alone(folder: Path) -> None:
    state, rows = replayed(folder), load_rows(folder)
    for ticker, market in state.markets.items():
        alone = replay_market(row for row in rows if row.stream == ticker)
        assert list(alone.image().chunks()) == list(market.image().chunks())


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_a_snapshot_anywhere_in_a_session_leads_to_the_same_state(folder: Path) -> None:
    """I6."""
    rows, whole = load_rows(folder), replayed(folder)
    state = VenueState()
    for number, row in enumerate(rows, start=1):
        state.apply(row)
        begun = Snapshot.decode(Snapshot.of(state).encode()).state()
        for later in rows[number:]:
            begun.apply(later)
        assert state_hash(begun) == state_hash(whole)


def test_every_event_is_in_a_recorded_session_of_the_present_version() -> None:
    """An event that is not there could change its meaning unnoticed."""
    events = [event for row in load_rows(VERSIONS[-1]) for event in events_of(row)]

    assert {type(event).__name__ for event in events} == event_types()


def test_a_session_played_now_has_every_event_and_can_be_written_and_read() -> None:
    """What ``python -m tests.golden`` would record for the next version."""
    rows = play()

    assert {type(event).__name__ for row in rows for event in events_of(row)} == event_types()
    assert parse_rows(dump_rows(rows)) == rows


def test_recorded_events_are_encoded_as_they_were() -> None:
    """Another encoding is another schema version."""
    for row in load_rows(VERSIONS[-1]):
        assert encode_events(events_of(row)) == row.payload


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_the_commands_of_a_session_still_have_its_fingerprints(folder: Path) -> None:
    """A field that a command gets later must not change the digest of those without it: retries would be refused."""
    recorded = {row.client_order_id: row.fingerprint for row in load_rows(folder) if row.client_order_id is not None}
    played = {f"golden-{number}": fingerprint(command) for number, (_, command, keyed) in enumerate(PLAYED) if keyed}

    assert recorded
    for name, digest in recorded.items():
        assert played[name] == digest, f"{folder.name}, {name}: the digest of this command has changed"


def test_a_listing_without_funding_has_the_digest_that_it_had_before_there_was_funding() -> None:
    """Parameters that a market gets later must not change the digest of the listings without them."""
    old = {
        "f25ffffed09231a6f85124712b55a4dc": ListMarket(params=index_market(), price=Ticks(BTC_PRICE)),
        "29a0e0599d9d49fb387b381cfeb2db6c": ListMarket(
            params=quote_market(house_credit_limit=500, max_price_age=60_000, exact_mark=False),
            price=Ticks(STORY_PRICE),
        ),
    }
    for digest, command in old.items():
        assert fingerprint(command).hex() == digest

    for change in ({"funding_velocity": 1}, {"max_funding_rate": 1}, {"price_band": 1}, {"price_confirmations": 4}):
        changed = ListMarket(params=index_market(**change), price=Ticks(BTC_PRICE))
        assert fingerprint(changed).hex() not in old
        assert fingerprint(changed) == fingerprint(msgspec.convert(msgspec.to_builtins(changed), ListMarket))


def test_the_session_has_both_streams_sweeps_and_ids() -> None:
    rows = load_rows(VERSIONS[-1])

    assert {row.kind for row in rows} == {*KINDS}
    assert LEDGER_STREAM in {row.stream for row in rows}
    assert {row.client_order_id is None for row in rows} == {True, False}
