"""What a row tells the public: every event of a market, and nothing of a user."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from perps.commands import (
    CancelOrder,
    ChangeMargin,
    FundMarket,
    HouseAccount,
    OrderKind,
    PlaceOrder,
    ReplaceOrder,
    SetCancelTimer,
    SetMode,
    SettleMarket,
    SetTriggers,
    Side,
    UpdateMarket,
)
from perps.engine import effects_of, entry_of
from perps.events import (
    CancelTimerSet,
    CloseReason,
    DeleveragingChanged,
    Event,
    FundingAccrued,
    HoldEnded,
    HouseFunded,
    LedgerEvent,
    MarketEvent,
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    PositionChanged,
    PositionReduced,
    encode_events,
)
from perps.journal import Entry, Row, events_of
from perps.params import MarketParams, Mode, ParamChanges
from perps.units import FundingIndex, Micros, Millis, Ticks
from perps.wire.base import Limit, encode
from tests.actors.venue import close, listing, open_long, running, set_price
from web.answers.stream_events import public_events

BTC = "BTC-PERP"


@pytest.fixture
async def rows() -> list[Row]:
    """Rows of a venue in which everything has happened that can."""
    async with running() as venue:
        await venue.list_market(BTC)
        await venue.add_user("ann")
        await venue.do(open_long(BTC, "ann", leverage=100))
        await venue.do(open_long(BTC, "ann"))
        await venue.do(replace(open_long(BTC, "ann"), position=f"{BTC}-2"))
        await venue.do(ChangeMargin(ticker=BTC, user="ann", position_id=f"{BTC}-2", amount=Micros(1)))
        await venue.do(close(BTC, "ann", 2))
        await venue.do(
            SetTriggers(ticker=BTC, user="ann", position_id=f"{BTC}-1", take_profit=Ticks(10**8), stop_loss=None)
        )
        terms: dict[str, Any] = {"size": Micros(10**8), "leverage": 2, "price": Ticks(1)}
        await venue.do(PlaceOrder(ticker=BTC, user="ann", order=OrderKind.LIMIT, side=Side.LONG, **terms))
        await venue.do(ReplaceOrder(ticker=BTC, user="ann", order_id=f"{BTC}-o1", **terms))
        await venue.do(CancelOrder(ticker=BTC, user="ann", order_id=f"{BTC}-o1"))
        await venue.do(SetCancelTimer(ticker=BTC, user="ann", after_ms=1_000))
        await venue.do(set_price(BTC, 50))
        await venue.list_market("BANDED-PERP", price_band=Limit("0.1"))
        await venue.do(set_price("BANDED-PERP", 1))
        await venue.do(UpdateMarket(ticker=BTC, changes=ParamChanges(max_leverage=50)))
        await venue.do(SetMode(ticker=BTC, mode=Mode.HALTED))
        await venue.do(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(1)))
        await venue.do(SettleMarket(ticker=BTC))
        last = _place(venue.store.rows())
        return [*venue.store.rows(), _over(last), _deleveraging(last), _hour(last)]


def _place(rows: Iterable[Row]) -> Row:
    """The last row."""
    return list(rows)[-1]


def _over(last: Row) -> Row:
    """A row in which a hold ends."""
    return replace(last, offset=last.offset + 1, kind="time", payload=encode_events((HoldEnded(),)))


def _deleveraging(last: Row) -> Row:
    """A row in which a deleveraging ends."""
    return replace(last, offset=last.offset + 3, kind="sweep", payload=encode_events((DeleveragingChanged(None),)))


def _hour(last: Row) -> Row:
    """A row of funding alone, at a full hour."""
    index = FundingIndex(250_000_000)
    hour = FundingAccrued(index, 10**15, 0, Millis(1_767_229_200_000), Ticks(5_000_000), index)
    return replace(last, offset=last.offset + 2, kind="time", payload=encode_events((hour,)))


def _params() -> MarketParams:
    return listing(BTC).params


async def test_every_event_of_a_market_is_told(rows: list[Row]) -> None:
    told: dict[type[Event], list[str]] = {}
    for row in rows:
        for event in events_of(row):
            if isinstance(event, get_args(MarketEvent)):
                told[type(event)] = [name for name, _ in public_events(_entry(row, event), _params())]

    assert set(told) == set(get_args(MarketEvent)), "a market's event without an example here"
    untold = {kind for kind, names in told.items() if not names}
    theirs = {HouseFunded, PositionChanged, OrderPlaced, OrderReplaced, OrderCancelled, CancelTimerSet}
    assert untold == theirs | {DeleveragingChanged}, "a market's event that the public is not told"


async def test_a_liquidation_is_a_trade_and_a_liquidation(rows: list[Row]) -> None:
    liquidations = [
        [name for name, _ in public_events(_entry(row, event), _params())]
        for row in rows
        for event in events_of(row)
        if isinstance(event, PositionReduced) and event.reason is CloseReason.LIQUIDATION
    ]

    assert liquidations == [["trade", "liquidation"]]


async def test_every_event_says_which_row_and_no_user(rows: list[Row]) -> None:
    for row in rows:
        for _, data in public_events(entry_of(row), _params()):
            encoded = encode(data)
            assert json.loads(encoded)["offset"] == row.offset
            assert b"ann" not in encoded


async def test_an_hour_of_funding_says_what_was_paid_in_it(rows: list[Row]) -> None:
    ((name, data),) = public_events(entry_of(rows[-1]), _params())

    assert name == "funding"
    assert json.loads(encode(data)) == {
        "at": "2026-01-01T01:00:00.000Z",
        "rate": "0.00000005",
        "payment": "0.0025",
        "fundingIndex": "0.0025",
        "indexPrice": "50000.00",
        "ticker": BTC,
        "offset": rows[-1].offset,
    }


async def test_funding_between_full_hours_is_not_told(rows: list[Row]) -> None:
    between = FundingAccrued(FundingIndex(1), 1, 1, Millis(1_767_229_200_001), Ticks(1))

    assert not list(public_events(_entry(rows[-1], between), _params()))


async def test_an_event_that_is_not_a_markets_is_left_out_and_the_others_are_told(rows: list[Row]) -> None:
    events = [event for row in rows for event in events_of(row)]
    foreign = [event for event in events if isinstance(event, get_args(LedgerEvent))]
    price = next(row for row in rows if row.kind == "price")

    told = list(public_events(_entry(price, *events_of(price), *foreign), _params()))

    assert foreign
    assert told == list(public_events(entry_of(price), _params()))


def _entry(row: Row, *events: Event) -> Entry:
    return Entry(row, events, effects_of(events), ())
