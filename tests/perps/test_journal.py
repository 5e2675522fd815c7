"""Rows: their hashes, their events as bytes, and what their ids and digests tell apart."""

from hashlib import blake2b
from typing import Any

import msgspec
import pytest
from msgspec.structs import asdict, replace

from perps.commands import (
    ClosePosition,
    Command,
    Deposit,
    OpenPosition,
    PriceSource,
    SetMode,
    Side,
    UpdatePrice,
)
from perps.events import (
    CloseReason,
    Deposited,
    Event,
    Fill,
    MarketListed,
    ModeChanged,
    PositionOpened,
    PositionReduced,
    PriceUpdated,
    Transfer,
    TransferKind,
    UserCreated,
    Withdrawn,
    decode_events,
    encode_events,
)
from perps.fingerprints import fingerprint
from perps.journal import GENESIS, Row, hash_of, make_row
from perps.market.position import position_id, split_position_id
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.units import FundingIndex, Lots, Micros, Millis, Nano, Ppb, Ticks
from tests.perps.build import BTC, START_MS, index_market, new_open, new_position

LEG = Transfer("world", "user:ann", Micros(10**18), TransferKind.DEPOSIT)
FILL = Fill(Lots(-5), Micros(-(10**18)), Ticks(1), Ticks(2), Ticks(3), Ticks(4), FundingIndex(-5))
OPENED = PositionOpened(new_position(lots=-5, cash=10**18, referrer="bob"), FILL, Micros(2), Micros(1), (LEG, LEG))
EVENTS: list[Event] = [
    MarketListed(index_market(house_credit_limit=None, max_price_age=7), Ticks(1), Millis(START_MS), (LEG,)),
    ModeChanged(Mode.HALTED, "a reason: ✓"),
    PriceUpdated(Ticks(1), Ticks(2), Ticks(3), PriceSource.EVENT, Millis(4), "why", 5, Millis(6)),
    PriceUpdated(Ticks(1), Ticks(2), Ticks(3), PriceSource.SYSTEM, Millis(4)),
    OPENED,
    PositionReduced(
        position=new_position(lots=0),
        fill=FILL,
        reason=CloseReason.LIQUIDATION,
        margin_released=Micros(1),
        entry_released=Micros(2),
        pnl=Micros(-3),
        funding=Micros(-4),
        settlement=Micros(5),
        fee=Micros(6),
        referral=Micros(7),
        bad_debt=Micros(8),
        transfers=(LEG,),
    ),
    UserCreated("ann", None, Millis(1), (LEG,)),
    UserCreated("ann", "bob", Millis(1)),
    Deposited("ann", Micros(10**18), (LEG,)),
    Withdrawn("ann", Micros(1), (LEG,)),
]
SUBJECTS = [None, None, None, None, "ann", "ann", "ann", "ann", "ann", "ann"]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_its_bytes_as_it_was(event: Event) -> None:
    (back,) = decode_events(encode_events((event,)))

    assert back == event
    assert type(back) is type(event)


def test_a_rows_events_come_back_in_order() -> None:
    assert decode_events(encode_events(tuple(EVENTS))) == tuple(EVENTS)
    assert decode_events(encode_events(())) == ()


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x91\xc0", b"\x91\x91\xa4what", encode_events((OPENED,))[:-1]])
def test_bytes_that_never_were_a_rows_are_refused(payload: bytes) -> None:
    with pytest.raises((msgspec.ValidationError, msgspec.DecodeError)):
        decode_events(payload)


@pytest.mark.parametrize(("event", "subject"), list(zip(EVENTS, SUBJECTS, strict=True)))
def test_an_event_knows_whose_it_is_and_what_it_moved(event: Event, subject: str | None) -> None:
    assert event.subject == subject


def row(previous: bytes = GENESIS, **changes: Any) -> Row:
    fields: dict[str, Any] = {
        "offset": 1,
        "epoch": 1,
        "stream": BTC,
        "market_seq": 1,
        "at": START_MS,
        "kind": "open",
        "schema_version": 1,
        "user_id": "ann",
        "client_order_id": "c-1",
        "fingerprint": b"f" * 16,
        "payload": b"p",
        "user_balance": 7,
    }
    return make_row(previous, *{**fields, **changes}.values())


CHANGES: list[dict[str, Any]] = [
    {"offset": 2},
    {"epoch": 2},
    {"stream": "ETH-PERP"},
    {"market_seq": 2},
    {"at": START_MS + 1},
    {"kind": "close"},
    {"schema_version": 0},
    {"user_id": "bob"},
    {"user_id": None},
    {"client_order_id": "c-2"},
    {"client_order_id": None},
    {"fingerprint": b"g" * 16},
    {"fingerprint": None},
    {"payload": b"q"},
    {"payload": b""},
    {"user_balance": 8},
    {"user_balance": None},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_rows_hash_shows_a_change_of_any_field(change: dict[str, Any]) -> None:
    original = row()
    altered = replace(original, **change)

    assert hash_of(GENESIS, original) == original.hash
    assert hash_of(GENESIS, altered) != original.hash


def test_every_field_of_a_row_has_been_changed_above() -> None:
    assert {name for change in CHANGES for name in change} == set(asdict(row())) - {"hash"}


def test_a_rows_hash_shows_a_change_of_the_row_before() -> None:
    first = row()
    second = row(first.hash, offset=2)
    other = row(row(at=START_MS + 1).hash, offset=2)

    assert second.hash != other.hash
    assert hash_of(first.hash, second) == second.hash != hash_of(GENESIS, second)


def test_equal_commands_have_equal_fingerprints_and_different_ones_do_not() -> None:
    commands: list[Command] = [
        new_open("ann", Side.LONG, 10),
        new_open("ann", Side.SHORT, 10),
        new_open("ann", Side.LONG, 11),
        new_open("bob", Side.LONG, 10),
        new_open("ann", Side.LONG, 10, leverage=11),
        new_open("ann", Side.LONG, 10, limit=1),
        new_open("ann", Side.LONG, 10, max_slippage_bps=1),
        new_open("ann", Side.LONG, 10, ticker="ETH-PERP"),
        ClosePosition(ticker=BTC, user="ann", position_id="BTC-PERP-1", share=Ppb(1)),
        ClosePosition(ticker=BTC, user="ann", position_id="BTC-PERP-2", share=Ppb(1)),
        UpdatePrice(ticker=BTC, price=Ticks(1), source=PriceSource.AGENT),
        UpdatePrice(ticker=BTC, price=Ticks(1), source=PriceSource.ORACLE),
        SetMode(ticker=BTC, mode=Mode.HALTED),
        Deposit(user="ann", amount=Micros(1)),
    ]

    assert len({fingerprint(command) for command in commands}) == len(commands)
    assert fingerprint(new_open("ann", Side.LONG, 10)) == fingerprint(commands[0])
    assert all(len(fingerprint(command)) == 16 for command in commands)
    assert isinstance(commands[0], OpenPosition)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("BTC-PERP-1042", ("BTC-PERP", 1042)),
        ("A-1", ("A", 1)),
        ("BTC-PERP-", None),
        ("BTC-PERP", None),
        ("-1", None),
        ("", None),
        ("BTC-PERP-1x", None),
        ("BTC-PERP-²", None),
        ("BTC-PERP-٣", None),
        ("BTC-PERP-+1", None),
        ("A-" + "9" * 14, ("A", 10**14 - 1)),
        ("A-" + "9" * 15, None),
    ],
)
def test_a_position_id_splits_into_its_ticker_and_number_or_not_at_all(
    text: str, parts: tuple[str, int] | None
) -> None:
    assert split_position_id(text) == parts
    if parts:
        assert position_id(*parts) == text


def test_every_refusal_says_whether_it_may_succeed_later() -> None:
    assert {code: Rejected(code=code).may_succeed_later for code in RejectCode}.keys() == set(RejectCode)


def test_rows_of_an_older_version_become_those_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two versions back: each upcast once, in order, oldest first. Rows of today are left alone."""
    deposited = Deposited("ann", Micros(5), ())

    def of_1(plain: list[Any]) -> list[Any]:
        return [["Deposited", name, int(amount), moved] for _, name, amount, moved in plain]

    def of_2(plain: list[Any]) -> list[Any]:
        return [[tag, name.lower(), amount, moved] for tag, name, amount, moved in plain]

    monkeypatch.setattr("perps.events.UPCASTS", {2: of_2, 1: of_1})
    oldest = msgspec.msgpack.encode([["PaidIn", "ANN", "5", []]])
    older = msgspec.msgpack.encode([["Deposited", "ANN", 5, []]])

    assert decode_events(oldest, 1) == decode_events(older, 2) == decode_events(encode_events((deposited,)), 3)
    assert decode_events(oldest, 1) == (deposited,)


def test_a_field_added_later_changes_no_fingerprint_until_it_is_used() -> None:
    """The digest of an open as the first release made it."""
    plain = OpenPosition(ticker="A", user="ann", side=Side.LONG, size=Micros(5), leverage=2)
    old = {
        "type": "OpenPosition",
        "ticker": "A",
        "user": "ann",
        "side": "long",
        "size": 5,
        "leverage": 2,
        "acceptable_price": None,
        "max_slippage_bps": None,
    }

    assert fingerprint(plain) == blake2b(msgspec.msgpack.encode(old), digest_size=16).digest()
    assert fingerprint(replace(plain, acceptable_price=Nano(1), acceptable_price_pico=7)) != fingerprint(
        replace(plain, acceptable_price=Nano(1))
    )
