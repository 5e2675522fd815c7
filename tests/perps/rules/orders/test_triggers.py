"""Take-profit and stop-loss: when they are due, in which order, and what leaving by them costs."""

from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from perps.commands import ClosePosition, FundMarket, HouseAccount, SetTriggers, Side
from perps.engine import CONSEQUENCES_PER_ROW_MAX
from perps.events import CloseReason, Events, PositionChanged, PositionReduced, TransferKind
from perps.market.position import position_id
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.closing import gain, reduce
from perps.sequencer import MarketSide
from perps.units import MICRO, PPB, Micros, Millis, Ppb, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    STORY,
    STORY_PRICE,
    Books,
    done,
    events_of,
    full_state,
    index_market,
    opened,
    quote_market,
    reductions,
    refused,
)

LONG, SHORT = Side.LONG, Side.SHORT
UP, DOWN = BTC_PRICE * 102 // 100, BTC_PRICE * 98 // 100


def books(**changes: Any) -> Books:
    venue = Books((index_market(house_deposit=10_000 * MICRO, **changes), BTC_PRICE), (quote_market(), STORY_PRICE))
    for user, referrer in (("ann", None), ("bob", "ann"), ("cid", None)):
        venue.add_user(user, referrer=referrer)
    return venue


def exits(venue: Books, user: str, number: int, profit: int | None, stop: int | None, **more: Any) -> Events | Rejected:
    fields: dict[str, Any] = {"ticker": BTC, "user": user, "position_id": position_id(more.get("ticker", BTC), number)}
    return venue.send(SetTriggers(**{**fields, "take_profit": profit, "stop_loss": stop, **more}))


@pytest.mark.parametrize("gap", [0, 1, 10_000])
@pytest.mark.parametrize(
    ("side", "reason", "level", "toward"),
    [
        (LONG, CloseReason.TAKE_PROFIT, UP, 1),
        (LONG, CloseReason.STOP_LOSS, DOWN, -1),
        (SHORT, CloseReason.TAKE_PROFIT, DOWN, -1),
        (SHORT, CloseReason.STOP_LOSS, UP, 1),
    ],
)
@pytest.mark.parametrize("at_open", [True, False])
def test_an_exit_is_due_at_its_price_and_beyond_and_not_a_tick_before(
    side: Side, reason: CloseReason, level: int, toward: int, gap: int, at_open: bool
) -> None:
    venue = books()
    named = {"take_profit" if reason is CloseReason.TAKE_PROFIT else "stop_loss": Ticks(level)}
    position = opened(venue.open("bob", side, 1_000 * MICRO, leverage=2, **(named if at_open else {}))).position
    if not at_open:
        (changed,) = done(exits(venue, "bob", 1, named.get("take_profit"), named.get("stop_loss")))
        assert isinstance(changed, PositionChanged)
        assert changed.position == replace(position, **named)
        assert (changed.mark_price, changed.transfers) == (BTC_PRICE, ())

    assert reductions(venue.price(level - toward)) == []
    (left,) = reductions(venue.price(level + toward * gap))

    assert left.reason is reason
    assert left.position.lots == 0
    assert left.fill.lots == -position.lots
    assert venue.markets[BTC].positions == {}
    assert len(venue.markets[BTC].exits) == 0


def test_an_exit_costs_what_a_close_costs() -> None:
    """The taker's fee, with the referrer's share; the same fill."""
    venue, twin = books(), books()
    begun = opened(twin.open("bob", LONG, 1_000 * MICRO))
    opened(venue.open("bob", LONG, 1_000 * MICRO, take_profit=Ticks(UP)))
    done(twin.price(UP))
    (closed,) = reductions(twin.close(begun))
    (left,) = reductions(venue.price(UP))

    assert replace(left, reason=CloseReason.OWNER, position=closed.position) == closed
    assert full_state(venue.ledger, {}) == full_state(twin.ledger, {})


@pytest.mark.parametrize(("side", "crash", "stop"), [(LONG, DOWN, DOWN + 1), (SHORT, UP, UP - 1)])
def test_a_stop_that_is_due_for_liquidation_leaves_in_that_turn_as_a_stop_and_pays_that_fee(
    side: Side, crash: int, stop: int
) -> None:
    changes: dict[str, Any] = {"maintenance_rate": Ppb(PPB // 100), "max_leverage": 50}
    venue, twin = books(**changes), books(**changes)
    opened(venue.open("bob", side, 1_000 * MICRO, leverage=40, stop_loss=Ticks(stop)))
    opened(twin.open("bob", side, 1_000 * MICRO, leverage=40))
    (left,) = reductions(venue.price(crash))
    (gone,) = reductions(twin.price(crash))

    assert (gone.reason, left.reason) == (CloseReason.LIQUIDATION, CloseReason.STOP_LOSS)
    assert left.fee > 0
    assert [transfer.kind for transfer in left.transfers][-1] is TransferKind.LIQUIDATION_FEE
    assert replace(left, reason=gone.reason, position=gone.position) == gone
    assert full_state(venue.ledger, {}) == full_state(twin.ledger, {})


@pytest.mark.parametrize("first", [LONG, SHORT])
def test_liquidations_come_before_exits(first: Side) -> None:
    venue = books()
    opened(venue.open("ann", first, 1_000 * MICRO, leverage=1, stop_loss=Ticks(DOWN if first is LONG else UP)))
    opened(venue.open("bob", first, 1_000 * MICRO, leverage=100))
    gone = reductions(venue.price(BTC_PRICE * 9 // 10 if first is LONG else BTC_PRICE * 11 // 10))

    assert [event.reason for event in gone] == [CloseReason.LIQUIDATION, CloseReason.STOP_LOSS]
    assert [event.position.user for event in gone] == ["bob", "ann"]


def test_exits_leave_in_the_order_in_which_the_price_met_them() -> None:
    venue = books()
    levels = [DOWN + 3, DOWN + 1, DOWN + 2, DOWN + 3]
    for level in levels:
        opened(venue.open("bob", LONG, 100 * MICRO, leverage=1, stop_loss=Ticks(level)))
    assert [event.position.number for event in reductions(venue.price(DOWN))] == [1, 4, 3, 2]


@pytest.mark.parametrize(
    ("side", "profit", "stop", "named"),
    [
        (LONG, BTC_PRICE, None, "take_profit_ticks"),
        (LONG, BTC_PRICE - 1, None, "take_profit_ticks"),
        (LONG, None, BTC_PRICE, "stop_loss_ticks"),
        (LONG, UP, BTC_PRICE + 1, "stop_loss_ticks"),
        (LONG, DOWN, UP, "stop_loss_ticks"),
        (SHORT, BTC_PRICE, None, "take_profit_ticks"),
        (SHORT, UP, None, "take_profit_ticks"),
        (SHORT, None, BTC_PRICE, "stop_loss_ticks"),
        (SHORT, None, DOWN, "stop_loss_ticks"),
    ],
)
def test_an_exit_that_is_due_at_once_is_refused(side: Side, profit: int | None, stop: int | None, named: str) -> None:
    """Also of an open: its position would leave the moment it stands."""
    venue = books()
    late = refused(venue.open("bob", side, 1_000 * MICRO, take_profit=profit, stop_loss=stop))
    opened(venue.open("bob", side, 1_000 * MICRO))
    later = refused(exits(venue, "bob", 1, profit, stop))

    assert (late.code, later.code) == (RejectCode.ORDER_WOULD_TRIGGER, RejectCode.ORDER_WOULD_TRIGGER)
    assert late.facts.keys() == later.facts.keys() == {named, "mark_price_ticks"}
    assert late.facts["mark_price_ticks"] == BTC_PRICE


@pytest.mark.parametrize(("side", "before", "after"), [(LONG, 1, 0), (SHORT, -1, 0)])
def test_exits_of_an_open_are_held_against_the_mark_behind_its_own_fill(side: Side, before: int, after: int) -> None:
    """The open moves the quote, which is the mark here, past its own take-profit."""
    venue = books()
    fill = opened(venue.open("ann", side, 500 * MICRO, ticker=STORY, leverage=1)).fill
    again = books()
    late = again.open("ann", side, 500 * MICRO, ticker=STORY, leverage=1, take_profit=fill.mark_price + after)
    assert refused(late).code is RejectCode.ORDER_WOULD_TRIGGER
    opened(again.open("ann", side, 500 * MICRO, ticker=STORY, leverage=1, take_profit=fill.mark_price + before))


@pytest.mark.parametrize("price", [0, -1, 2**63, -(2**62)])
def test_an_exit_is_a_price(price: int) -> None:
    venue = books()
    opened(venue.open("bob", LONG, 1_000 * MICRO))
    for profit, stop in ((price, None), (None, price)):
        assert refused(exits(venue, "bob", 1, profit, stop)).code is RejectCode.VALIDATION_ERROR
        outcome = venue.open("bob", LONG, 1_000 * MICRO, take_profit=profit, stop_loss=stop)
        assert refused(outcome).code is RejectCode.VALIDATION_ERROR


def test_exits_belong_to_their_owner_and_to_administrators() -> None:
    venue = books()
    opened(venue.open("bob", LONG, 1_000 * MICRO))
    assert refused(exits(venue, "ann", 1, UP, None)).code is RejectCode.FORBIDDEN
    done(exits(venue, "ann", 1, UP, None, any_owner=True))
    assert refused(exits(venue, "bob", 2, UP, None)).code is RejectCode.POSITION_NOT_FOUND
    assert refused(exits(venue, "bob", 1, UP, None, position_id="BTC-PERP-01")).code is RejectCode.POSITION_NOT_FOUND
    assert venue.markets[BTC].positions[1].take_profit == UP


def test_exits_of_a_closed_position_are_refused() -> None:
    venue = books()
    begun = opened(venue.open("bob", LONG, 1_000 * MICRO, take_profit=Ticks(UP)))
    done(venue.close(begun))
    assert refused(exits(venue, "bob", 1, UP, None)).code is RejectCode.POSITION_CLOSED
    assert reductions(venue.price(UP)) == []


def test_both_exits_are_set_anew_and_can_be_taken_away_in_every_mode() -> None:
    venue = books()
    opened(venue.open("bob", LONG, 1_000 * MICRO, leverage=1, take_profit=Ticks(UP), stop_loss=Ticks(DOWN)))
    done(exits(venue, "bob", 1, UP + 5, None))
    assert (venue.markets[BTC].positions[1].take_profit, venue.markets[BTC].positions[1].stop_loss) == (UP + 5, None)
    assert reductions(venue.price(DOWN)) == []

    done(venue.mode(Mode.HALTED))
    assert refused(exits(venue, "bob", 1, UP + 6, None)).code is RejectCode.MARKET_HALTED
    done(exits(venue, "bob", 1, None, None))
    done(venue.mode(Mode.ENABLED))
    assert reductions(venue.price(2 * UP)) == []


def test_an_exit_is_not_set_at_a_stale_price_but_taken_away() -> None:
    venue = books(max_price_age=Millis(1_000))
    opened(venue.open("bob", LONG, 1_000 * MICRO, take_profit=Ticks(UP)))
    venue.at = Millis(venue.at + 1_001)
    assert refused(exits(venue, "bob", 1, UP, DOWN)).code is RejectCode.PRICE_STALE
    done(exits(venue, "bob", 1, None, None))


def test_a_halted_market_closes_nobody_and_a_reduce_only_one_does() -> None:
    venue = books()
    opened(venue.open("bob", LONG, 1_000 * MICRO, take_profit=Ticks(UP)))
    done(venue.mode(Mode.HALTED))
    assert reductions(venue.price(UP)) == []
    (left,) = reductions(venue.mode(Mode.REDUCE_ONLY))
    assert left.reason is CloseReason.TAKE_PROFIT


def test_what_is_left_of_a_position_keeps_its_exits() -> None:
    venue = books()
    begun = opened(venue.open("bob", LONG, 1_000 * MICRO, take_profit=Ticks(UP), stop_loss=Ticks(DOWN)))
    (half,) = reductions(venue.close(begun, PPB // 2))
    assert (half.position.take_profit, half.position.stop_loss) == (UP, DOWN)
    (left,) = reductions(venue.price(DOWN))
    assert (left.reason, left.fill.lots) == (CloseReason.STOP_LOSS, -half.position.lots)


def test_one_exit_sets_off_the_next_where_trading_makes_the_price() -> None:
    """A sale lowers the quote, which is the mark there: the stop below it is due in the same row."""
    venue = Books((quote_market(), STORY_PRICE))
    for user in ("ann", "bob"):
        venue.add_user(user)
    quote = opened(venue.open("ann", LONG, 1_000 * MICRO, ticker=STORY, leverage=1)).fill.quote_before
    opened(venue.open("bob", LONG, 1_000 * MICRO, ticker=STORY, leverage=1))
    mark = venue.markets[STORY].mark
    done(exits(venue, "ann", 1, None, mark - 1, ticker=STORY))
    done(exits(venue, "bob", 2, None, mark - 50, ticker=STORY))
    rows = len(venue.rows)
    gone = reductions(venue.price(STORY_PRICE - 1, ticker=STORY))

    assert [event.position.number for event in gone] == [1, 2]
    assert len(venue.rows) == rows + 1
    assert gone[-1].fill.quote_after == quote - 1


def test_exits_in_a_crowd_go_on_in_further_rows_and_a_start_finishes_what_a_crash_cut_off() -> None:
    venue = books()
    count = 2 * CONSEQUENCES_PER_ROW_MAX + 3
    for _ in range(count):
        opened(venue.open("bob", LONG, 50 * MICRO, leverage=1, stop_loss=Ticks(DOWN)))
    state, first = venue.replayed(), len(venue.rows)
    done(venue.price(DOWN))
    rows = venue.rows[first:]
    assert [row.kind for row in rows] == ["price", "sweep", "sweep"]

    state.apply(rows[0])
    side = MarketSide(BTC, state.markets[BTC])
    decisions = list(side.finish())
    assert [decision.events for decision in decisions] == [
        tuple(events_of(PositionReduced, decision.events)) for decision in decisions
    ]
    assert [len(decision.events) for decision in decisions] == [CONSEQUENCES_PER_ROW_MAX, 3]
    live = venue.markets[BTC]
    assert full_state(venue.ledger, {BTC: side.market or live}) == full_state(venue.ledger, {BTC: live})


def test_a_profit_that_the_house_cannot_pay_waits_until_it_can() -> None:
    venue = Books((index_market(house_credit_limit=0), BTC_PRICE))
    venue.add_user("bob")
    opened(venue.open("bob", LONG, 1_000 * MICRO, take_profit=Ticks(UP)))
    done(venue.price(UP))
    market = venue.markets[BTC]
    assert market.mode is Mode.ENABLED
    assert list(market.positions) == [1]

    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(1_000 * MICRO))))
    assert not market.positions


def test_many_whom_the_house_cannot_pay_cost_one_sum_each_and_keep_no_loser() -> None:
    """Whoever may leave leaves, and nothing is made for the others, however many there are."""
    venue = Books((index_market(house_credit_limit=0), BTC_PRICE))
    venue.add_user("bob")
    for _ in range(50):
        opened(venue.open("bob", LONG, 1_000 * MICRO, take_profit=Ticks(UP)))
    loser = opened(venue.open("bob", SHORT, 100 * MICRO, leverage=1, stop_loss=Ticks(UP)))
    market = venue.markets[BTC]
    with patch("perps.rules.orders.exits.reduce", wraps=reduce) as tried:
        left = reductions(venue.price(UP))
    assert [event.position.number for event in left] == [loser.position.number]
    assert tried.call_count == 1
    assert len(market.positions) == 50


def test_what_a_position_would_gain_is_what_its_close_says() -> None:
    venue = books()
    for side in Side:
        for price in (DOWN, UP):
            done(venue.price(BTC_PRICE))
            begun = opened(venue.open("bob", side, 1_234 * MICRO, leverage=3))
            done(venue.price(price))
            market = venue.markets[BTC]
            expected = gain(market, market.positions[begun.position.number])
            (closed,) = reductions(venue.close(begun))
            assert closed.pnl == expected != 0


def test_exits_come_back_from_rows_and_from_an_image() -> None:
    venue = books()
    opened(venue.open("bob", LONG, 1_000 * MICRO, take_profit=Ticks(UP)))
    opened(venue.open("cid", SHORT, 1_000 * MICRO))
    done(exits(venue, "cid", 2, DOWN, UP))
    live = full_state(venue.ledger, venue.markets)
    market = venue.markets[BTC]

    assert full_state(venue.replayed().ledger, venue.replayed().markets) == live
    again = type(market).from_image(market.image())
    assert again.exits.entries() == market.exits.entries()
    assert again.positions == market.positions
    assert len(market.follower().exits) == 0
    assert len(market.exits) == 3


def test_a_close_by_its_owner_has_no_reason_of_an_exit() -> None:
    venue = books()
    begun = opened(venue.open("bob", LONG, 1_000 * MICRO, stop_loss=Ticks(DOWN)))
    command = ClosePosition(ticker=BTC, user="bob", position_id=position_id(BTC, begun.position.number), share=Ppb(PPB))
    (closed,) = reductions(venue.send(command))
    assert closed.reason is CloseReason.OWNER
