"""Resting orders: placing, filling, replacing, cancelling; and where their money is."""

from typing import Any

import pytest
from msgspec import structs

import perps.rules.orders.terms as rules
from perps.commands import (
    CancelOrder,
    CancelOrders,
    ObserveTime,
    OrderKind,
    PlaceOrder,
    ReplaceOrder,
    Side,
)
from perps.events import (
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    PositionOpened,
    TransferKind,
)
from perps.params import Mode
from perps.refusals import RejectCode
from perps.units import MICRO, Micros, Millis, Nano, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    START_MS,
    STORY,
    Books,
    done,
    events_of,
    index_market,
    opened,
    refused,
)
from tests.perps.rules.orders.resting import DOWN, LIMIT, LONG, SHORT, STOP, UP, books, cancel, change, place

FAR = 10**6
"""Ticks beyond which every order of these tests is reached."""


@pytest.mark.parametrize(
    ("kind", "side", "price", "before", "at"),
    [
        (LIMIT, LONG, DOWN, DOWN, DOWN - 60),
        (LIMIT, SHORT, UP, UP, UP + 60),
        (STOP, LONG, UP, UP - 1, UP),
        (STOP, SHORT, DOWN, DOWN + 1, DOWN),
        (STOP, LONG, UP, UP - 1, UP + FAR),
        (STOP, SHORT, DOWN, DOWN + 1, DOWN - FAR),
    ],
)
def test_an_order_fills_at_its_price_and_not_before(
    kind: OrderKind, side: Side, price: int, before: int, at: int
) -> None:
    """A limit of 200 lots pays half of what it moves the price by: 50 ticks here. A stop fills at market."""
    venue = books()
    (resting,) = done(place(venue, "bob", kind, side, price))
    assert isinstance(resting, OrderPlaced)
    assert events_of(PositionOpened, venue.price(before)) == []
    (filled,) = events_of(PositionOpened, venue.price(at))

    assert filled.order == resting.order
    assert (filled.position.user, filled.position.lots > 0) == ("bob", side is LONG)
    average = abs(filled.fill.cost) / abs(filled.fill.lots)
    assert kind is STOP or (average <= price if side is LONG else average >= price)
    assert len(venue.markets[BTC].orders) == 0


def test_the_money_of_an_order_goes_where_it_should() -> None:
    """Wallet → orders when placed; margin, fee and referral out of it when filled, the rest back."""
    venue = books()
    begun = venue.ledger.wallet("bob")
    (placed,) = events_of(OrderPlaced, place(venue, "bob", LIMIT, LONG, DOWN))
    assert placed.order.reserve == 101 * MICRO
    assert venue.ledger.wallet("bob") == begun - 101 * MICRO
    assert venue.ledger.balances[f"orders:{BTC}"] == venue.markets[BTC].orders.reserved == 101 * MICRO

    (filled,) = events_of(PositionOpened, venue.price(DOWN - 60))
    kinds = [transfer.kind for transfer in filled.transfers]
    assert kinds == [TransferKind.MARGIN, TransferKind.FEE, TransferKind.REFERRAL, TransferKind.ORDER_RETURN]
    assert {transfer.source for transfer in filled.transfers} == {f"orders:{BTC}"}
    assert venue.ledger.balances[f"orders:{BTC}"] == 0
    assert venue.ledger.wallet("bob") == begun - filled.position.margin - filled.fee


def test_a_fill_is_what_an_open_would_be() -> None:
    venue, twin = books(), books()
    done(place(venue, "bob", STOP, LONG, UP))
    (filled,) = events_of(PositionOpened, venue.price(UP))
    done(twin.price(UP))
    begun = opened(twin.open("bob", LONG, 1_000 * MICRO))

    assert (filled.position, filled.fill, filled.fee, filled.referral) == (
        begun.position,
        begun.fill,
        begun.fee,
        begun.referral,
    )
    wallets = [books.ledger.wallet(user) for books in (venue, twin) for user in ("ann", "bob")]
    assert wallets[:2] == wallets[2:]


def test_a_limit_that_can_fill_does_so_in_its_own_row() -> None:
    venue = books()
    rows = len(venue.rows)
    outcome = done(place(venue, "bob", LIMIT, LONG, UP))
    assert [type(event) for event in outcome] == [OrderPlaced, PositionOpened]
    assert len(venue.rows) == rows + 1


def test_a_cancelled_order_gives_all_back_in_every_mode_and_at_a_stale_price() -> None:
    venue = books(max_price_age=Millis(1_000))
    begun = venue.ledger.wallet("bob")
    for _ in range(3):
        done(place(venue, "bob", LIMIT, LONG, DOWN))
    venue.at = Millis(venue.at + 2_000)
    done(cancel(venue, "bob", 1))
    done(venue.mode(Mode.HALTED))
    (ended,) = events_of(OrderCancelled, cancel(venue, "ann", 2, any_owner=True))
    assert ended.reason == "owner"
    done(venue.mode(Mode.REDUCE_ONLY))
    done(cancel(venue, "bob", 3))
    assert venue.ledger.wallet("bob") == begun
    assert refused(cancel(venue, "bob", 3)).code is RejectCode.ORDER_CLOSED
    assert refused(cancel(venue, "bob", 4)).code is RejectCode.ORDER_NOT_FOUND


def test_orders_belong_to_their_owner() -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    assert refused(cancel(venue, "ann", 1)).code is RejectCode.FORBIDDEN
    assert refused(change(venue, "ann", 1, DOWN)).code is RejectCode.FORBIDDEN
    for name in (f"{BTC}-o01", f"{BTC}-1", "o1", f"{STORY}-o1"):
        wrong = venue.send(CancelOrder(ticker=BTC, user="bob", order_id=name))
        assert refused(wrong).code is RejectCode.ORDER_NOT_FOUND


def test_all_orders_of_a_user_end_in_one_row_and_none_make_no_row() -> None:
    venue = books()
    for user in ("bob", "bob", "ann"):
        done(place(venue, user, LIMIT, LONG, DOWN))
    rows = len(venue.rows)
    ended = done(venue.send(CancelOrders(ticker=BTC, user="bob")))
    assert [event.order.number for event in ended if isinstance(event, OrderCancelled)] == [1, 2]
    assert len(venue.rows) == rows + 1
    assert done(venue.send(CancelOrders(ticker=BTC, user="bob"))) == ()
    assert len(venue.rows) == rows + 1
    assert list(venue.markets[BTC].orders.by_number) == [3]


@pytest.mark.parametrize(("size", "moved"), [(2_000, 101 * MICRO), (500, -50_500_000), (1_000, 0)])
def test_a_replacement_moves_the_difference_and_keeps_the_number(size: int, moved: int) -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    before, venue.at = venue.ledger.wallet("bob"), Millis(venue.at + 7)
    (replaced,) = done(change(venue, "bob", 1, DOWN - 5, size))
    assert isinstance(replaced, OrderReplaced)
    assert (replaced.order.number, replaced.order.price, replaced.order.placed_at) == (1, DOWN - 5, START_MS + 7)
    assert before - venue.ledger.wallet("bob") == moved
    assert events_of(PositionOpened, venue.price(DOWN - 6)) == []


def test_a_replacement_needs_only_the_difference() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("bob", 150 * MICRO)
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    short = refused(change(venue, "bob", 1, DOWN, 2_000))
    assert (short.code, dict(short.facts)) == (
        RejectCode.INSUFFICIENT_FUNDS,
        {"required_micros": 101 * MICRO, "available_micros": 49 * MICRO},
    )
    done(change(venue, "bob", 1, DOWN, 1_480))
    assert venue.funds.in_flight == (0, 0)


def test_what_a_replacement_does_not_set_stays_as_it_is_by_then_and_none_clears() -> None:
    venue = books()
    done(place(venue, "bob", STOP, LONG, UP, take_profit=Ticks(2 * UP), expires_at=Millis(START_MS + 99)))
    done(change(venue, "bob", 1, UP + 7, acceptable_price=Nano(5), acceptable_price_pico=3, stop_loss=Ticks(5)))
    known: dict[str, Any] = {"known_size": Micros(1_000 * MICRO), "known_leverage": 10}
    done(venue.send(ReplaceOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o1", stop_loss=None, **known)))
    done(venue.send(ReplaceOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o1", leverage=5, **known)))

    order = venue.markets[BTC].orders.by_number[1]
    assert (order.price, order.leverage, order.take_profit, order.stop_loss) == (UP + 7, 5, 2 * UP, None)
    assert (order.acceptable_price, order.acceptable_price_pico, order.expires_at) == (5, 3, START_MS + 99)
    assert order.reserve == 201 * MICRO


def test_a_replacement_whose_bound_is_of_another_size_is_refused() -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    done(change(venue, "bob", 1, DOWN, 2_000))
    late = ReplaceOrder(
        ticker=BTC, user="bob", order_id=f"{BTC}-o1", leverage=1, known_size=Micros(1_000 * MICRO), known_leverage=10
    )
    assert refused(venue.send(late)).code is RejectCode.ORDER_CHANGED
    done(venue.send(structs.replace(late, known_size=Micros(2_000 * MICRO))))
    assert venue.funds.in_flight == (0, 0)


def test_a_limit_has_no_other_bound_than_its_price() -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    assert refused(change(venue, "bob", 1, DOWN, acceptable_price=Nano(5))).code is RejectCode.VALIDATION_ERROR


def test_a_replacement_can_fill_at_once_and_what_is_filled_cannot_be_replaced() -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    assert [type(event) for event in done(change(venue, "bob", 1, UP))] == [OrderReplaced, PositionOpened]
    assert refused(change(venue, "bob", 1, DOWN)).code is RejectCode.ORDER_CLOSED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"size": Micros(0)}, RejectCode.VALIDATION_ERROR),
        ({"leverage": 0}, RejectCode.VALIDATION_ERROR),
        ({"price": Ticks(0)}, RejectCode.VALIDATION_ERROR),
        ({"price": Ticks(2**63)}, RejectCode.VALIDATION_ERROR),
        ({"stop_loss": Ticks(0)}, RejectCode.VALIDATION_ERROR),
        ({"expires_at": Millis(START_MS)}, RejectCode.VALIDATION_ERROR),
        ({"expires_at": Millis(1)}, RejectCode.VALIDATION_ERROR),
        ({"size": Micros(MICRO)}, RejectCode.POSITION_SIZE_TOO_SMALL),
        ({"price": Ticks(20_000_000)}, RejectCode.POSITION_SIZE_TOO_SMALL),
        ({"size": Micros(10**12)}, RejectCode.POSITION_SIZE_TOO_LARGE),
        ({"leverage": 101}, RejectCode.LEVERAGE_TOO_HIGH),
    ],
)
def test_what_no_price_can_fill_is_refused_at_once(changes: dict[str, Any], code: RejectCode) -> None:
    venue = books(min_order_size=Micros(2 * MICRO))
    fields: dict[str, Any] = {"price": DOWN, "size": 15, "leverage": 10}
    raw = {"size": Micros(15 * MICRO), "leverage": 10, "price": Ticks(DOWN), **changes}
    placed = venue.send(PlaceOrder(ticker=BTC, user="bob", order=LIMIT, side=LONG, **raw))
    assert refused(placed).code is code
    done(place(venue, "bob", LIMIT, LONG, **fields))
    again = venue.send(ReplaceOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o1", **raw))
    assert refused(again).code is code


@pytest.mark.parametrize(("side", "price"), [(LONG, BTC_PRICE), (LONG, DOWN), (SHORT, BTC_PRICE), (SHORT, UP)])
def test_a_stop_that_is_due_at_once_is_refused(side: Side, price: int) -> None:
    venue = books()
    late = refused(place(venue, "bob", STOP, side, price))
    assert (late.code, dict(late.facts)) == (
        RejectCode.ORDER_WOULD_TRIGGER,
        {"price_ticks": price, "mark_price_ticks": BTC_PRICE},
    )
    done(place(venue, "bob", STOP, side, UP if side is LONG else DOWN))
    assert refused(change(venue, "bob", 1, price)).code is RejectCode.ORDER_WOULD_TRIGGER


@pytest.mark.parametrize(
    ("mode", "code"), [(Mode.HALTED, RejectCode.MARKET_HALTED), (Mode.REDUCE_ONLY, RejectCode.MARKET_REDUCE_ONLY)]
)
def test_a_market_that_opens_nothing_takes_no_orders_and_fills_none(mode: Mode, code: RejectCode) -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    done(venue.mode(mode))
    assert refused(place(venue, "bob", LIMIT, LONG, DOWN)).code is code
    assert refused(change(venue, "bob", 1, DOWN)).code is code
    assert events_of(PositionOpened, venue.price(DOWN - 60)) == []
    (filled,) = events_of(PositionOpened, venue.mode(Mode.ENABLED))
    assert filled.order is not None


def test_an_order_needs_its_reserve() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("bob", 150 * MICRO)
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    short = refused(place(venue, "bob", LIMIT, LONG, DOWN))
    assert (short.code, dict(short.facts)) == (
        RejectCode.INSUFFICIENT_FUNDS,
        {"required_micros": 101 * MICRO, "available_micros": 49 * MICRO},
    )


def test_a_user_and_a_market_have_so_many_orders_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = books()
    for _ in range(rules.ORDERS_PER_USER_MAX):
        done(place(venue, "bob", LIMIT, LONG, DOWN, 20))
    full = refused(place(venue, "bob", LIMIT, LONG, DOWN, 20))
    assert (full.code, dict(full.facts)) == (RejectCode.TOO_MANY_OPEN_ORDERS, {"open_orders": 100, "maximum": 100})
    done(change(venue, "bob", 1, DOWN - 1, 20))
    monkeypatch.setattr(rules, "ORDERS_PER_MARKET_MAX", 100)
    assert refused(place(venue, "ann", LIMIT, LONG, DOWN, 20)).code is RejectCode.TOO_MANY_OPEN_ORDERS
    done(cancel(venue, "bob", 1))
    done(place(venue, "ann", LIMIT, LONG, DOWN, 20))


def test_an_order_whose_time_is_over_ends_at_an_observation_and_is_not_filled() -> None:
    venue = books()
    begun = venue.ledger.wallet("bob")
    for wait in (5, 3):
        done(place(venue, "bob", LIMIT, LONG, DOWN, expires_at=Millis(venue.at + wait)))
    venue.at = Millis(venue.at + 3)
    (ended,) = done(venue.send(ObserveTime(ticker=BTC)))
    assert isinstance(ended, OrderCancelled)
    assert (ended.order.number, ended.reason) == (2, "expired")
    venue.at = Millis(venue.at + 2)
    outcome = done(venue.price(DOWN - 60))
    assert [event.reason for event in outcome if isinstance(event, OrderCancelled)] == ["expired"]
    assert events_of(PositionOpened, outcome) == []
    assert venue.ledger.wallet("bob") == begun
    assert done(venue.send(ObserveTime(ticker=BTC))) == ()


def test_many_expiries_are_spread_over_observations() -> None:
    venue = books()
    for user in ("ann", "bob", "cid"):
        for _ in range(90):
            done(place(venue, user, LIMIT, LONG, DOWN, 20, expires_at=Millis(venue.at + 1)))
    venue.at = Millis(venue.at + 1)
    counts = [len(done(venue.send(ObserveTime(ticker=BTC)))) for _ in range(3)]
    assert counts == [256, 14, 0]
