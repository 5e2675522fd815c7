"""Replay: the state rebuilt from rows is the state that wrote them, and a row that cannot be is named."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import astuple, replace

from perps.commands import CreateUser, Deposit, Side, Withdraw
from perps.events import Deposited, Event, ModeChanged, UserCreated, encode_events
from perps.journal import GENESIS, LEDGER_STREAM, Row, hash_of, make_row
from perps.params import Mode
from perps.units import MICRO, PPB, Micros, Millis
from perps.venue import JournalCorrupt, VenueState, replay_market
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    START_MS,
    STORY,
    STORY_PRICE,
    Books,
    done,
    full_state,
    index_market,
    opened,
    quote_market,
)


def busy() -> Books:
    """A venue in which a little of everything has happened."""
    venue = Books((index_market(house_deposit=10**9), BTC_PRICE), (quote_market(), STORY_PRICE))
    venue.add_user("bob")
    venue.add_user("ann", referrer="bob")
    kept = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    opened(venue.open("bob", Side.SHORT, 1_000 * MICRO, leverage=100))
    venue.at = Millis(START_MS + 5)
    done(venue.close(kept, PPB // 3))
    opened(venue.open("bob", Side.SHORT, 500 * MICRO, ticker=STORY, leverage=2))
    done(venue.price(BTC_PRICE * 101 // 100))
    done(venue.send(Deposit(user="ann", amount=Micros(5))))
    done(venue.send(Withdraw(user="ann", amount=Micros(6))))
    done(venue.mode(Mode.REDUCE_ONLY, ticker=STORY))
    return venue


def test_the_state_replayed_is_the_state_that_was_live() -> None:
    venue = busy()
    state = venue.replayed()

    assert full_state(state.ledger, state.markets) == full_state(venue.ledger, venue.markets)
    assert (state.offset, state.epoch, state.last_hash) == (len(venue.rows), 1, venue.rows[-1].hash)
    assert state.ledger.total() == 0
    assert len(venue.markets[BTC].positions) == 1


def test_a_row_says_what_it_means() -> None:
    venue, state = busy(), VenueState()
    entries = [state.apply(row) for row in venue.rows]

    assert [entry.row for entry in entries] == venue.rows
    assert all(
        [leg.transfer for leg in entry.legs] == [t for e in entry.events for t in getattr(e, "transfers", ())]
        for entry in entries
    )


@pytest.mark.parametrize("ticker", [BTC, STORY])
def test_one_market_replays_from_its_own_rows(ticker: str) -> None:
    venue = busy()
    market = replay_market(row for row in venue.rows if row.stream == ticker)

    assert full_state(venue.ledger, {ticker: market}) == full_state(venue.ledger, {ticker: venue.markets[ticker]})


def chained(rows: list[Row]) -> list[Row]:
    """The rows with hashes as if nothing had been touched: what only somebody who can rewrite all of them can do."""
    previous, out = GENESIS, []
    for row in rows:
        out.append(make_row(previous, *astuple(row)[:-1]))
        previous = out[-1].hash
    return out


def replay(rows: list[Row]) -> VenueState:
    state = VenueState()
    for row in rows:
        state.apply(row)
    return state


def fails_at(rows: list[Row]) -> tuple[int, str]:
    with pytest.raises(JournalCorrupt) as caught:
        replay(rows)
    assert f"row {caught.value.offset}" in str(caught.value)
    return caught.value.offset, caught.value.problem


FIELDS: dict[str, Any] = {
    "epoch": 2,
    "stream": "ETH-PERP",
    "market_seq": 99,
    "at": 1,
    "kind": "other",
    "schema_version": 0,
    "user_id": "eve",
    "client_order_id": "x",
    "fingerprint": b"x",
    "payload": encode_events((ModeChanged(Mode.HALTED, "x"),)),
    "user_balance": 1,
    "hash": bytes(32),
}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_row_altered_in_any_field_is_named(name: str, place: int) -> None:
    rows = busy().rows
    rows[place] = replace(rows[place], **{name: FIELDS[name]})

    offset, problem = fails_at(rows)
    assert offset == place + 1
    assert "hash" in problem


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_missing_row_is_named(place: int) -> None:
    rows = busy().rows
    del rows[place]

    assert fails_at(rows) == (place + 1, f"missing; the next one there is {place + 2}")


def test_a_doubled_row_and_two_rows_exchanged_are_named() -> None:
    rows = busy().rows

    assert fails_at([*rows[:4], rows[3], *rows[4:]])[0] == 5
    assert fails_at([*rows[:4], rows[5], rows[4]])[0] == 5


def test_an_epoch_that_falls_is_named() -> None:
    rows = busy().rows
    rows[2:] = [replace(row, epoch=3) for row in rows[2:]]
    rows[5] = replace(rows[5], epoch=2)

    assert fails_at(chained(rows)) == (6, "epoch 2 after epoch 3")


def test_a_schema_of_the_future_is_named() -> None:
    rows = busy().rows
    rows[5] = replace(rows[5], schema_version=99)

    assert fails_at(chained(rows))[0] == 6


def with_events(place: int, *events: Event, **fields: Any) -> Callable[[list[Row]], None]:
    def change(rows: list[Row]) -> None:
        rows[place] = replace(rows[place], payload=encode_events(events), **fields)

    return change


def with_fields(place: int, **fields: Any) -> Callable[[list[Row]], None]:
    def change(rows: list[Row]) -> None:
        rows[place] = replace(rows[place], **fields)

    return change


def swap_payload(rows: list[Row]) -> None:
    rows[6] = replace(rows[6], payload=rows[4].payload)


FORGERIES: dict[str, tuple[int, Callable[[list[Row]], None]]] = {
    "a sequence with a gap": (5, with_fields(4, market_seq=3)),
    "a balance that is not": (5, with_fields(4, user_balance=1)),
    "a balance where none is": (1, with_fields(0, user_balance=1)),
    "bytes that are no events": (5, with_fields(4, payload=b"\xff")),
    "no events at all": (5, with_events(4)),
    "a market that is not listed": (5, with_fields(4, stream="ETH-PERP", market_seq=1)),
    "a user's event in a market": (5, with_events(4, Deposited("ann", Micros(5), ()))),
    "a market's event in the ledger": (3, with_events(2, ModeChanged(Mode.HALTED, "x"))),
    "a position opened twice": (7, swap_payload),
    "a listing under another name": (1, with_fields(0, stream="ETH-PERP")),
    "a listing in the ledger": (1, with_fields(0, stream=LEDGER_STREAM)),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_row_with_a_perfect_hash_is_named_all_the_same(name: str) -> None:
    offset, forge = FORGERIES[name]
    rows = busy().rows
    forge(rows)

    assert fails_at(chained(rows))[0] == offset


def test_a_market_that_lists_itself_twice_is_named() -> None:
    venue = busy()
    again = replace(venue.rows[0], offset=len(venue.rows) + 1, market_seq=venue.markets[BTC].seq + 1)

    assert fails_at(chained([*venue.rows, again]))[0] == again.offset
    own = [row for row in venue.rows if row.stream == BTC]
    with pytest.raises(JournalCorrupt):
        replay_market([*own, again])


@pytest.mark.parametrize("damage", ["gap", "no listing", "no rows", "bad bytes", "unknown position"])
def test_one_markets_rows_that_cannot_be_are_named(damage: str) -> None:
    rows = [row for row in busy().rows if row.stream == BTC]
    match damage:
        case "gap":
            del rows[2]
        case "no listing":
            rows = [replace(row, market_seq=row.market_seq - 1) for row in rows[1:]]
        case "no rows":
            rows = []
        case "bad bytes":
            rows[2] = replace(rows[2], payload=b"\xff")
        case _:
            rows = [rows[0], *(replace(row, market_seq=row.market_seq - 1) for row in rows[2:])]
    with pytest.raises(JournalCorrupt):
        replay_market(rows)


def test_users_come_back_with_their_referrers() -> None:
    venue = Books()
    venue.add_user("bob", 0)
    venue.add_user("ann", 0, referrer="bob")
    done(venue.send(CreateUser(user="cid")))

    assert venue.replayed().ledger.referrers == {"bob": None, "ann": "bob", "cid": None}
    assert isinstance(venue.replayed().apply(next_row(venue)).events[0], UserCreated)


def next_row(venue: Books) -> Row:
    user = encode_events((UserCreated("dan", None, Millis(START_MS)),))
    fields = (len(venue.rows) + 1, 1, LEDGER_STREAM, venue.ledger.seq + 1, START_MS, "user", 1, None, None, None)
    row = make_row(venue.rows[-1].hash, *fields, user, 0)
    assert hash_of(venue.rows[-1].hash, row) == row.hash
    return row
