"""Exit orders beside what else happens to positions: the next price, liquidation in part, cancel timers, restarts."""

from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from perps.commands import (
    CancelOrder,
    FundMarket,
    HouseAccount,
    ObserveTime,
    OrderKind,
    PlaceOrder,
    ReplaceOrder,
    SetCancelTimer,
    Side,
    UpdateMarket,
)
from perps.effects import OrderStatus
from perps.events import CloseReason, OrderPlaced, PositionReduced
from perps.market.state import Market
from perps.order_quotes import quote_order
from perps.params import Execution, ParamChanges
from perps.refusals import RejectCode, Rejected
from perps.rules.closing import gain, gain_of_part, reduce
from perps.rules.orders.terms import EXITS_PER_POSITION_MAX
from perps.rules.rule import Given
from perps.sequencer import MarketSide
from perps.snapshot.checks import market_flaw
from perps.units import AMOUNT_MAX, MICRO, PPB, Lots, Micros, Millis, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    Books,
    done,
    events_of,
    full_state,
    index_market,
    opened,
    reductions,
    refused,
)
from tests.perps.rules.orders.resting import DOWN, LIMIT, LONG, STOP, UP, books, place
from tests.perps.rules.orders.test_exit_orders import PROFIT, holding, leave
from tests.perps.rules.orders.waiting import Waiting, ends


@pytest.mark.parametrize(("kind", "price"), [(STOP, DOWN), (PROFIT, UP)])
def test_an_exit_is_set_off_by_no_price_that_was_there_before_it(kind: OrderKind, price: int) -> None:
    venue = Waiting()
    venue.hold()
    (placed,) = done(leave(venue, "bob", 1, kind, price))
    assert isinstance(placed, OrderPlaced)
    assert not placed.order.is_pending
    assert reductions(venue.feed(price)) == []
    assert len(venue.markets[BTC].exits) == 0

    (left,) = reductions(venue.next(price))

    assert left.order == placed.order
    assert venue.markets[BTC].orders.by_number == {}


def test_a_stop_placed_behind_a_fall_does_not_save_from_the_liquidation_of_that_price() -> None:
    """Else whoever sees a fall before the market does would choose between both."""
    late, early = Waiting(), Waiting()
    for venue in (late, early):
        venue.hold(leverage=100)
        done(leave(venue, "bob", 1, STOP, BTC_PRICE * 999 // 1_000, PPB))
    (liquidated,) = reductions(late.feed(BTC_PRICE * 994 // 1_000))
    (stopped,) = reductions(early.next(BTC_PRICE * 994 // 1_000))
    assert (liquidated.reason, liquidated.order) == (CloseReason.LIQUIDATION, None)
    assert (stopped.reason, stopped.order is not None) == (CloseReason.STOP_LOSS, True)


def test_an_exit_before_its_price_can_be_neither_cancelled_nor_replaced() -> None:
    venue = Waiting()
    venue.hold()
    done(leave(venue, "bob", 1, STOP, DOWN))
    fields: dict[str, Any] = {"ticker": BTC, "user": "bob", "order_id": f"{BTC}-o2"}
    for command in (CancelOrder(**fields), ReplaceOrder(**fields, price=Ticks(DOWN - 5))):
        assert refused(venue.send(command)).code is RejectCode.ORDER_PENDING
    venue.next()
    done(venue.send(ReplaceOrder(**fields, price=Ticks(DOWN - 5))))
    assert reductions(venue.feed(DOWN - 9)) == []
    assert len(reductions(venue.next(DOWN - 9))) == 1


def test_exits_and_what_is_pending_about_a_position_end_with_it_and_count_apart() -> None:
    venue = Waiting()
    held = venue.hold()
    done(venue.close(held))
    for step in range(EXITS_PER_POSITION_MAX):
        done(leave(venue, "bob", 1, STOP, DOWN - step))
    assert refused(leave(venue, "bob", 1, STOP, DOWN)).code is RejectCode.TOO_MANY_OPEN_ORDERS
    done(venue.close(held, PPB // 2))
    done(venue.margin("bob", 1, -1))
    venue.order(position=f"{BTC}-1")

    rows, events = len(venue.rows), venue.next()

    assert len(venue.rows) == rows + 1
    assert [event.order and event.order.number for event in events_of(PositionReduced, events)] == [2]
    assert ends(events) == [(number, "position_closed") for number in range(3, 16)]
    market = venue.markets[BTC]
    assert (market.orders.by_number, market.orders.by_position, market.orders.orphans) == ({}, {}, set())
    assert (len(market.exits), market.orders.reserved) == (0, 0)


def test_an_exit_comes_before_a_close_that_waits_for_the_same_price() -> None:
    venue = Waiting()
    held = venue.hold()
    done(venue.close(held))
    done(leave(venue, "bob", 1, STOP, DOWN, PPB))
    events = venue.next(DOWN)
    assert [each.reason for each in reductions(events)] == [CloseReason.STOP_LOSS]
    assert ends(events) == [(2, "position_closed")]


def test_exits_wait_or_do_not_as_the_market_is_changed() -> None:
    venue = Waiting()
    venue.hold()
    done(leave(venue, "bob", 1, STOP, DOWN))
    assert len(venue.markets[BTC].exits) == 0
    for execution, count in ((Execution.IMMEDIATE, 1), (Execution.NEXT_PRICE, 0), (Execution.IMMEDIATE, 1)):
        done(venue.send(UpdateMarket(ticker=BTC, changes=ParamChanges(execution=execution))))
        assert len(venue.markets[BTC].exits) == count
        done(venue.send(UpdateMarket(ticker=BTC, changes=ParamChanges(taker_fee=Ppb(PPB // 2_000 + count)))))
        assert len(venue.markets[BTC].exits) == count
        assert len(Market.from_image(venue.markets[BTC].image()).exits) == count
    assert len(reductions(venue.feed(DOWN))) == 1
    assert full_state(venue.replayed().ledger, venue.replayed().markets) == full_state(venue.ledger, venue.markets)


@pytest.mark.parametrize("kind", [LIMIT, STOP])
def test_a_quote_where_orders_wait_says_that_the_order_rests_whatever_the_price_is(kind: OrderKind) -> None:
    venue = Waiting()
    fields: dict[str, Any] = {"ticker": BTC, "user": "bob", "order": kind, "side": LONG, "price": Ticks(UP)}
    command = PlaceOrder(**fields, size=Micros(900 * MICRO), leverage=5)
    quote = quote_order(venue.markets[BTC], command, Given(venue.at, held=AMOUNT_MAX))
    assert not isinstance(quote, Rejected)
    assert quote.status is OrderStatus.OPEN
    (placed,) = done(venue.send(command))
    assert isinstance(placed, OrderPlaced)
    assert placed.order == replace(quote.order, referrer="ann")
    assert len(venue.next(quote.index)) == 2, "the price and the fill"


def falling(share: int, price: int = BTC_PRICE * 9_939 // 10_000) -> tuple[Books, list[PositionReduced]]:
    """Ann's position is due in a market that liquidates in part, and so is a stop for a share of it."""
    venue = Books((index_market(partial_liquidation=Micros(1)), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=100))
    done(leave(venue, "ann", 1, STOP, BTC_PRICE * 996 // 1_000, share))
    done(leave(venue, "ann", 1, STOP, BTC_PRICE * 9 // 10, PPB))
    return venue, reductions(venue.price(price))


def test_a_stop_for_a_share_does_not_turn_a_liquidation_in_part_into_a_whole_one() -> None:
    venue, (part, stopped) = falling(PPB // 4)
    assert (part.reason, part.kept > 0, part.order) == (CloseReason.LIQUIDATION, True, None)
    assert (stopped.reason, stopped.order and stopped.order.number) == (CloseReason.STOP_LOSS, 1)
    assert abs(stopped.fill.lots) == part.position.lots // 4
    assert sorted(venue.markets[BTC].orders.by_number) == [2], "the position has its other exit still"


def test_a_stop_for_all_leaves_in_the_liquidations_turn_as_a_stop() -> None:
    venue, (gone,) = falling(PPB)
    assert (gone.reason, gone.position.lots, gone.kept) == (CloseReason.STOP_LOSS, 0, 0)
    assert gone.order is not None
    assert venue.markets[BTC].orders.by_number == {}


def test_where_no_part_would_do_a_stop_for_a_share_takes_all() -> None:
    venue, (gone,) = falling(PPB // 4, BTC_PRICE * 98 // 100)
    assert (gone.reason, gone.position.lots, gone.bad_debt > 0) == (CloseReason.STOP_LOSS, 0, True)
    assert venue.markets[BTC].orders.by_number == {}


def test_a_cancel_timer_ends_entries_and_leaves_exits() -> None:
    venue = Books((index_market(house_deposit=10_000 * MICRO), BTC_PRICE))
    venue.add_user("bob")
    opened(venue.open("bob", LONG, 1_000 * MICRO))
    done(leave(venue, "bob", 1, STOP, DOWN))
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    done(venue.send(SetCancelTimer(ticker=BTC, user="bob", after_ms=1_000)))
    venue.at = Millis(venue.at + 1_000)
    assert ends(done(venue.send(ObserveTime(ticker=BTC)))) == [(2, "cancel_timer")]
    assert venue.markets[BTC].cancel_timers.by_user == {}
    assert sorted(venue.markets[BTC].orders.by_number) == [1]


def test_exits_that_a_crash_has_left_behind_their_position_end_at_the_next_start() -> None:
    venue = Books((index_market(house_deposit=10_000 * MICRO), BTC_PRICE))
    venue.add_user("bob")
    opened(venue.open("bob", LONG, 1_000 * MICRO))
    for price in (DOWN, DOWN - 1):
        done(leave(venue, "bob", 1, STOP, price))
    image = replace(venue.markets[BTC].image(), positions=())
    assert market_flaw(BTC, image) is None
    market = Market.from_image(image)
    (row,) = MarketSide(BTC, market).finish()
    assert ends(row.events) == [(1, "position_closed"), (2, "position_closed")]
    assert len(market.exits) == 0


@pytest.mark.parametrize("kind", [OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP])
@pytest.mark.parametrize("share", [PPB, PPB - 1])
def test_exits_whom_the_house_cannot_pay_cost_no_close_that_comes_to_nothing(kind: OrderKind, share: int) -> None:
    """Each command looks at all that are due: there may be a hundred thousand."""
    venue = books(house_credit_limit=Micros(0))
    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(-10_000 * MICRO))))
    trails = kind is OrderKind.TRAILING_STOP
    opened(venue.open("bob", LONG, 40_000 * MICRO))
    terms: dict[str, Any] = {"callback": Ppb(PPB // 100)} if trails else {}
    done(leave(venue, "bob", 1, kind, 0 if trails else UP, share, **terms))

    with patch("perps.rules.orders.exits.reduce", side_effect=AssertionError):
        for price in (UP * 2, UP * 3 // 2, UP * 3 // 2 + 1):
            assert reductions(venue.price(price)) == []

    assert len(venue.markets[BTC].exits) == 1
    outcome = venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(100_000 * MICRO)))
    assert len(reductions(outcome)) == 1


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("price", [UP, DOWN, UP + 7])
def test_the_gain_of_a_part_is_what_its_close_brings(side: Side, price: int) -> None:
    venue = holding(side)
    done(venue.price(price))
    market = venue.markets[BTC]
    position = market.positions[1]
    for count in (1, 7, abs(position.lots) // 3, abs(position.lots) - 1, abs(position.lots)):
        assert gain_of_part(market, position, count) == reduce(market, position, count, CloseReason.OWNER).pnl
    assert gain_of_part(market, position, abs(position.lots)) == gain(market, position)


THIN: dict[str, Any] = {
    "skew_scale": Lots(20_000),
    "max_skew": Lots(2_000),
    "max_open_interest": Lots(2_000),
    "maintenance_rate": Ppb(PPB * 21 // 100),
    "max_leverage": 2,
}


@pytest.mark.parametrize(("size", "leverage", "fixed", "terms"), [(1_000, 10, 50, {}), (9_900, 2, 300, THIN)])
def test_a_share_whose_rest_could_not_stay_waits_until_the_house_can_pay_for_all(
    size: int, leverage: int, fixed: int, terms: dict[str, Any]
) -> None:
    """Nine tenths leave less than the fixed maintenance behind. In a thin market they gain more than all."""
    fixed *= MICRO
    venue = holding(size=size, leverage=leverage, house_credit_limit=Micros(0), maintenance_fixed=fixed, **terms)
    done(leave(venue, "bob", 1, PROFIT, UP, PPB * 9 // 10))
    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(-venue.markets[BTC].house))))
    assert reductions(venue.price(UP)) == []
    market = venue.markets[BTC]
    position = market.positions[1]
    part, whole = gain_of_part(market, position, abs(position.lots) * 9 // 10), gain(market, position)
    assert (part > whole) is (terms is THIN)

    for house in (min(part, whole - 1), whole - 1):
        amount = Micros(house - venue.markets[BTC].house)
        outcome = venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=amount)) if amount else ()
        assert reductions(outcome) == []
    (gone,) = reductions(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(1))))
    assert (gone.position.lots, gone.pnl, venue.markets[BTC].house) == (0, whole, 0)
