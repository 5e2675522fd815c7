"""A quote of an order never disagrees with what placing it does, nor with its fill at the price that it names."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perps.commands import OrderKind, PlaceExit, PlaceOrder, Side
from perps.effects import OrderStatus
from perps.events import MarketEvent, OrderCancelled, OrderPlaced, PositionOpened, PositionReduced
from perps.order_quotes import OrderQuote, quote_order
from perps.refusals import RejectCode, Rejected
from perps.rules.rule import Given
from perps.units import AMOUNT_MAX, MICRO, PPB, Micros, Millis, Nano, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    STORY,
    STORY_PRICE,
    Books,
    done,
    full_state,
    index_market,
    opened,
    quote_market,
)

FLOWING: dict[str, Any] = {"funding_velocity": 200 * PPB, "max_funding_rate": PPB // 15}
ENTRIES, EXITS = (OrderKind.LIMIT, OrderKind.STOP), (OrderKind.STOP, OrderKind.TAKE_PROFIT)


def books(tilt: Side) -> Books:
    """Ann is long and bob is short, at low leverage; the market leans to one side."""
    venue = Books((index_market(house_deposit=10**6 * MICRO), BTC_PRICE), (quote_market(**FLOWING), STORY_PRICE))
    for user, referrer in (("ann", None), ("bob", "ann")):
        venue.add_user(user, referrer=referrer)
    for ticker in (BTC, STORY):
        long, short = (900, 300) if tilt is Side.LONG else (300, 900)
        opened(venue.open("ann", Side.LONG, long * MICRO, ticker=ticker, leverage=1))
        opened(venue.open("bob", Side.SHORT, short * MICRO, ticker=ticker, leverage=1))
    return venue


def outcome_of(events: Any, number: int) -> MarketEvent | None:
    """What became of an order in a row."""
    ends = [event for event in events if isinstance(event, PositionOpened | PositionReduced | OrderCancelled)]
    return next((event for event in ends if event.order is not None and event.order.number == number), None)


@st.composite
def commands(draw: st.DrawFn) -> PlaceOrder | PlaceExit:
    ticker, first = draw(st.sampled_from([(BTC, BTC_PRICE), (STORY, STORY_PRICE)]))
    bps = draw(st.sampled_from([8_000, 9_500, 9_990, 10_000, 10_010, 10_500, 12_000]))
    price = Ticks(first * bps // 10_000)
    bound = draw(st.none() | st.sampled_from([9_400, 9_900, 10_000, 10_100, 10_600]))
    fields: dict[str, Any] = {"ticker": ticker, "price": price}
    if draw(st.booleans()):
        user, number = draw(st.sampled_from([("ann", 1), ("bob", 2), ("bob", 1), ("ann", 3)]))
        fields |= {"user": user, "position_id": f"{ticker}-{number}", "order": draw(st.sampled_from(EXITS))}
        fields["share"] = Ppb(draw(st.sampled_from([1, PPB // 3, PPB])))
    else:
        fields |= {"user": "bob", "order": draw(st.sampled_from(ENTRIES)), "side": draw(st.sampled_from(Side))}
        fields |= {
            "size": Micros(draw(st.integers(1, 3_000)) * MICRO),
            "leverage": draw(st.sampled_from([1, 3, 5, 101])),
        }
        stop = draw(st.none() | st.sampled_from([7_000, 9_700, 10_300]))
        fields["stop_loss"] = None if stop is None else Ticks(first * stop // 10_000)
    if bound is not None and fields["order"] is not OrderKind.LIMIT:
        tick = (index_market() if ticker == BTC else quote_market()).tick_size
        fields["acceptable_price"] = Nano(first * bound // 10_000 * tick // 1_000)
    return PlaceExit(**fields) if "position_id" in fields else PlaceOrder(**fields)


@settings(max_examples=400)
@given(command=commands(), tilt=st.sampled_from(Side), wait_ms=st.sampled_from([0, 1, 1_800_000]))
def test_a_quote_is_what_the_placement_does_and_what_its_price_leads_to(
    command: PlaceOrder | PlaceExit, tilt: Side, wait_ms: int
) -> None:
    venue = books(tilt)
    venue.at = Millis(venue.at + wait_ms)
    before = full_state(venue.ledger, venue.markets)
    market, referrer = venue.markets[command.ticker], venue.ledger.referrers[command.user]
    quote = quote_order(market, command, Given(venue.at, held=AMOUNT_MAX, referrer=referrer))
    assert full_state(venue.ledger, venue.markets) == before

    placed = venue.send(command)

    if isinstance(quote, Rejected):
        assert isinstance(placed, Rejected)
        assert (placed.code, placed.facts) == (quote.code, quote.facts)
        return
    events = done(placed)
    (order,) = (event.order for event in events if isinstance(event, OrderPlaced))
    assert order == quote.order
    at_once = outcome_of(events, order.number)
    if quote.status is not OrderStatus.OPEN:
        assert at_once == quote.outcome
        assert quote.status is (OrderStatus.FILLED if isinstance(at_once, PositionOpened) else OrderStatus.CANCELLED)
        return
    assert at_once is None
    at_its_price = outcome_of(done(venue.price(quote.index, ticker=command.ticker)), order.number)
    assert at_its_price == (None if isinstance(quote.outcome, Rejected) else quote.outcome)


@pytest.mark.parametrize("side", list(Side))
def test_a_limit_is_quoted_at_the_nearest_price_at_which_it_fills(side: Side) -> None:
    venue = books(Side.LONG)
    level = BTC_PRICE * (98 if side is Side.LONG else 102) // 100
    fields: dict[str, Any] = {"ticker": BTC, "user": "bob", "order": OrderKind.LIMIT, "size": Micros(900 * MICRO)}
    command = PlaceOrder(**fields, side=side, price=Ticks(level), leverage=5)
    quote = quote_order(venue.markets[BTC], command, Given(venue.at, held=AMOUNT_MAX, referrer="ann"))
    assert not isinstance(quote, Rejected)
    done(venue.send(command))
    nearer = quote.index + (1 if side is Side.LONG else -1)
    assert outcome_of(done(venue.price(nearer)), 1) is None
    assert outcome_of(done(venue.price(quote.index)), 1) == quote.outcome


def test_a_limit_without_room_is_quoted_as_one_that_waits() -> None:
    venue = books(Side.LONG)
    fields: dict[str, Any] = {"ticker": STORY, "user": "bob", "order": OrderKind.LIMIT, "side": Side.LONG}
    command = PlaceOrder(**fields, size=Micros(3_700 * MICRO), leverage=1, price=Ticks(2 * STORY_PRICE))
    quote = quote_order(venue.markets[STORY], command, Given(venue.at, held=AMOUNT_MAX, referrer="ann"))
    assert isinstance(quote, OrderQuote)
    assert isinstance(quote.outcome, Rejected)
    assert (quote.status, quote.outcome.code) == (OrderStatus.OPEN, RejectCode.MAX_SKEW_EXCEEDED)
    (placed,) = done(venue.send(command))
    assert isinstance(placed, OrderPlaced)
