"""Trailing stops in a market: what moves their best mark, when they leave, and with what they end."""

from typing import Any

import pytest

from perps.commands import (
    ClosePosition,
    FundMarket,
    HouseAccount,
    ObserveTime,
    OrderKind,
    PlaceExit,
    PlaceOrder,
    PriceSource,
    ReplaceOrder,
    SettleMarket,
    Side,
    UpdatePrice,
)
from perps.events import CloseReason, Events, OrderCancelled, OrderPlaced, OrderReplaced, PositionReduced
from perps.market.order import Order
from perps.market.position import position_id
from perps.market.state import Market
from perps.market.trailing import TRAILING_PER_MARKET_MAX, trailing_price
from perps.params import Execution, Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.orders import terms
from perps.sequencer import MarketSide
from perps.units import MICRO, PPB, Micros, Millis, Nano, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    STORY,
    Books,
    done,
    events_of,
    full_state,
    opened,
    reductions,
    refused,
)
from tests.perps.rules.orders.resting import LONG, SHORT, STOP, books, cancel
from tests.perps.rules.orders.test_exit_orders import ended_with_it, holding, leave, opened_of

TRAILING = OrderKind.TRAILING_STOP
TWO = Ppb(PPB // 50)
"""2 %."""


def trail(venue: Books, user: str = "bob", number: int = 1, callback: int = TWO, **more: Any) -> Events | Rejected:
    ticker = more.pop("ticker", BTC)
    name = more.pop("position_id", position_id(ticker, number))
    fields: dict[str, Any] = {"ticker": ticker, "user": user, "position_id": name, "share": Ppb(PPB), "price": Ticks(0)}
    return venue.send(PlaceExit(**{**fields, "order": TRAILING, "callback": Ppb(callback), **more}))


def there(venue: Books, number: int = 1, ticker: str = BTC) -> Order:
    orders = venue.markets[ticker].orders
    return orders.present(orders.by_number[number])


def replays(venue: Books) -> None:
    state = venue.replayed()
    assert full_state(state.ledger, state.markets) == full_state(venue.ledger, venue.markets)
    for ticker, market in venue.markets.items():
        image = market.image()
        restored = Market.from_image(type(image).from_chunks(list(image.chunks())))
        assert sorted(restored.orders.all(), key=str) == sorted(market.orders.all(), key=str), ticker


@pytest.mark.parametrize("gap", [0, 1, 30_000])
@pytest.mark.parametrize("share", [PPB, PPB // 2, 1])
@pytest.mark.parametrize(("side", "sign"), [(LONG, 1), (SHORT, -1)])
def test_it_follows_the_best_mark_and_leaves_a_callback_behind_it(side: Side, sign: int, share: int, gap: int) -> None:
    venue, twin = holding(side), holding(side)
    (placed,) = done(trail(venue, share=Ppb(share)))
    assert isinstance(placed, OrderPlaced)
    assert (placed.order.side, placed.order.reserve, placed.transfers) == (side, 0, ())
    assert (placed.order.extreme, placed.order.price) == (BTC_PRICE, trailing_price(side, Ticks(BTC_PRICE), TWO))
    best = BTC_PRICE + sign * 20_011
    path = [BTC_PRICE - sign * 5_000, BTC_PRICE + sign * 7_000, best, best - sign * 9, best - sign * 1_000]
    stop = trailing_price(side, Ticks(best), TWO)
    for price in (*path, stop + sign):
        assert reductions(venue.price(price)) == []
        done(twin.price(price))
    assert (there(venue).extreme, there(venue).price) == (best, stop)
    replays(venue)
    (reduced,) = reductions(venue.price(stop - sign * gap))
    assert reduced.reason is CloseReason.TRAILING_STOP
    assert reduced.order is not None
    assert (reduced.order.extreme, reduced.order.price) == (best, stop)
    done(twin.price(stop - sign * gap))
    (same,) = reductions(twin.close(opened_of(twin), share))
    assert (same.position, same.fill, same.fee, same.pnl) == (reduced.position, reduced.fill, reduced.fee, reduced.pnl)
    assert (len(venue.markets[BTC].orders), len(venue.markets[BTC].orders.trailing)) == (0, 0)
    assert len(venue.markets[BTC].exits) == 0
    replays(venue)


@pytest.mark.parametrize(("side", "sign"), [(LONG, 1), (SHORT, -1)])
def test_trading_moves_the_best_mark_where_trades_make_the_price(side: Side, sign: int) -> None:
    """The trade of another moves the mark; its way back sets the stop off."""
    venue = books()
    opened(venue.open("bob", side, 100 * MICRO, ticker=STORY, leverage=2))
    done(trail(venue, ticker=STORY, callback=PPB // 100))
    before = there(venue, ticker=STORY)
    other = opened(venue.open("cid", side, 2_500 * MICRO, ticker=STORY, leverage=2))
    after = there(venue, ticker=STORY)
    assert sign * (after.extreme - before.extreme) > 0
    assert after.extreme == venue.markets[STORY].mark
    replays(venue)
    left = reductions(venue.close(other, ticker=STORY))
    assert [each.reason for each in left] == [CloseReason.OWNER, CloseReason.TRAILING_STOP]
    assert left[1].order == after
    replays(venue)


def test_exits_of_all_kinds_leave_in_the_order_in_which_the_price_meets_them() -> None:
    venue = holding()
    opened(venue.open("ann", LONG, 1_000 * MICRO, stop_loss=Ticks(BTC_PRICE * 97 // 100)))
    done(trail(venue, callback=PPB // 25, share=Ppb(PPB // 10)))
    done(trail(venue, callback=PPB // 50, share=Ppb(PPB // 10)))
    done(leave(venue, "bob", 1, STOP, BTC_PRICE * 99 // 100, PPB // 10))
    done(leave(venue, "bob", 1, STOP, BTC_PRICE * 98 // 100, PPB // 10))
    left = reductions(venue.price(BTC_PRICE * 95 // 100))
    assert [(each.position.user, each.order.number if each.order else None) for each in left] == [
        ("bob", 3),
        ("bob", 2),  # at one price the lower number
        ("bob", 4),
        ("ann", None),
        ("bob", 1),
    ]


@pytest.mark.parametrize("how", ["owner", "stop", "liquidation", "settlement"])
def test_with_its_position_it_ends_in_the_same_row(how: str) -> None:
    venue = holding(leverage=50)
    done(trail(venue, callback=PPB // 2))
    done(venue.price(BTC_PRICE + 1_000))
    done(venue.price(BTC_PRICE))
    rows = len(venue.rows)
    if how == "owner":
        outcome = venue.close(opened_of(venue))
    elif how == "stop":
        done(leave(venue, "bob", 1, STOP, BTC_PRICE - 1, PPB))
        rows += 1
        outcome = venue.price(BTC_PRICE - 1)
    elif how == "liquidation":
        outcome = venue.price(BTC_PRICE * 9 // 10)
    else:
        done(venue.mode(Mode.HALTED))
        rows += 1
        outcome = venue.send(SettleMarket(ticker=BTC))
    assert len(venue.rows) == rows + 1
    (ended,) = events_of(OrderCancelled, outcome)
    assert (ended.order.extreme, ended.reason) == (
        BTC_PRICE + 1_000,
        "settled" if how == "settlement" else "position_closed",
    )
    assert len(venue.markets[BTC].orders.trailing) == 0
    replays(venue)


def test_one_that_is_due_with_the_liquidation_leaves_as_a_trailing_stop_and_pays_its_fee() -> None:
    venue, twin = holding(leverage=50), holding(leverage=50)
    done(trail(venue, callback=PPB // 100))
    price = BTC_PRICE * 98 // 100 - 500
    (stopped,), (liquidated,) = reductions(venue.price(price)), reductions(twin.price(price))
    assert (stopped.reason, stopped.order and stopped.order.number) == (CloseReason.TRAILING_STOP, 1)
    assert liquidated.reason is CloseReason.LIQUIDATION
    assert (stopped.fee, stopped.settlement) == (liquidated.fee, liquidated.settlement)


def test_its_own_fill_moves_no_other_ones_best_mark_the_wrong_way() -> None:
    """Two shorts of a quote-made market: the first to leave buys, so the mark rises; the other's best stays the low."""
    venue = books()
    for user in ("bob", "cid"):
        opened(venue.open(user, SHORT, 1_500 * MICRO, ticker=STORY, leverage=2))
    for number, user, callback in ((1, "bob", PPB // 50), (2, "cid", PPB // 10)):
        done(trail(venue, user, number, callback, ticker=STORY))
    low = venue.markets[STORY].index_price * 95 // 100
    done(venue.price(low, ticker=STORY))
    best = there(venue, 2, STORY).extreme
    assert best == venue.markets[STORY].mark
    (first,) = reductions(venue.price(low * 103 // 100, ticker=STORY))
    assert (first.position.user, there(venue, 2, STORY).extreme) == ("bob", best)
    replays(venue)


def test_one_whose_gain_the_house_cannot_pay_waits_and_follows_again_when_the_mark_is_a_new_best_one() -> None:
    venue = books(house_credit_limit=Micros(0))
    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(-10_000 * MICRO))))
    opened(venue.open("bob", LONG, 40_000 * MICRO))
    done(venue.price(BTC_PRICE * 11 // 10))
    done(trail(venue))
    best = BTC_PRICE * 11 // 10
    stop = trailing_price(LONG, Ticks(best), TWO)
    assert reductions(venue.price(stop)) == []
    assert (there(venue).extreme, len(venue.markets[BTC].exits)) == (best, 1)
    replays(venue)
    assert reductions(venue.price(best + 500)) == []
    assert (there(venue).extreme, len(venue.markets[BTC].exits)) == (best + 500, 0)
    assert reductions(venue.price(stop + 1_000)) == []
    done(venue.price(stop))
    replays(venue)
    outcome = venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(10_000 * MICRO)))
    (reduced,) = reductions(outcome)
    assert reduced.reason is CloseReason.TRAILING_STOP


def test_a_fill_beyond_its_bound_ends_it_and_its_time_does_too() -> None:
    venue = holding()
    bound = Nano(BTC_PRICE * venue.markets[BTC].params.tick_size // 1000)
    done(trail(venue, acceptable_price=bound))
    (ended,) = events_of(OrderCancelled, venue.price(BTC_PRICE * 97 // 100))
    assert (ended.order.number, ended.reason, ended.order.extreme) == (1, "price_beyond_limit", BTC_PRICE)
    done(trail(venue, expires_at=Millis(venue.at + 5)))
    done(venue.price(BTC_PRICE * 98 // 100))
    venue.at = Millis(venue.at + 10)
    (over,) = done(venue.send(ObserveTime(ticker=BTC)))
    assert isinstance(over, OrderCancelled)
    assert (over.reason, over.order.extreme) == ("expired", BTC_PRICE * 98 // 100)
    assert venue.markets[BTC].positions[1].lots > 0


def test_a_replacement_keeps_the_best_mark() -> None:
    venue = holding()
    done(trail(venue))
    done(venue.price(BTC_PRICE + 50_000))
    done(venue.price(BTC_PRICE + 40_000))
    fields: dict[str, Any] = {"ticker": BTC, "user": "bob", "order_id": f"{BTC}-o1"}
    (replaced,) = done(venue.send(ReplaceOrder(**fields, callback=Ppb(PPB // 10), share=Ppb(PPB // 2))))
    assert isinstance(replaced, OrderReplaced)
    best = Ticks(BTC_PRICE + 50_000)
    assert (replaced.order.extreme, replaced.order.price) == (best, trailing_price(LONG, best, Ppb(PPB // 10)))
    assert (replaced.order.callback, replaced.order.share) == (PPB // 10, PPB // 2)
    late = refused(venue.send(ReplaceOrder(**fields, callback=Ppb(PPB // 1_000))))
    assert late.code is RejectCode.ORDER_WOULD_TRIGGER
    for more in ({"price": Ticks(5)}, {"size": Micros(5)}, {"callback": Ppb(0)}, {"callback": Ppb(PPB)}):
        assert refused(venue.send(ReplaceOrder(**fields, **more))).code is RejectCode.VALIDATION_ERROR, more
    replays(venue)
    done(leave(venue, "bob", 1, STOP, BTC_PRICE - 5))
    other: dict[str, Any] = {**fields, "order_id": f"{BTC}-o2"}
    assert refused(venue.send(ReplaceOrder(**other, callback=TWO))).code is RejectCode.VALIDATION_ERROR
    (cancelled,) = done(cancel(venue, "bob", 1))
    assert isinstance(cancelled, OrderCancelled)
    assert cancelled.order == replaced.order
    assert len(venue.markets[BTC].orders.trailing) == 0


def test_in_a_halted_market_it_follows_and_does_not_leave() -> None:
    venue = holding()
    done(trail(venue))
    done(venue.mode(Mode.HALTED))
    done(venue.price(BTC_PRICE + 5_000))
    assert reductions(venue.price(BTC_PRICE * 9 // 10)) == []
    assert there(venue).extreme == BTC_PRICE + 5_000
    (reduced,) = reductions(venue.mode(Mode.REDUCE_ONLY))
    assert reduced.order is not None
    assert (reduced.order.extreme, reduced.reason) == (BTC_PRICE + 5_000, CloseReason.TRAILING_STOP)


def test_where_orders_wait_for_the_next_price_an_older_one_sets_none_off() -> None:
    venue = books(execution=Execution.NEXT_PRICE)
    done(venue.open("bob", LONG, 1_000 * MICRO))
    venue.at = Millis(venue.at + 10_000)
    done(say(venue, BTC_PRICE, venue.at))
    venue.at = Millis(venue.at + 10_000)
    done(trail(venue))
    old, low = Millis(venue.at - 9_000), BTC_PRICE * 95 // 100
    assert reductions(say(venue, low, old)) == []
    assert there(venue, 2).extreme == BTC_PRICE
    replays(venue)
    venue.at = Millis(venue.at + 20_000)
    (reduced,) = reductions(say(venue, low, venue.at))
    assert reduced.reason is CloseReason.TRAILING_STOP
    replays(venue)


def say(venue: Books, price: int, at: int) -> Events | Rejected:
    return venue.send(UpdatePrice(ticker=BTC, price=Ticks(price), source=PriceSource.ORACLE, source_at=Millis(at)))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"callback": 0}, RejectCode.VALIDATION_ERROR),
        ({"callback": -1}, RejectCode.VALIDATION_ERROR),
        ({"callback": PPB}, RejectCode.VALIDATION_ERROR),
        ({"callback": PPB - 1}, RejectCode.VALIDATION_ERROR),  # below one tick
        ({"price": Ticks(BTC_PRICE - 5)}, RejectCode.VALIDATION_ERROR),
        ({"order": STOP, "price": Ticks(BTC_PRICE - 5)}, RejectCode.VALIDATION_ERROR),
        ({"order": OrderKind.LIMIT}, RejectCode.VALIDATION_ERROR),
        ({"share": Ppb(0)}, RejectCode.VALIDATION_ERROR),
        ({"share": Ppb(PPB + 1)}, RejectCode.VALIDATION_ERROR),
        ({"position_id": f"{BTC}-7"}, RejectCode.POSITION_NOT_FOUND),
        ({"user": "ann"}, RejectCode.FORBIDDEN),
    ],
)
def test_what_can_be_no_trailing_stop_is_refused(changes: dict[str, Any], code: RejectCode) -> None:
    venue = holding()
    assert refused(trail(venue, **changes)).code is code
    assert len(venue.markets[BTC].orders) == 0


def test_it_begins_no_position() -> None:
    venue = books()
    fields: dict[str, Any] = {"ticker": BTC, "user": "bob", "side": LONG, "size": Micros(MICRO * 100), "leverage": 2}
    entry = PlaceOrder(**fields, order=TRAILING, price=Ticks(BTC_PRICE + 5))
    assert refused(venue.send(entry)).code is RejectCode.VALIDATION_ERROR


def test_the_largest_callback_is_named_and_fits() -> None:
    venue = holding()
    largest = refused(trail(venue, callback=PPB - 1)).facts["largest_callback_ppb"]
    assert isinstance(largest, int)
    assert refused(trail(venue, callback=largest + 1)).code is RejectCode.VALIDATION_ERROR
    (placed,) = done(trail(venue, callback=largest))
    assert isinstance(placed, OrderPlaced)
    assert placed.order.price == 1


def test_a_market_has_ten_thousand_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TRAILING_PER_MARKET_MAX == 10_000
    monkeypatch.setattr(terms, "TRAILING_PER_MARKET_MAX", 3)
    venue = holding()
    for _ in range(3):
        done(trail(venue))
    full = refused(trail(venue))
    facts = {"trailing_stops_of_the_market": 3, "maximum": 3}
    assert (full.code, dict(full.facts)) == (RejectCode.TOO_MANY_OPEN_ORDERS, facts)
    done(leave(venue, "bob", 1, STOP, BTC_PRICE - 5))
    done(cancel(venue, "bob", 1))
    done(trail(venue))


def test_they_count_among_the_exits_of_their_position() -> None:
    venue = holding()
    for _ in range(10):
        done(trail(venue))
    assert refused(trail(venue)).facts == {"exits_of_the_position": 10, "maximum": 10}


def test_of_a_part_that_is_closed_the_stop_takes_what_is_left() -> None:
    venue = holding()
    done(trail(venue))
    done(venue.send(ClosePosition(ticker=BTC, user="bob", position_id=f"{BTC}-1", share=Ppb(PPB // 4))))
    (reduced,) = reductions(venue.price(BTC_PRICE * 97 // 100))
    assert reduced.position.lots == 0
    assert ended_with_it(venue.price(BTC_PRICE)) == []


def test_stops_that_a_crash_cut_off_leave_at_the_next_start() -> None:
    venue = holding()
    done(trail(venue))
    done(venue.price(BTC_PRICE + 10_000))
    market = Market.from_image(venue.markets[BTC].image())
    market.index_price = Ticks(BTC_PRICE * 97 // 100)
    (row,) = MarketSide(BTC, market).finish()
    (reduced,) = row.events
    assert isinstance(reduced, PositionReduced)
    assert reduced.order is not None
    assert reduced.order.extreme == BTC_PRICE + 10_000


def test_a_follower_knows_the_best_marks_and_lets_nobody_leave() -> None:
    venue = holding()
    done(trail(venue))
    done(venue.price(BTC_PRICE + 10_000))
    follower = venue.markets[BTC].follower()
    assert follower.orders.all() == venue.markets[BTC].orders.all()
    follower.orders.follow(Ticks(BTC_PRICE + 20_000))
    assert follower.orders.all()[0].extreme == BTC_PRICE + 20_000
    assert there(venue).extreme == BTC_PRICE + 10_000
