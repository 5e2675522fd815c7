"""How resting orders end: room, bounds, the order of consequences, crowds, settlement; and what comes back of them."""

from typing import Any

import pytest
from msgspec.structs import replace

import perps.rules.orders.resting as rules
from perps.commands import (
    ObserveTime,
    OrderKind,
    SettleMarket,
    Side,
    UpdateMarket,
)
from perps.events import (
    CloseReason,
    OrderCancelled,
    PositionOpened,
    PositionReduced,
)
from perps.market.order import Order
from perps.market.state import Market
from perps.params import Mode, ParamChanges
from perps.refusals import RejectCode
from perps.rules.rule import Given
from perps.units import MICRO, PPB, Lots, Micros, Millis, Nano, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    Books,
    done,
    events_of,
    full_state,
    index_market,
    opened,
    refused,
)
from tests.perps.rules.orders.resting import DOWN, LIMIT, LONG, SHORT, STOP, UP, books, cancel, place


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


@pytest.mark.parametrize("cap", ["max_skew", "max_open_interest"])
@pytest.mark.parametrize("side", [LONG, SHORT])
def test_a_limit_that_lacked_room_fills_once_there_is_room_though_the_quote_is_worse(cap: str, side: Side) -> None:
    """It found none at the first price. When somebody leaves, the price is worse, and still within the limit."""
    venue = books(**{"max_skew": Lots(250), "max_open_interest": Lots(400), cap: Lots(250)})
    begun = opened(venue.open("cid", side, 1_000 * MICRO, leverage=1))
    limit, worse = (UP, UP - 50_000) if side is LONG else (DOWN, DOWN + 50_000)
    assert events_of(PositionOpened, place(venue, "bob", LIMIT, side, limit)) == []
    assert events_of(PositionOpened, venue.price(worse)) == []
    assert len(events_of(PositionOpened, venue.close(begun))) == 1


@pytest.mark.parametrize("cap", ["max_skew", "max_open_interest"])
def test_a_limit_for_which_a_higher_price_makes_room_fills(cap: str) -> None:
    """755.00 are 151 lots of 5.00, one more than fit, and 149 of 5.05."""
    venue = books(**{"max_skew": Lots(250), "max_open_interest": Lots(400), cap: Lots(250)})
    assert opened(venue.open("cid", LONG, 501 * MICRO, leverage=1)).position.lots == 100
    assert events_of(PositionOpened, place(venue, "bob", LIMIT, LONG, UP, 756)) == []
    (filled,) = events_of(PositionOpened, venue.price(UP - 50_000))
    assert filled.position.lots == 149


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_those_who_wait_for_room_are_tried_when_it_is_theirs(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd for which there is too little keeps nobody from the room that there is, whoever came first."""
    venue = books(max_skew=Lots(250), max_open_interest=Lots(250))
    begun = opened(venue.open("cid", side, 1_240 * MICRO, leverage=1))
    limit, worse = (UP, UP - 50_000) if side is LONG else (DOWN, DOWN + 50_000)
    for _ in range(80):
        done(place(venue, "bob", LIMIT, side, limit, 1_000))
    small = 100 if side is LONG else 90
    assert events_of(PositionOpened, place(venue, "ann", LIMIT, side, limit, small)) == []
    done(venue.price(worse))
    tried: list[int] = []
    fill = rules.decide_fill

    def noted(market: Market, order: Order, given: Given) -> Any:
        tried.append(order.number)
        return fill(market, order, given)

    monkeypatch.setattr(rules, "decide_fill", noted)
    (filled,) = events_of(PositionOpened, venue.close(begun, PPB // 10))
    assert (filled.position.user, tried) == ("ann", [81])


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
