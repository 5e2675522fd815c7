"""Exit orders: a share of a position that leaves at a price, whatever else happens to the position."""

from typing import Any

import pytest

from perps.commands import (
    CancelOrder,
    CancelOrders,
    ClosePosition,
    FundMarket,
    HouseAccount,
    ObserveTime,
    OrderKind,
    PlaceExit,
    ReplaceOrder,
    SettleMarket,
    Side,
)
from perps.events import CloseReason, Events, OrderCancelled, OrderPlaced, OrderReplaced, PositionReduced
from perps.market.position import liquidation_price, position_id
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.orders.terms import EXITS_PER_POSITION_MAX
from perps.sequencer import MarketSide
from perps.units import MICRO, PPB, Lots, Micros, Millis, Nano, Ppb, Ticks, div_ceil
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    START_MS,
    STORY,
    Books,
    done,
    events_of,
    full_state,
    opened,
    reductions,
    refused,
)
from tests.perps.rules.orders.resting import DOWN, LONG, SHORT, STOP, UP, books, cancel, place

PROFIT = OrderKind.TAKE_PROFIT
HALF = Ppb(PPB // 2)


def leave(
    venue: Books, user: str, number: int, kind: OrderKind, price: int, share: int = HALF, **more: Any
) -> Events | Rejected:
    ticker = more.pop("ticker", BTC)
    name = more.pop("position_id", position_id(ticker, number))
    fields: dict[str, Any] = {"ticker": ticker, "user": user, "position_id": name}
    return venue.send(PlaceExit(**fields, order=kind, price=Ticks(price), share=Ppb(share), **more))


def holding(side: Side = LONG, size: int = 1_000, leverage: int = 10, **changes: Any) -> Books:
    """Bob has a position, number 1."""
    venue = books(**changes)
    opened(venue.open("bob", side, size * MICRO, leverage=leverage))
    return venue


@pytest.mark.parametrize("gap", [0, 1, 10_000])
@pytest.mark.parametrize(
    ("side", "kind", "level", "toward"),
    [(LONG, PROFIT, UP, 1), (LONG, STOP, DOWN, -1), (SHORT, PROFIT, DOWN, -1), (SHORT, STOP, UP, 1)],
)
def test_an_exit_closes_its_share_at_its_price_and_not_before(
    side: Side, kind: OrderKind, level: int, toward: int, gap: int
) -> None:
    venue, twin = holding(side), holding(side)
    (resting,) = done(leave(venue, "bob", 1, kind, level))
    assert isinstance(resting, OrderPlaced)
    assert (resting.order.side, resting.order.reserve, resting.order.size) == (side, 0, 0)
    assert events_of(PositionReduced, venue.price(level - toward)) == []
    before = venue.markets[BTC].positions[1]
    (reduced,) = reductions(venue.price(level + toward * gap))

    assert reduced.order == resting.order
    assert reduced.reason is (CloseReason.STOP_LOSS if kind is STOP else CloseReason.TAKE_PROFIT)
    assert reduced.position.lots == before.lots + reduced.fill.lots
    assert abs(reduced.fill.lots) == abs(before.lots) // 2
    assert len(venue.markets[BTC].orders) == len(venue.markets[BTC].exits) == 0
    done(twin.price(level - toward))
    done(twin.price(level + toward * gap))
    by_hand = twin.close(opened_of(twin), HALF)
    (same,) = reductions(by_hand)
    assert (same.position, same.fill, same.fee, same.pnl) == (reduced.position, reduced.fill, reduced.fee, reduced.pnl)


def opened_of(venue: Books) -> Any:
    """Something that names position 1 to ``Books.close``."""
    return type("Opened", (), {"position": venue.markets[BTC].positions[1]})


@pytest.mark.parametrize(("share", "closed"), [(1, 1), (PPB // 3, 33), (HALF, 50), (PPB - 1, 99), (PPB, 100)])
def test_a_share_is_of_what_the_position_has_by_then_rounded_down_and_at_least_a_lot(share: int, closed: int) -> None:
    venue = holding()
    done(leave(venue, "bob", 1, PROFIT, UP, share))
    done(venue.send(ClosePosition(ticker=BTC, user="bob", position_id=f"{BTC}-1", share=Ppb(PPB), lots=Lots(99))))
    assert venue.markets[BTC].positions[1].lots == 100
    (reduced,) = reductions(venue.price(UP))
    assert abs(reduced.fill.lots) == closed


def test_exits_and_triggers_leave_in_the_order_in_which_the_price_meets_them() -> None:
    venue = holding()
    opened(venue.open("ann", LONG, 1_000 * MICRO, stop_loss=DOWN - 10))
    for price in (DOWN - 20, DOWN, DOWN - 5):
        done(leave(venue, "bob", 1, STOP, price, PPB // 10))
    left = reductions(venue.price(DOWN - 30))
    assert [(each.position.user, each.order.number if each.order else None) for each in left] == [
        ("bob", 2),
        ("bob", 3),
        ("ann", None),
        ("bob", 1),
    ]


def ended_with_it(outcome: Events | Rejected) -> list[int]:
    """Numbers of the orders that ended because their position did."""
    return [each.order.number for each in events_of(OrderCancelled, outcome) if each.reason == "position_closed"]


def test_whichever_exit_closes_a_position_ends_the_other_right_behind_it() -> None:
    venue = holding()
    done(leave(venue, "bob", 1, PROFIT, UP, PPB))
    done(leave(venue, "bob", 1, STOP, DOWN, PPB))
    reduced, ended = done(venue.price(UP))[1:]
    assert isinstance(reduced, PositionReduced)
    assert isinstance(ended, OrderCancelled)
    assert (reduced.order and reduced.order.number, ended.order.number, ended.reason) == (1, 2, "position_closed")
    assert venue.markets[BTC].orders.by_number == {}
    assert len(venue.markets[BTC].exits) == 0
    assert reductions(venue.price(DOWN)) == []


@pytest.mark.parametrize("how", ["owner", "trigger", "liquidation", "settlement"])
def test_with_its_position_every_exit_ends_in_the_same_row(how: str) -> None:
    venue = holding(leverage=50)
    for price in (DOWN, DOWN - 1, UP * 2):
        done(leave(venue, "bob", 1, STOP if price < BTC_PRICE else PROFIT, price))
    rows = len(venue.rows)
    if how == "owner":
        outcome = venue.close(opened_of(venue))
    elif how == "trigger":
        outcome = venue.price(UP * 3)
        assert [each.order and each.order.number for each in reductions(outcome)] == [3]
        outcome = venue.close(opened_of(venue))
        rows += 1
    elif how == "liquidation":
        for number in (1, 2):
            done(cancel(venue, "bob", number))
        rows += 2
        outcome = venue.price(BTC_PRICE // 2)
    else:
        done(venue.mode(Mode.HALTED))
        rows += 1
        outcome = venue.send(SettleMarket(ticker=BTC))
    assert len(venue.rows) == rows + 1
    ended = [each.order.number for each in events_of(OrderCancelled, outcome)]
    assert ended == {"owner": [1, 2, 3], "trigger": [1, 2], "liquidation": [3], "settlement": [1, 2, 3]}[how]
    assert ended_with_it(outcome) == ([] if how == "settlement" else ended)
    assert (len(venue.markets[BTC].orders), len(venue.markets[BTC].exits)) == (0, 0)
    assert full_state(venue.replayed().ledger, venue.replayed().markets) == full_state(venue.ledger, venue.markets)


def test_a_share_whose_rest_would_be_liquidated_closes_all() -> None:
    """The close of half of a crowded side moves the mark to where the other half is liquidated."""
    venue = books()
    bob = opened(venue.open("bob", LONG, 3_500 * MICRO, ticker=STORY, leverage=5)).position
    market = venue.markets[STORY]
    edge = liquidation_price(bob, market.params, market.funding_index)
    done(leave(venue, "bob", 1, STOP, edge + 2, ticker=STORY))
    scale = market.params.skew_scale
    index = div_ceil((edge + 1) * scale, scale + market.skew)
    (reduced,) = reductions(venue.price(index, ticker=STORY))
    assert (reduced.fill.quote_before, reduced.fill.quote_after < edge) == (edge + 1, True)
    assert (reduced.reason, reduced.position.lots) == (CloseReason.STOP_LOSS, 0)
    assert reduced.fee == div_ceil(abs(reduced.fill.cost) * market.params.taker_fee, PPB)


def test_a_stop_that_is_due_with_the_liquidation_leaves_as_a_stop_and_pays_its_fee() -> None:
    venue, twin = holding(leverage=50), holding(leverage=50)
    done(leave(venue, "bob", 1, STOP, DOWN - 1, PPB // 10))
    done(leave(venue, "bob", 1, STOP, DOWN, PPB // 10))
    outcome = venue.price(BTC_PRICE * 98 // 100 - 500)
    (stopped,) = reductions(outcome)
    (liquidated,) = reductions(twin.price(BTC_PRICE * 98 // 100 - 500))
    assert (stopped.reason, stopped.order and stopped.order.number) == (CloseReason.STOP_LOSS, 2)
    assert ended_with_it(outcome) == [1]
    assert liquidated.reason is CloseReason.LIQUIDATION
    assert (stopped.fee, stopped.settlement) == (liquidated.fee, liquidated.settlement)


def test_an_exit_beyond_its_bound_ends_and_the_position_stands() -> None:
    venue = holding()
    bound = Nano(DOWN * venue.markets[BTC].params.tick_size // 1000)
    done(leave(venue, "bob", 1, STOP, DOWN, acceptable_price=bound))
    (ended,) = events_of(OrderCancelled, venue.price(DOWN - 100))
    assert (ended.order.number, ended.reason) == (1, "price_beyond_limit")
    assert venue.markets[BTC].positions[1].lots > 0


def test_an_exit_whose_gain_the_house_cannot_pay_waits_until_it_can() -> None:
    venue = books(house_credit_limit=Micros(0))
    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(-10_000 * MICRO))))
    opened(venue.open("bob", LONG, 40_000 * MICRO))
    done(leave(venue, "bob", 1, PROFIT, UP, PPB))
    assert reductions(venue.price(UP)) == []
    assert len(venue.markets[BTC].orders) == 1
    (reduced,) = reductions(
        venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(10_000 * MICRO)))
    )
    assert reduced.order is not None


def test_an_exit_expires_at_an_observation_and_is_not_filled_after_its_time() -> None:
    venue = holding()
    for wait in (3, 5):
        done(leave(venue, "bob", 1, PROFIT, UP, expires_at=Millis(venue.at + wait)))
    venue.at = Millis(venue.at + 4)
    (ended,) = done(venue.send(ObserveTime(ticker=BTC)))
    assert isinstance(ended, OrderCancelled)
    assert (ended.order.number, ended.reason) == (1, "expired")
    venue.at = Millis(venue.at + 4)
    outcome = venue.price(UP)
    assert [each.reason for each in events_of(OrderCancelled, outcome)] == ["expired"]
    assert reductions(outcome) == []


def test_an_exit_is_replaced_and_cancelled_as_other_orders_are() -> None:
    venue = holding()
    done(leave(venue, "bob", 1, STOP, DOWN))
    fields: dict[str, Any] = {"ticker": BTC, "user": "bob", "order_id": f"{BTC}-o1"}
    (replaced,) = done(venue.send(ReplaceOrder(**fields, price=Ticks(DOWN - 3), share=Ppb(PPB))))
    assert isinstance(replaced, OrderReplaced)
    assert (replaced.order.price, replaced.order.share, replaced.transfers) == (DOWN - 3, PPB, ())
    late = refused(venue.send(ReplaceOrder(**fields, price=Ticks(UP))))
    assert late.code is RejectCode.ORDER_WOULD_TRIGGER
    for more in ({"size": Micros(5)}, {"leverage": 3}, {"take_profit": Ticks(5)}, {"share": Ppb(0)}):
        wrong = refused(venue.send(ReplaceOrder(**fields, **more)))
        assert wrong.code is RejectCode.VALIDATION_ERROR, more
    done(place(venue, "bob", STOP, LONG, UP))
    entry = ReplaceOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o2", share=HALF)
    assert refused(venue.send(entry)).code is RejectCode.VALIDATION_ERROR
    assert reductions(venue.price(DOWN - 2)) == []
    done(venue.send(CancelOrder(**fields)))
    assert (len(venue.markets[BTC].exits), venue.markets[BTC].orders.by_position) == (0, {})
    done(leave(venue, "bob", 1, STOP, DOWN - 90))
    done(venue.send(CancelOrders(ticker=BTC, user="bob")))
    assert len(venue.markets[BTC].orders) == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": OrderKind.LIMIT}, RejectCode.VALIDATION_ERROR),
        ({"share": 0}, RejectCode.VALIDATION_ERROR),
        ({"share": PPB + 1}, RejectCode.VALIDATION_ERROR),
        ({"price": 0}, RejectCode.VALIDATION_ERROR),
        ({"expires_at": Millis(START_MS)}, RejectCode.VALIDATION_ERROR),
        ({"position_id": f"{BTC}-7"}, RejectCode.POSITION_NOT_FOUND),
        ({"position_id": f"{BTC}-01"}, RejectCode.POSITION_NOT_FOUND),
        ({"user": "ann"}, RejectCode.FORBIDDEN),
        ({"price": UP}, RejectCode.ORDER_WOULD_TRIGGER),
        ({"price": BTC_PRICE}, RejectCode.ORDER_WOULD_TRIGGER),
        ({"kind": PROFIT}, RejectCode.ORDER_WOULD_TRIGGER),
    ],
)
def test_what_can_be_no_exit_is_refused(changes: dict[str, Any], code: RejectCode) -> None:
    venue = holding()
    asked: dict[str, Any] = {"user": "bob", "number": 1, "kind": STOP, "price": DOWN, **changes}
    assert refused(leave(venue, **asked)).code is code
    assert len(venue.markets[BTC].orders) == 0


def test_an_exit_of_what_is_closed_is_refused_behind_the_markets_doors() -> None:
    venue = holding()
    done(venue.close(opened_of(venue)))
    assert refused(leave(venue, "bob", 1, STOP, DOWN)).code is RejectCode.POSITION_CLOSED
    done(venue.mode(Mode.HALTED))
    assert refused(leave(venue, "bob", 1, STOP, DOWN)).code is RejectCode.MARKET_HALTED


def test_exits_are_placed_and_leave_where_nothing_may_be_opened() -> None:
    venue = holding()
    done(venue.mode(Mode.REDUCE_ONLY))
    done(leave(venue, "bob", 1, STOP, DOWN))
    assert len(reductions(venue.price(DOWN))) == 1
    done(leave(venue, "bob", 1, STOP, DOWN - 50))
    done(venue.mode(Mode.HALTED))
    assert reductions(venue.price(DOWN - 90)) == []
    done(venue.mode(Mode.REDUCE_ONLY))
    assert len(venue.markets[BTC].orders) == 0


def test_a_position_has_ten_exits_at_most() -> None:
    venue = holding()
    for step in range(EXITS_PER_POSITION_MAX):
        done(leave(venue, "bob", 1, STOP, DOWN - step))
    full = refused(leave(venue, "bob", 1, STOP, DOWN))
    facts = {"exits_of_the_position": 10, "maximum": 10}
    assert (full.code, dict(full.facts)) == (RejectCode.TOO_MANY_OPEN_ORDERS, facts)


def test_exits_that_a_crash_cut_off_leave_at_the_next_start() -> None:
    venue = holding()
    done(leave(venue, "bob", 1, STOP, DOWN))
    image = venue.markets[BTC].image()
    market = type(venue.markets[BTC]).from_image(image)
    market.index_price = Ticks(DOWN)
    (row,) = MarketSide(BTC, market).finish()
    (reduced,) = row.events
    assert isinstance(reduced, PositionReduced)
    assert reduced.order is not None


def test_a_follower_knows_exits_and_waits_for_none() -> None:
    venue = holding()
    done(leave(venue, "bob", 1, STOP, DOWN))
    follower = venue.markets[BTC].follower()
    assert (follower.orders.by_position, len(follower.exits)) == ({1: {1}}, 0)
