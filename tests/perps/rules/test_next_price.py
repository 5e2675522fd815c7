"""Orders that wait for the next price: when it decides them, what they cost, and what cannot be done to them."""

from typing import Any

import pytest

import perps.rules.next_price as rules
from perps.commands import (
    CancelOrder,
    CancelOrders,
    ChangeMargin,
    ObserveTime,
    OrderKind,
    PriceSource,
    ReplaceOrder,
    SetCancelTimer,
    SetTriggers,
    Side,
    UpdateMarket,
    UpdatePrice,
)
from perps.events import (
    CloseReason,
    Events,
    OrderCancelled,
    OrderPlaced,
    PositionChanged,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    TransferKind,
)
from perps.market.order import Order
from perps.params import Execution, Mode, ParamChanges
from perps.refusals import RejectCode, Rejected
from perps.units import MICRO, PPB, Lots, Micros, Millis, Ticks
from perps.venue import replay_market
from tests.perps.build import BTC, BTC_PRICE, START_MS, Books, done, events_of, full_state, index_market, refused
from tests.perps.rules.resting import DOWN, LIMIT, LONG, SHORT, STOP, UP, place

SKEW = 200
"""The allowed clock skew, ms."""


class Waiting(Books):
    """A venue whose market executes at the next price."""

    def __init__(self, **changes: Any) -> None:
        params = index_market(
            house_deposit=100_000 * MICRO, execution=Execution.NEXT_PRICE, clock_skew=Millis(SKEW), **changes
        )
        super().__init__((params, BTC_PRICE))
        for user, referrer in (("ann", None), ("bob", "ann"), ("cid", None)):
            self.add_user(user, referrer=referrer)

    def wait(self, ms: int) -> None:
        self.at = Millis(self.at + ms)

    def feed(self, price: int = BTC_PRICE, *, late_ms: int = 0, source: PriceSource = PriceSource.ORACLE) -> Events:
        """A price of a feed, stamped ``late_ms`` before it comes."""
        at = Millis(self.at - late_ms)
        return done(self.send(UpdatePrice(ticker=BTC, price=Ticks(price), source=source, source_at=at)))

    def next(self, price: int = BTC_PRICE) -> Events:
        """The price that decides what waits."""
        self.wait(SKEW + 1)
        return self.feed(price)

    def look(self) -> Events:
        return done(self.send(ObserveTime(ticker=BTC)))

    def order(self, side: Side = LONG, size: int = 1_000, user: str = "bob", **more: Any) -> Order:
        """An open that waits."""
        (placed,) = done(self.open(user, side, size * MICRO, **more))
        assert isinstance(placed, OrderPlaced)
        return placed.order

    def hold(self, side: Side = LONG, size: int = 1_000, user: str = "bob", **more: Any) -> PositionOpened:
        """An open that has been filled."""
        self.order(side, size, user, **more)
        (filled,) = events_of(PositionOpened, self.next(self.markets[BTC].index_price))
        assert isinstance(filled, PositionOpened)
        return filled

    def margin(self, user: str, number: int, amount: int) -> Events | Rejected:
        return self.send(ChangeMargin(ticker=BTC, user=user, position_id=f"{BTC}-{number}", amount=Micros(amount)))


def ends(events: Events) -> list[tuple[int, str]]:
    return [(event.order.number, event.reason) for event in events_of(OrderCancelled, events)]


def test_an_open_waits_and_is_filled_at_the_next_price_and_not_at_the_one_that_was_there() -> None:
    venue = Waiting()
    begun = venue.ledger.wallet("bob")
    order = venue.order()
    assert (order.kind, order.reserve, order.placed_at) == (OrderKind.MARKET, 101 * MICRO, START_MS)
    assert begun - venue.ledger.wallet("bob") == 101 * MICRO
    assert venue.markets[BTC].positions == {}

    (filled,) = events_of(PositionOpened, venue.next(UP))

    assert (filled.fill.index_price, filled.order) == (UP, order)
    assert begun - venue.ledger.wallet("bob") == filled.position.margin + filled.fee
    assert {move.kind for move in filled.transfers} >= {TransferKind.MARGIN, TransferKind.ORDER_RETURN}
    assert venue.markets[BTC].orders.reserved == 0
    assert venue.funds.in_flight == (0, 0)


@pytest.mark.parametrize(
    ("after_ms", "late_ms", "source", "decides"),
    [
        (SKEW + 1, 0, PriceSource.ORACLE, True),
        (SKEW, 0, PriceSource.ORACLE, False),
        (1, 0, PriceSource.ORACLE, False),
        (10_000, 10_000, PriceSource.ORACLE, False),
        (10_000, 10_000 - SKEW, PriceSource.ORACLE, False),
        (10_000, 10_000 - SKEW - 1, PriceSource.ORACLE, True),
        (10_000, 10_000 - SKEW, PriceSource.AGENT, False),
        (5, -4_000, PriceSource.ORACLE, False),
        (1, 0, PriceSource.EVENT, True),
        (0, 0, PriceSource.EVENT, False),
        (1, 1, PriceSource.EVENT, True),
        (1, 0, PriceSource.SYSTEM, True),
    ],
)
def test_what_counts_is_when_a_price_was_true_and_not_when_it_came(
    after_ms: int, late_ms: int, source: PriceSource, decides: bool
) -> None:
    """A lagging feed is no gift, nor is a clock that runs ahead. What the venue itself says counts from its receipt."""
    venue = Waiting()
    venue.order()
    venue.wait(after_ms)
    filled = events_of(PositionOpened, venue.feed(UP, late_ms=late_ms, source=source))
    assert bool(filled) is decides
    if not decides:
        venue.wait(max(-late_ms, 0))
        assert events_of(PositionOpened, venue.next(DOWN))[0].fill.index_price == DOWN


def test_of_two_sources_the_one_that_lags_decides_only_what_is_older() -> None:
    venue = Waiting()
    venue.wait(5_000)
    early = venue.order(user="ann")
    limit = done(place(venue, "cid", LIMIT, LONG, UP))[0]
    venue.wait(1_000)
    events = venue.feed(BTC_PRICE + 5, late_ms=3_000)
    assert events_of(PositionOpened, events) == []
    filled = venue.feed(BTC_PRICE + 7, source=PriceSource.AGENT)
    assert [event.order for event in events_of(PositionOpened, filled)] == [early, limit.order]  # type: ignore[union-attr]
    late = venue.order(user="bob")
    done(place(venue, "cid", LIMIT, LONG, UP))
    venue.wait(500)
    assert events_of(PositionOpened, venue.feed(BTC_PRICE + 6, late_ms=2_500)) == []
    assert events_of(PositionOpened, venue.feed(BTC_PRICE + 6, late_ms=0))[0].order == late


def test_first_in_is_first_out_and_before_all_that_waits_for_a_level() -> None:
    venue = Waiting()
    done(place(venue, "cid", STOP, LONG, BTC_PRICE + 1))
    done(place(venue, "cid", LIMIT, LONG, UP))
    numbers = [venue.order(side, user=user).number for side, user in ((LONG, "bob"), (SHORT, "ann"), (LONG, "cid"))]
    filled = events_of(PositionOpened, venue.next(BTC_PRICE + 10))
    assert [event.order.number for event in filled] == [*numbers, 1, 2]


@pytest.mark.parametrize(("kind", "side", "price"), [(LIMIT, LONG, UP), (LIMIT, SHORT, DOWN), (STOP, LONG, UP)])
def test_a_placed_order_is_in_no_list_before_a_price_after_it(kind: OrderKind, side: Side, price: int) -> None:
    """A limit at twice the price would be an open at the old one."""
    venue = Waiting()
    (placed,) = done(place(venue, "bob", kind, side, price))
    assert isinstance(placed, OrderPlaced)
    assert events_of(PositionOpened, venue.feed(UP)) == []
    assert venue.look() == ()
    (filled,) = events_of(PositionOpened, venue.next(UP + 60 if side is LONG and kind is STOP else BTC_PRICE))
    assert filled.order == placed.order


def test_a_replaced_order_waits_for_a_price_after_its_replacement() -> None:
    venue = Waiting()
    done(place(venue, "bob", LIMIT, LONG, DOWN))
    assert events_of(PositionOpened, venue.next()) == []
    terms: Any = {"size": Micros(1_000 * MICRO), "leverage": 10, "price": Ticks(UP)}
    done(venue.send(ReplaceOrder(ticker=BTC, user="bob", order_id=f"{BTC}-o1", **terms)))
    assert events_of(PositionOpened, venue.feed(BTC_PRICE + 1)) == []
    assert len(events_of(PositionOpened, venue.next())) == 1


def test_an_observation_decides_nothing_that_is_younger_than_the_price() -> None:
    venue = Waiting()
    venue.hold(SHORT, 40_000, "cid")
    done(place(venue, "bob", LIMIT, LONG, venue.markets[BTC].quote + 1_000))
    venue.order()
    venue.wait(20_000)
    assert venue.look() == ()
    assert venue.markets[BTC].positions.keys() == {1}


@pytest.mark.parametrize("share", [PPB, PPB // 4])
def test_a_close_waits_too_and_pays_the_takers_fee(share: int) -> None:
    venue = Waiting()
    held = venue.hold()
    (placed,) = done(venue.close(held, share))
    assert isinstance(placed, OrderPlaced)
    assert (placed.order.reserve, placed.transfers, placed.order.position) == (0, (), 1)
    (closed,) = events_of(PositionReduced, venue.next(UP))
    assert (closed.reason, closed.order, closed.fill.index_price) == (CloseReason.OWNER, placed.order, UP)
    assert abs(closed.fill.lots) == held.fill.lots * share // PPB
    assert closed.pnl > 0
    assert len(venue.markets[BTC].orders) == 0


@pytest.mark.parametrize(("how", "lots"), [({"lots": Lots(7)}, 7), ({"size": Micros(100 * MICRO)}, 19)])
def test_a_close_by_quantity_or_size_is_counted_at_its_price(how: dict[str, Any], lots: int) -> None:
    venue = Waiting()
    held = venue.hold()
    done(venue.close(held, **how))
    (closed,) = events_of(PositionReduced, venue.next(UP))
    assert abs(closed.fill.lots) == lots


def test_an_increase_waits_and_keeps_its_own_money_until_then() -> None:
    venue = Waiting()
    venue.hold()
    order = venue.order(size=500, position=f"{BTC}-1")
    assert (order.position, order.reserve) == (1, 50_500_000)
    (grown,) = events_of(PositionIncreased, venue.next(UP))
    assert (grown.order, grown.fill.index_price) == (order, UP)
    assert venue.markets[BTC].orders.reserved == 0


def test_margin_comes_out_at_the_next_price_and_goes_in_at_once() -> None:
    venue = Waiting()
    venue.hold(leverage=2)
    wallet = venue.ledger.wallet("bob")
    (inside,) = done(venue.margin("bob", 1, 5 * MICRO))
    assert isinstance(inside, PositionChanged)
    (placed,) = done(venue.margin("bob", 1, -20 * MICRO))
    assert isinstance(placed, OrderPlaced)
    assert (placed.order.kind, placed.order.size) == (OrderKind.WITHDRAWAL, 20 * MICRO)
    assert venue.ledger.wallet("bob") == wallet - 5 * MICRO
    (out,) = events_of(PositionChanged, venue.next())
    assert out.order == placed.order
    assert venue.ledger.wallet("bob") == wallet + 15 * MICRO


def test_margin_that_the_next_price_needs_stays() -> None:
    """Who sees the fall before the market does takes nothing away from it."""
    venue = Waiting()
    held = venue.hold(leverage=50)
    done(venue.margin("bob", 1, -held.position.margin * 49 // 100))
    assert ends(venue.next(BTC_PRICE * 991 // 1000)) == [(2, "insufficient_margin")]
    assert refused(venue.margin("bob", 1, -held.position.margin)).code is RejectCode.INSUFFICIENT_MARGIN


@pytest.mark.parametrize("bps", [0, 100])
@pytest.mark.parametrize("side", [LONG, SHORT])
def test_a_slippage_bound_is_a_price_from_the_moment_of_placing(side: Side, bps: int) -> None:
    venue = Waiting()
    beyond, within = (UP, BTC_PRICE * 1005 // 1000) if side is LONG else (DOWN, BTC_PRICE * 995 // 1000)
    venue.order(side, max_slippage_bps=bps)
    assert ends(venue.next(beyond)) == [(1, "price_beyond_limit")]
    begun, price = venue.ledger.wallet("bob"), venue.markets[BTC].index_price
    venue.order(side, max_slippage_bps=bps)
    events = venue.next(price * within // BTC_PRICE)
    assert bool(events_of(PositionOpened, events)) is (bps > 0)
    if not bps:
        assert ends(events) == [(2, "price_beyond_limit")]
        assert venue.ledger.wallet("bob") == begun


def test_of_two_bounds_the_stricter_counts() -> None:
    venue = Waiting()
    loose, strict = venue.order(max_slippage_bps=100, limit=50_100 * 10**9), venue.order(limit=60_000 * 10**9)
    assert (loose.acceptable_price, strict.acceptable_price) == (50_100 * 10**9, 60_000 * 10**9)
    assert venue.order(max_slippage_bps=10, limit=60_000 * 10**9).acceptable_price == 50_050 * 10**9


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
