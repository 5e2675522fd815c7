"""Orders that wait for the next price: when it decides them, and what they cost."""

from typing import Any

import pytest

from perps.commands import (
    OrderKind,
    PriceSource,
    ReplaceOrder,
    Side,
)
from perps.events import (
    CloseReason,
    OrderPlaced,
    PositionChanged,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    TransferKind,
)
from perps.refusals import RejectCode
from perps.units import MICRO, PPB, Lots, Micros, Ticks
from tests.perps.build import BTC, BTC_PRICE, START_MS, done, events_of, refused
from tests.perps.rules.orders.resting import DOWN, LIMIT, LONG, SHORT, STOP, UP, place
from tests.perps.rules.orders.waiting import SKEW, Waiting, ends


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
