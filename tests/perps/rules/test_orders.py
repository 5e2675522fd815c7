"""Resting orders: placing, filling, replacing, cancelling; and where their money is."""

from typing import Any

import pytest
from msgspec.structs import replace

import perps.rules.orders as rules
from perps.commands import (
    CancelOrder,
    CancelOrders,
    ObserveTime,
    OrderKind,
    PlaceOrder,
    ReplaceOrder,
    SettleMarket,
    Side,
    UpdateMarket,
)
from perps.events import (
    CloseReason,
    Events,
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    PositionOpened,
    PositionReduced,
    TransferKind,
)
from perps.market.order import Order
from perps.market.state import Market
from perps.params import Mode, ParamChanges
from perps.refusals import RejectCode, Rejected
from perps.rules.rule import Given
from perps.units import MICRO, Lots, Micros, Millis, Nano, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    START_MS,
    STORY,
    STORY_PRICE,
    Books,
    done,
    events_of,
    full_state,
    index_market,
    opened,
    quote_market,
    refused,
)

LONG, SHORT = Side.LONG, Side.SHORT
LIMIT, STOP = OrderKind.LIMIT, OrderKind.STOP
UP, DOWN = BTC_PRICE * 102 // 100, BTC_PRICE * 98 // 100
FAR = 10**6
"""Ticks beyond which every order of these tests is reached."""


def books(**changes: Any) -> Books:
    venue = Books((index_market(house_deposit=10_000 * MICRO, **changes), BTC_PRICE), (quote_market(), STORY_PRICE))
    for user, referrer in (("ann", None), ("bob", "ann"), ("cid", None)):
        venue.add_user(user, referrer=referrer)
    return venue


def place(
    venue: Books, user: str, kind: OrderKind, side: Side, price: int, size: int = 1_000, **more: Any
) -> Events | Rejected:
    fields: dict[str, Any] = {"ticker": BTC, "leverage": 10, "size": Micros(size * MICRO), **more}
    return venue.send(PlaceOrder(user=user, order=kind, side=side, price=Ticks(price), **fields))


def cancel(venue: Books, user: str, number: int, **more: Any) -> Events | Rejected:
    return venue.send(CancelOrder(ticker=BTC, user=user, order_id=f"{BTC}-o{number}", **more))


def change(venue: Books, user: str, number: int, price: int, size: int = 1_000, **more: Any) -> Events | Rejected:
    fields: dict[str, Any] = {"leverage": 10, "size": Micros(size * MICRO), "price": Ticks(price), **more}
    return venue.send(ReplaceOrder(ticker=BTC, user=user, order_id=f"{BTC}-o{number}", **fields))


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


@pytest.mark.parametrize(
    ("kind", "code"), [(LIMIT, None), (STOP, RejectCode.OPEN_INTEREST_EXCEEDED), (STOP, RejectCode.MAX_SKEW_EXCEEDED)]
)
def test_without_room_a_limit_waits_and_a_stop_ends(kind: OrderKind, code: RejectCode | None) -> None:
    caps: dict[str, Any] = {"max_skew": Lots(250), "max_open_interest": Lots(400)}
    if code is RejectCode.OPEN_INTEREST_EXCEEDED:
        caps = {"max_skew": Lots(10_000), "max_open_interest": Lots(250)}
    venue = books(**caps)
    begun = opened(venue.open("cid", LONG, 1_000 * MICRO, leverage=1))
    price, at = (DOWN, DOWN - 100) if kind is LIMIT else (UP, UP)
    done(place(venue, "bob", kind, LONG, price))
    outcome = done(venue.price(at))
    assert events_of(PositionOpened, outcome) == []
    ended = events_of(OrderCancelled, outcome)
    assert [event.reason for event in ended] == ([] if code is None else [code])
    if code is None:
        assert len(events_of(PositionOpened, venue.close(begun))) == 1


def test_a_stop_beyond_its_acceptable_price_ends() -> None:
    venue = books()
    worst = Nano(UP * 10**7 // 1 + 10**9)
    done(place(venue, "bob", STOP, LONG, UP, acceptable_price=worst))
    (ended,) = events_of(OrderCancelled, venue.price(UP + 10_000))
    assert ended.reason == RejectCode.PRICE_BEYOND_LIMIT
    done(place(venue, "bob", STOP, LONG, UP + 20_000, acceptable_price=Nano(10**9 * 10**6)))
    assert len(events_of(PositionOpened, venue.price(UP + 30_000))) == 1


def test_an_entry_whose_own_exit_would_be_due_ends() -> None:
    """After a gap through its stop-loss the plan is void."""
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN, stop_loss=Ticks(DOWN - 500), leverage=2))
    (ended,) = events_of(OrderCancelled, venue.price(DOWN - 600))
    assert ended.reason == RejectCode.ORDER_WOULD_TRIGGER
    done(venue.price(BTC_PRICE))
    done(place(venue, "bob", LIMIT, LONG, DOWN, stop_loss=Ticks(DOWN - 500), leverage=2))
    (filled,) = events_of(PositionOpened, venue.price(DOWN - 400))
    assert filled.position.stop_loss == DOWN - 500
    (left,) = events_of(PositionReduced, venue.price(DOWN - 500))
    assert left.reason is CloseReason.STOP_LOSS


def test_liquidations_come_before_exits_and_exits_before_entries() -> None:
    venue = books()
    opened(venue.open("cid", LONG, 1_000 * MICRO, leverage=100))
    opened(venue.open("ann", LONG, 1_000 * MICRO, leverage=2, stop_loss=Ticks(DOWN)))
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    done(place(venue, "bob", STOP, SHORT, DOWN))
    outcome = done(venue.price(DOWN - 60))
    told = [
        event.reason if isinstance(event, PositionReduced) else event.order and event.order.kind
        for event in outcome
        if isinstance(event, PositionReduced | PositionOpened)
    ]
    assert told == [CloseReason.LIQUIDATION, CloseReason.STOP_LOSS, STOP, LIMIT]


def test_limits_fill_in_the_order_in_which_the_price_met_them() -> None:
    venue = books()
    for price in (DOWN - 5_000, DOWN, DOWN - 2_000):
        done(place(venue, "bob", LIMIT, LONG, price, 100))
    filled = events_of(PositionOpened, venue.price(DOWN - 9_000))
    assert [event.order.number for event in filled] == [2, 3, 1]


def test_a_fee_that_was_raised_does_not_count_for_orders_that_rested_before() -> None:
    """As an administrator may raise it one day; a lower fee counts at once."""
    for fee, paid in ((Ppb(2_000_000), 1_000_000), (Ppb(500_000), 500_000)):
        venue = books()
        done(place(venue, "cid", STOP, LONG, UP))
        market = venue.markets[BTC]
        market.params = replace(market.params, taker_fee=fee)
        (filled,) = events_of(PositionOpened, venue.price(UP))
        assert filled.fee == -(-filled.fill.cost * paid // 10**9)


def crowded(count: int, tried: list[int], monkeypatch: pytest.MonkeyPatch) -> Books:
    """Limits of three lots at the price, which the quote has reached but for a third of what they move it by."""
    venue = Books((index_market(skew_scale=Lots(10**9), min_order_size=Micros(1)), BTC_PRICE))
    fill = rules.decide_fill

    def noted(market: Market, order: Order, given: Given) -> Any:
        tried.append(order.number)
        return fill(market, order, given)

    monkeypatch.setattr(rules, "decide_fill", noted)
    venue.add_user("ann")
    assert opened(venue.open("ann", SHORT, 5 * MICRO, leverage=1)).position.lots == -1
    for number in range(count):
        if number % 100 == 0:
            venue.add_user(f"u{number}")
        done(place(venue, f"u{number - number % 100}", LIMIT, LONG, BTC_PRICE, 16))
    return venue


def test_a_crowd_of_limits_near_the_price_is_tried_once_for_each_better_quote(monkeypatch: pytest.MonkeyPatch) -> None:
    """None can fill at this quote, and no later command asks again."""
    tried: list[int] = []
    venue = crowded(300, tried, monkeypatch)
    assert len(venue.markets[BTC].orders) == 300
    assert tried == list(range(1, 301))
    for _ in range(5):
        done(venue.price(BTC_PRICE))
        done(venue.send(ObserveTime(ticker=BTC)))
    assert len(tried) == 300
    filled = [len(events_of(PositionOpened, venue.price(BTC_PRICE - 10))) for _ in range(2)]
    assert sum(filled) == 300


def test_a_sweep_tries_so_many_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd in front keeps nobody from his turn."""
    monkeypatch.setattr(rules, "TRIES_MAX", 2)
    tried: list[int] = []
    venue = crowded(5, tried, monkeypatch)
    done(venue.price(BTC_PRICE + 10))
    done(place(venue, "ann", LIMIT, LONG, BTC_PRICE, 5))
    market = venue.markets[BTC]
    market.orders.rekey(market.params)
    tried.clear()
    filled = [len(events_of(PositionOpened, venue.price(BTC_PRICE))) for _ in range(3)]
    assert (tried, filled) == ([1, 2, 3, 4, 5, 6], [0, 0, 1])


def test_orders_come_back_from_rows_and_from_an_image() -> None:
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN, expires_at=Millis(venue.at + 10)))
    done(place(venue, "ann", STOP, SHORT, DOWN))
    opened(venue.open("cid", SHORT, 1_000 * MICRO))
    done(cancel(venue, "ann", 2))
    done(place(venue, "ann", STOP, SHORT, DOWN - 1, take_profit=Ticks(DOWN - 99)))
    market = venue.markets[BTC]
    assert full_state(venue.replayed().ledger, venue.replayed().markets) == full_state(venue.ledger, venue.markets)

    image = market.image()
    again = type(market).from_image(type(image).from_chunks(list(image.chunks())))
    assert full_state(venue.ledger, {BTC: again})[BTC] == {
        **full_state(venue.ledger, {BTC: market})[BTC],  # type: ignore[dict-item]
    }
    assert again.orders.limits.entries() == market.orders.limits.entries()
    assert market.follower().orders.by_number == market.orders.by_number


def test_settling_a_market_gives_every_reserve_back_before_anybody_leaves() -> None:
    venue = books()
    wallets = {user: venue.ledger.wallet(user) for user in ("ann", "bob")}
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    done(place(venue, "ann", STOP, SHORT, DOWN))
    opened(venue.open("cid", LONG, 1_000 * MICRO))
    done(venue.mode(Mode.HALTED))
    outcome = done(venue.send(SettleMarket(ticker=BTC)))
    ended = events_of(OrderCancelled, outcome)
    assert [(event.order.number, event.reason) for event in ended] == [(1, "settled"), (2, "settled")]
    places = [type(event) for event in outcome]
    assert places.index(PositionReduced) > places.index(OrderCancelled)
    assert {user: venue.ledger.wallet(user) for user in ("ann", "bob")} == wallets
    assert refused(place(venue, "bob", LIMIT, LONG, DOWN)).code is RejectCode.MARKET_HALTED
    done(venue.mode(Mode.ENABLED))
    assert len(venue.markets[BTC].orders) == 0


def test_new_parameters_move_the_levels_of_limits() -> None:
    """Twice the room for a side: a limit may fill at a quote that could not be its fill before."""
    venue = books()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    orders = venue.markets[BTC].orders
    before = orders.limits.entries()
    changes = ParamChanges(max_open_interest=Lots(10_000))
    done(venue.send(UpdateMarket(ticker=BTC, changes=changes)))
    assert orders.limits.entries() != before
    assert len(events_of(PositionOpened, venue.price(DOWN - 60))) == 1
