"""The walk over all rows: what is wrong is named with its place, once, and the walk goes on behind it."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from msgspec.structs import astuple, replace

from perps.commands import CreateUser
from perps.events import (
    SCHEMA_VERSION,
    Deposited,
    PositionOpened,
    Transfer,
    TransferKind,
    decode_events,
    encode_events,
)
from perps.journal import GENESIS, LEDGER_STREAM, Row, make_row
from perps.snapshot.verification import Finding, Findings, Walker, contradictions
from perps.units import Lots, Micros
from perps.venue import JournalCorrupt
from tests.perps.build import BTC, STORY, Books, done, full_state
from tests.perps.test_venue import busy, replay

Damage = Callable[[list[Row]], None]


def walk(rows: list[Row], kept_max: int = 100) -> tuple[Walker, Findings]:
    findings = Findings(kept_max)
    walker = Walker(findings)
    for row in rows:
        walker.take(row)
    return walker, findings


def places(rows: list[Row]) -> list[int | None]:
    return [finding.offset for finding in walk(rows)[1].told()]


def chained(rows: list[Row], start: int = 0) -> None:
    """Give the rows from ``start`` on hashes as if nothing had been touched."""
    previous = rows[start - 1].hash if start else GENESIS
    for place in range(start, len(rows)):
        rows[place] = make_row(previous, *astuple(rows[place])[:-1])
        previous = rows[place].hash


def change(place: int, **fields: Any) -> Damage:
    def damage(rows: list[Row]) -> None:
        rows[place] = replace(rows[place], **fields)

    return damage


def forge(place: int, **fields: Any) -> Damage:
    """Change a row and write all hashes from there to the end anew."""

    def damage(rows: list[Row]) -> None:
        change(place, **fields)(rows)
        chained(rows, place)

    return damage


def flip_a_bit(rows: list[Row]) -> None:
    payload = bytearray(rows[4].payload)
    payload[-1] ^= 1
    rows[4] = replace(rows[4], payload=bytes(payload))


def delete_in_the_middle(rows: list[Row]) -> None:
    del rows[5]


def delete_several(rows: list[Row]) -> None:
    del rows[5:8]


def with_its_own_hash_anew(rows: list[Row]) -> None:
    rows[4] = make_row(rows[3].hash, *astuple(replace(rows[4], kind="sweep"))[:-1])


def swap(rows: list[Row]) -> None:
    rows[5], rows[6] = replace(rows[6], offset=6), replace(rows[5], offset=7)


def double(rows: list[Row]) -> None:
    rows.insert(5, rows[4])


def let_the_epoch_fall(rows: list[Row]) -> None:
    rows[5:] = [replace(row, epoch=3) for row in rows[5:]]
    rows[7] = replace(rows[7], epoch=2)
    chained(rows, 5)


def open_no_lots(rows: list[Row]) -> None:
    (event,) = decode_events(rows[4].payload)
    assert isinstance(event, PositionOpened)
    nothing = replace(event, position=replace(event.position, lots=Lots(0)))
    forge(4, payload=encode_events((nothing,)))(rows)


DAMAGES: dict[str, tuple[Damage, list[tuple[int, str]]]] = {
    "a bit of a payload flipped": (flip_a_bit, [(5, "hash"), (5, "only the chain")]),
    "a row deleted in the middle": (delete_in_the_middle, [(6, "missing; the next row there is 7"), (7, "sequence")]),
    "rows deleted in the middle": (
        delete_several,
        [(6, "missing, with all rows up to 8"), (9, "sequence 5"), (12, STORY)],
    ),
    "a row altered": (change(4, kind="sweep"), [(5, "hash")]),
    "a stored hash altered": (change(4, hash=bytes(32)), [(5, "hash")]),
    "a row altered and its own hash computed anew": (with_its_own_hash_anew, [(6, "hash")]),
    "two rows exchanged": (swap, [(6, "hash"), (6, "sequence"), (7, "hash"), (8, "hash"), (9, "sequence")]),
    "a row twice": (double, [(5, "there twice")]),
    "an epoch that falls": (let_the_epoch_fall, [(8, "epoch 2 after epoch 3")]),
    "a gap in a sequence": (forge(4, market_seq=4), [(5, "BTC-PERP sequence 4 where 2 must follow"), (6, "sequence")]),
    "a balance that is not": (forge(4, user_balance=1), [(5, "the row says 1")]),
    "a time that falls": (forge(7, at=1), [(8, "before the market's row before it")]),
    "a schema of the future": (forge(7, schema_version=99), [(8, "schema version 99 is newer")]),
    "a payload that is none": (forge(7, payload=b"\xff"), [(8, "it cannot be replayed")]),
    "a position of no lots": (open_no_lots, [(5, "it cannot be replayed")]),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_is_found_and_its_place_named(name: str) -> None:
    damage, expected = DAMAGES[name]
    rows = busy().rows
    damage(rows)

    told = walk(rows)[1].told()
    for offset, words in expected:
        assert any(finding.offset == offset and words in finding.problem for finding in told), told
    assert {finding.offset for finding in told} == {offset for offset, _ in expected}


def test_rows_as_they_were_written_give_nothing_to_find() -> None:
    venue = busy()
    walker, findings = walk(venue.rows)

    assert findings.told() == []
    assert walker.is_sound
    assert (walker.offset, walker.last_hash) == (len(venue.rows), venue.rows[-1].hash)
    assert full_state(walker.state.ledger, walker.state.markets) == full_state(venue.ledger, venue.markets)
    assert list(contradictions(walker.state)) == []


def test_the_walk_goes_on_behind_what_it_finds() -> None:
    rows = busy().rows
    change(2, at=7)(rows)
    change(8, user_id="eve")(rows)

    walker, findings = walk(rows)
    assert places(rows) == [3, 9]
    assert walker.is_sound, "the rows could be taken in all the same"
    assert findings.count == 2


def test_a_market_is_named_where_a_row_is_one_of_its_own_and_the_ledger_is_no_market() -> None:
    rows = busy().rows
    change(2, at=7)(rows)
    change(4, kind="x")(rows)

    assert [finding.ticker for finding in walk(rows)[1].told()] == [None, BTC]
    assert (rows[2].stream, rows[4].stream) == (LEDGER_STREAM, BTC)


def test_only_so_many_findings_are_told_and_the_rest_are_counted() -> None:
    rows = busy().rows
    for place in range(len(rows)):
        change(place, kind="x")(rows)

    told = walk(rows, kept_max=3)[1].told()
    assert [finding.offset for finding in told] == [1, 2, 3, None]
    assert told[-1] == Finding(f"and {len(rows) - 3} more")


def test_what_needs_the_state_ends_where_the_state_ends() -> None:
    rows = busy().rows
    forge(4, user_balance=1)(rows)
    forge(8, user_balance=1)(rows)

    walker, _ = walk(rows)
    assert not walker.is_sound
    assert places(rows) == [5]


def test_wherever_a_byte_of_a_payload_changes_the_walk_names_the_row_and_never_breaks() -> None:
    """With all hashes written anew, only what the row says can give it away, or nothing can; it must not crash."""
    random = Random(5)
    for _ in range(400):
        rows = busy().rows
        place = random.randrange(len(rows))
        payload = bytearray(rows[place].payload)
        payload[random.randrange(len(payload))] = random.randrange(256)
        altered = bytes(payload) != rows[place].payload
        change(place, payload=bytes(payload))(rows)

        assert (place + 1 in places(rows)) is altered
        chained(rows, place)
        walk(rows)


@pytest.mark.parametrize("name", sorted(DAMAGES.keys() - {"a time that falls"}))
def test_recovery_refuses_all_that_the_walk_finds_but_a_time(name: str) -> None:
    rows = busy().rows
    DAMAGES[name][0](rows)

    with pytest.raises(JournalCorrupt):
        replay(rows)


def test_a_contradiction_in_the_state_is_told_with_its_market() -> None:
    state = busy().replayed()
    state.ledger.balances[f"margin:{BTC}"] += 1
    state.ledger.balances["user:ann"] = -5
    state.ledger.balances["user:nobody"] = 7
    state.ledger.balances["till"] = 8
    state.markets[STORY].long_lots = Lots(state.markets[STORY].long_lots + 1)
    del state.ledger.referrers["bob"]

    told = [(finding.ticker, finding.problem) for finding in contradictions(state)]
    for ticker, words in (
        (None, "all accounts together hold"),
        (None, "user:ann holds -5"),
        (None, "user:nobody holds 7 micros, but there is no such user"),
        (None, "till holds 8"),
        (BTC, f"margin:{BTC} holds"),
        (STORY, "belongs to bob, who is no user"),
        (STORY, "in its sums"),
    ):
        assert any(found == ticker and words in problem for found, problem in told), (words, told)
    assert {finding.offset for finding in contradictions(state)} == {state.offset}


def test_money_for_somebody_who_is_no_user_is_a_contradiction() -> None:
    venue = Books()
    done(venue.send(CreateUser(user="ann")))
    ghost = Transfer("world", "user:ghost", Micros(5), TransferKind.DEPOSIT)
    payload = encode_events((Deposited("ann", Micros(5), (ghost,)),))
    fields = (2, 1, LEDGER_STREAM, 2, venue.at, "deposit", SCHEMA_VERSION, None, None, None, payload, 0)
    walker, findings = walk([*venue.rows, make_row(venue.rows[-1].hash, *fields)])

    assert findings.told() == []
    assert [finding.problem for finding in contradictions(walker.state)] == [
        "user:ghost holds 5 micros, but there is no such user"
    ]


def test_a_gap_in_a_sequence_alone_does_not_end_what_needs_the_state() -> None:
    rows = busy().rows
    forge(4, market_seq=4)(rows)
    forge(len(rows) - 1, market_seq=99)(rows)

    walker, findings = walk(rows)
    assert walker.is_sound
    assert all("sequence" in finding.problem for finding in findings.told())
