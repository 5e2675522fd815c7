"""Orders that wait for the next price: what cannot be done to them, and how they end without it."""

from typing import Any

import pytest

import perps.rules.orders.next_price as rules
from perps.commands import (
    CancelOrder,
    CancelOrders,
    PriceSource,
    ReplaceOrder,
    SetCancelTimer,
    SetTriggers,
    UpdateMarket,
    UpdatePrice,
)
from perps.events import (
    CloseReason,
    Events,
    OrderCancelled,
    OrderPlaced,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    TransferKind,
)
from perps.params import Execution, Mode, ParamChanges
from perps.refusals import RejectCode, Rejected
from perps.units import MICRO, PPB, Micros, Millis, Ticks
from perps.venue import replay_market
from tests.perps.build import BTC, BTC_PRICE, Books, done, events_of, full_state, index_market, refused
from tests.perps.rules.orders.resting import DOWN, LIMIT, LONG, SHORT, STOP, UP, place
from tests.perps.rules.orders.waiting import SKEW, Waiting, ends


@pytest.mark.parametrize("after_ms", [0, 29_999])
def test_a_pending_order_cannot_be_taken_back(after_ms: int) -> None:
    """Or it would be a look ahead for free."""
    venue = Waiting(max_price_age=None)
    venue.order()
    venue.wait(after_ms)
    for user, any_owner in (("bob", False), ("root", True)):
        cancel = CancelOrder(ticker=BTC, user=user, order_id=f"{BTC}-o1", any_owner=any_owner)
        assert refused(venue.send(cancel)).code is RejectCode.ORDER_PENDING
    terms: Any = {"size": Micros(20 * MICRO), "leverage": 1, "price": Ticks(1)}
    change = ReplaceOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o1", **terms)
    assert refused(venue.send(change)).code is RejectCode.ORDER_PENDING
    assert done(venue.send(CancelOrders(ticker=BTC, user="bob"))) == ()
    done(venue.send(SetCancelTimer(ticker=BTC, user="bob", after_ms=1_000)))
    assert len(venue.markets[BTC].orders) == 1


def test_a_limit_cannot_be_taken_back_before_a_price_after_it_or_the_pending_limit() -> None:
    venue = Waiting()
    for user in ("bob", "ann"):
        done(place(venue, user, LIMIT, LONG, DOWN))
    cancel = CancelOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o1")
    assert refused(venue.send(cancel)).code is RejectCode.ORDER_PENDING
    done(venue.send(SetCancelTimer(ticker=BTC, user="ann", after_ms=1_000)))
    venue.wait(2_000)
    assert venue.look() == ()
    venue.wait(27_999)
    assert refused(venue.send(cancel)).code is RejectCode.ORDER_PENDING
    venue.wait(1)
    assert ends(done(venue.send(cancel))) == [(1, "owner")]
    assert ends(venue.look()) == [(2, "cancel_timer")]
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    venue.next()
    assert ends(done(venue.send(CancelOrders(ticker=BTC, user="bob")))) == [(3, "owner")]


def test_an_order_without_a_price_ends_after_the_pending_limit_and_gets_its_money_back() -> None:
    venue = Waiting()
    begun = venue.ledger.wallet("bob")
    venue.order()
    venue.wait(29_999)
    assert venue.look() == ()
    venue.wait(1)
    assert ends(venue.look()) == [(1, "expired")]
    assert venue.ledger.wallet("bob") == begun
    venue.order()
    venue.wait(30_000)
    assert ends(venue.feed()) == [(2, "expired")]


@pytest.mark.parametrize("mode", [Mode.HALTED, Mode.REDUCE_ONLY])
def test_its_deadline_runs_in_every_mode_and_a_close_is_filled_while_all_may_leave(mode: Mode) -> None:
    venue = Waiting()
    held = venue.hold()
    venue.order()
    done(venue.close(held))
    done(venue.mode(mode))
    events = venue.next()
    if mode is Mode.REDUCE_ONLY:
        assert ends(events) == [(2, "market_reduce_only")]
        assert len(events_of(PositionReduced, events)) == 1
        return
    assert ends(events) == []
    venue.wait(30_000)
    assert ends(venue.look()) == [(2, "expired"), (3, "expired")]


def test_what_was_ordered_about_a_position_that_is_gone_ends_in_the_same_row() -> None:
    venue = Waiting()
    held = venue.hold()
    done(venue.close(held))
    done(venue.close(held, PPB // 2))
    venue.order(position=f"{BTC}-1")
    rows = len(venue.rows)
    events = venue.next()
    assert len(venue.rows) == rows + 1
    assert ends(events) == [(3, "position_closed"), (4, "position_closed")]
    assert venue.markets[BTC].orders.orphans == set()
    assert venue.markets[BTC].orders.reserved == 0


@pytest.mark.parametrize(("share", "reason"), [(PPB, CloseReason.OWNER), (PPB // 2, CloseReason.LIQUIDATION)])
def test_a_close_whose_position_is_due_leaves_in_that_turn_and_pays_that_fee(share: int, reason: CloseReason) -> None:
    venue = Waiting()
    held = venue.hold(leverage=100)
    done(venue.close(held, share))
    events = venue.next(BTC_PRICE * 994 // 1000)
    (gone,) = events_of(PositionReduced, events)
    assert (gone.reason, gone.position.lots, gone.referral) == (reason, 0, 0)
    assert (gone.order is not None) is (reason is CloseReason.OWNER)
    assert ends(events) == ([] if reason is CloseReason.OWNER else [(2, "position_closed")])
    kinds = {move.kind for move in gone.transfers}
    assert TransferKind.LIQUIDATION_FEE in kinds or gone.fee == 0
    assert gone.fee == min(-(-abs(gone.fill.cost) // 500), gone.settlement)


def test_a_close_beyond_its_bound_does_not_save_from_the_liquidation() -> None:
    venue = Waiting()
    held = venue.hold(leverage=100)
    done(venue.close(held, max_slippage_bps=1))
    events = venue.next(BTC_PRICE * 994 // 1000)
    assert events_of(PositionReduced, events)[0].reason is CloseReason.LIQUIDATION
    assert ends(events) == [(2, "position_closed")]


def test_closes_are_in_no_cap_of_orders_but_each_position_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    venue = Waiting()
    held = venue.hold()
    for _ in range(100):
        done(place(venue, "bob", LIMIT, LONG, DOWN, 20))
    assert refused(venue.open("bob", LONG, 100 * MICRO)).code is RejectCode.TOO_MANY_OPEN_ORDERS
    for _ in range(rules.PENDING_PER_POSITION_MAX):
        done(venue.close(held, 1))
    full = refused(venue.close(held))
    assert (full.code, full.facts["maximum"]) == (RejectCode.TOO_MANY_OPEN_ORDERS, 10)
    assert len(events_of(PositionReduced, venue.next())) == 10
    done(venue.close(held))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"leverage": 101}, RejectCode.LEVERAGE_TOO_HIGH),
        ({"size": 1}, RejectCode.POSITION_SIZE_TOO_SMALL),
        ({"size": 90_000}, RejectCode.MAX_SKEW_EXCEEDED),
        ({"stop_loss": Ticks(UP)}, RejectCode.ORDER_WOULD_TRIGGER),
        ({"position": f"{BTC}-1"}, RejectCode.POSITION_NOT_FOUND),
        ({"size": 10_000, "leverage": 1, "user": "dan"}, RejectCode.INSUFFICIENT_FUNDS),
    ],
)
def test_what_would_be_refused_now_is_refused_now(more: dict[str, Any], code: RejectCode) -> None:
    venue = Waiting()
    venue.add_user("dan", 9_000 * MICRO)
    fields: dict[str, Any] = {"user": "bob", "size": 1_000, "leverage": 10, **more}
    size = fields.pop("size") * MICRO
    assert refused(venue.open(fields.pop("user"), LONG, size, **fields)).code is code


def test_a_close_that_the_house_cannot_pay_ends() -> None:
    venue = Waiting(house_credit_limit=Micros(0))
    held = venue.hold(LONG, 40_000)
    done(venue.close(held))
    events = venue.next(BTC_PRICE * 4)
    assert ends(events) == [(2, "house_cannot_pay")]
    assert venue.markets[BTC].positions.keys() == {1}


@pytest.mark.parametrize("source", [PriceSource.ORACLE, PriceSource.AGENT])
def test_a_feeds_price_without_its_time_is_refused_and_a_storys_is_not(source: PriceSource) -> None:
    venue = Waiting()
    outcome = refused(venue.send(UpdatePrice(ticker=BTC, price=Ticks(UP), source=source)))
    assert outcome.code is RejectCode.VALIDATION_ERROR
    assert "at, its own time" in str(outcome.facts["rule"])
    done(venue.send(UpdatePrice(ticker=BTC, price=Ticks(UP), source=PriceSource.EVENT)))
    done(Books((index_market(), BTC_PRICE)).send(UpdatePrice(ticker=BTC, price=Ticks(UP), source=source)))


def set_exits(venue: Waiting, *, profit: int | None = None, stop: int | None = None) -> None:
    exits: Any = {"take_profit": profit and Ticks(profit), "stop_loss": stop and Ticks(stop)}
    done(venue.send(SetTriggers(ticker=BTC, user="bob", position_id=f"{BTC}-1", **exits)))


def test_an_exit_closes_at_no_price_that_was_there_before_it_was_set() -> None:
    venue = Waiting()
    venue.hold()
    set_exits(venue, profit=UP)
    venue.wait(SKEW)
    assert events_of(PositionReduced, venue.feed(UP)) == []
    assert events_of(PositionReduced, venue.look()) == []
    (left,) = events_of(PositionReduced, venue.next(UP))
    assert left.reason is CloseReason.TAKE_PROFIT
    assert full_state(venue.replayed().ledger, venue.replayed().markets) == full_state(venue.ledger, venue.markets)


def test_an_exit_that_was_set_again_waits_again_and_one_of_a_story_does_not() -> None:
    venue = Waiting()
    venue.hold()
    set_exits(venue, profit=UP)
    venue.next()
    set_exits(venue, profit=UP, stop=DOWN)
    assert events_of(PositionReduced, venue.feed(UP)) == []
    venue.feed()
    venue.wait(1)
    (left,) = events_of(
        PositionReduced,
        done(venue.send(UpdatePrice(ticker=BTC, price=Ticks(DOWN), source=PriceSource.EVENT))),
    )
    assert left.reason is CloseReason.STOP_LOSS


def test_nobody_takes_an_increase_back_by_an_exit_of_its_position() -> None:
    """The price is on its way, and its owner has seen it."""
    venue = Waiting()
    venue.hold()
    done(venue.open("bob", LONG, 500 * MICRO, position=f"{BTC}-1"))
    venue.wait(SKEW + 1)
    set_exits(venue, stop=DOWN)
    moved = venue.feed(DOWN)
    assert events_of(OrderCancelled, moved) == []
    assert len(events_of(PositionIncreased, moved)) == 1


def change(venue: Books, **changes: Any) -> Events | Rejected:
    return venue.send(UpdateMarket(ticker=BTC, changes=ParamChanges(**changes)))


def test_the_execution_changes_only_while_nothing_is_pending() -> None:
    venue = Waiting()
    venue.order()
    assert refused(change(venue, execution=Execution.IMMEDIATE)).code is RejectCode.PARAMETERS_INCONSISTENT
    venue.next()
    done(place(venue, "cid", LIMIT, LONG, UP))
    (filled,) = events_of(PositionOpened, done(change(venue, execution=Execution.IMMEDIATE)))
    assert filled.order.number == 2
    assert isinstance(done(venue.open("ann", LONG, 100 * MICRO))[0], PositionOpened)
    done(place(venue, "cid", LIMIT, LONG, DOWN))
    done(change(venue, execution=Execution.NEXT_PRICE))
    assert isinstance(done(venue.open("ann", LONG, 100 * MICRO))[0], OrderPlaced)
    assert events_of(PositionOpened, venue.feed(DOWN - 600)) == []
    assert len(events_of(PositionOpened, venue.next(DOWN - 600))) == 2


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"clock_skew": Millis(-1)}, False),
        ({"clock_skew": Millis(0)}, True),
        ({"clock_skew": Millis(5_000)}, True),
        ({"clock_skew": Millis(5_001)}, False),
        ({"pending_limit": Millis(1_199)}, False),
        ({"pending_limit": Millis(1_200)}, True),
        ({"pending_limit": Millis(3_600_001)}, False),
    ],
)
def test_times_that_fit_are_taken_and_no_others(changes: dict[str, Any], fits: bool) -> None:
    venue = Waiting()
    outcome = change(venue, **changes)
    if fits:
        done(outcome)
    else:
        assert refused(outcome).code is RejectCode.PARAMETERS_INCONSISTENT


def busy() -> Waiting:
    """A venue in which everything waits that can."""
    venue = Waiting()
    held = venue.hold()
    done(place(venue, "ann", LIMIT, LONG, DOWN))
    venue.next()
    done(venue.close(held, PPB // 3))
    done(venue.margin("bob", 1, -MICRO))
    venue.order(position=f"{BTC}-1")
    venue.order(SHORT, user="cid")
    for kind, price in ((LIMIT, UP), (STOP, UP)):
        done(place(venue, "ann", kind, LONG, price))
    return venue


def test_a_venue_that_dies_between_placing_and_price_decides_the_same_afterwards() -> None:
    """From rows and from an image: the same lists, and the same row at the next price."""
    venue = busy()
    live = full_state(venue.ledger, venue.markets)
    replayed = venue.replayed()
    assert full_state(replayed.ledger, replayed.markets) == live
    alone = {BTC: replay_market(row for row in venue.rows if row.stream == BTC)}
    assert full_state(venue.ledger, alone) == live
    market = type(alone[BTC]).from_image(venue.markets[BTC].image())
    for name in ("pending", "by_position", "orphans", "ready_before", "_by_time", "_keys"):
        assert getattr(market.orders, name) == getattr(venue.markets[BTC].orders, name), name
    command = UpdatePrice(ticker=BTC, price=Ticks(UP + 60), source=PriceSource.ORACLE, source_at=Millis(venue.at + 999))
    venue.wait(1_000)
    outcome = done(venue.send(command))
    other = Waiting.__new__(Waiting)
    other.sequencer, other.rows, other.at = type(venue.sequencer)(replayed), [], venue.at
    assert done(other.send(command)) == outcome
    assert len(outcome) == 6, "a price, a close, a withdrawal, an increase, an open and a stop"
    assert full_state(other.ledger, other.markets) == full_state(venue.ledger, venue.markets)
