"""Deleveraging: in which markets, who leaves, how much, at what price and in which rows; a crash changes nothing."""

from fractions import Fraction
from typing import Any
from unittest.mock import patch

import pytest

from perps.commands import ClosePosition, FundMarket, HouseAccount, UpdateMarket
from perps.events import CloseReason, DeleveragingChanged, PositionReduced, PriceUpdated
from perps.journal import events_of
from perps.market.deleveraging import Deleveraging
from perps.market.position import position_id
from perps.market.state import Market
from perps.params import Mode, ParamChanges
from perps.refusals import RejectCode
from perps.rules.closing import reduce
from perps.sequencer import MarketSide
from perps.snapshot.checks import market_flaw
from perps.units import MICRO, PPB, FundingIndex, Lots, Micros, Ppb, Ticks
from perps.venue import VenueState
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    STORY,
    STORY_PRICE,
    Books,
    done,
    full_state,
    index_market,
    opened,
    quote_market,
    reductions,
    refused,
)
from tests.perps.build import (
    events_of as events_in,
)
from tests.perps.rules.trying import LONG, SHORT

NO_FEES: dict[str, Any] = {"taker_fee": Ppb(0), "maker_fee": Ppb(0)}
UP = BTC_PRICE * 110 // 100


def poor(limit: int, **changes: Any) -> Books:
    """A house that may owe ``limit`` US dollars, and makes winners leave before."""
    terms = {"house_credit_limit": Micros(limit * MICRO), "deleveraging": True, **NO_FEES, **changes}
    venue = Books((index_market(**terms), BTC_PRICE))
    for user in ("ann", "bob", "cid"):
        venue.add_user(user, 100_000 * MICRO)
    return venue


def left(outcome: Any) -> list[PositionReduced]:
    return [event for event in reductions(outcome) if event.reason is CloseReason.DELEVERAGE]


def is_within(venue: Books, part: int, ticker: str = BTC) -> bool:
    market = venue.markets[ticker]
    return market.liability * 100 <= (market.house + market.params.house_credit) * part


def change(venue: Books, **changes: Any) -> Any:
    return venue.send(UpdateMarket(ticker=BTC, changes=ParamChanges(**changes)))


def rank(market: Market, number: int) -> Fraction:
    """pnl·notional/(margin·equity) at the mark, of a market marked at its index and without funding."""
    position, mark = market.positions[number], market.index_price * market.unit
    worth = position.cash + position.lots * mark
    return Fraction((worth - position.margin) * abs(position.lots) * mark, position.margin * worth)


def test_the_one_with_the_most_gained_on_the_least_margin_leaves_first_and_the_last_in_part() -> None:
    venue = poor(1_000)
    opened(venue.open("ann", LONG, 5_000 * MICRO, leverage=2))
    opened(venue.open("bob", LONG, 5_000 * MICRO, leverage=20))
    opened(venue.open("cid", SHORT, 1_000 * MICRO, leverage=2))

    assert left(venue.price(BTC_PRICE * 108 // 100)) == []
    events = left(venue.price(UP))

    assert [event.position.user for event in events] == ["bob", "ann"]
    assert all(event.fee == 0 and event.pnl > 0 for event in events)
    assert [event.position.lots > 0 for event in events] == [False, True]
    assert is_within(venue, 77)
    assert venue.markets[BTC].deleveraging is None
    assert full_state(venue.replayed().ledger, venue.replayed().markets) == full_state(venue.ledger, venue.markets)


def test_everybody_leaves_in_the_order_of_exact_ranks_and_no_loser_and_nobody_of_the_other_side() -> None:
    venue = poor(4_500)
    for number in range(1, 40):
        size = (number * 37 % 11 + 1) * 200 * MICRO
        opened(venue.open("ann", LONG, size, leverage=number * 7 % 9 + 2))
        if number == 20:
            venue.price(BTC_PRICE * 104 // 100)
    for leverage in (3, 5):
        opened(venue.open("bob", SHORT, 4_000 * MICRO, leverage=leverage))
    before = venue.markets[BTC]
    before = Market.from_image(before.image())
    before.index_price = Ticks(UP + BTC_PRICE // 50)

    events = left(venue.price(UP + BTC_PRICE // 50))

    ranks = [rank(before, event.position.number) for event in events]
    assert len(events) > 5
    assert ranks == sorted(ranks, reverse=True)
    assert {event.position.user for event in events} == {"ann"}
    standing = [number for number in venue.markets[BTC].positions if before.positions[number].user == "ann"]
    assert all(rank(before, number) <= ranks[-1] for number in standing)
    assert is_within(venue, 77)


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_it_begins_at_85_and_ends_at_77_per_cent_of_what_the_house_can_pay_on_both_sides(side: Any) -> None:
    venue = poor(1_000)
    opened(venue.open("ann", side, 10_000 * MICRO, leverage=2))
    sign, market = (1 if side is LONG else -1), venue.markets[BTC]
    outcome: Any = ()
    for bps in range(1, 2_000):
        outcome = venue.price(BTC_PRICE + sign * BTC_PRICE * bps // 10_000)
        if left(outcome):
            break
        assert not is_within(venue, 84) or is_within(venue, 85)

    (begun, ended) = events_in(DeleveragingChanged, outcome)
    assert begun.deleveraging is not None
    assert begun.deleveraging.liability * 100 >= begun.deleveraging.can_pay * 85
    assert begun.deleveraging.liability * 100 < begun.deleveraging.can_pay * 86
    assert ended == DeleveragingChanged(None)
    assert is_within(venue, 77)
    assert not is_within(venue, 76)
    assert market.skew * sign > 0


def test_in_a_market_without_skew_nobody_must_leave() -> None:
    """No price makes its house owe more: what longs gain, shorts lose."""
    venue = poor(1_000)
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=2))
    venue.price(BTC_PRICE * 1084 // 1000)
    opened(venue.open("bob", SHORT, abs(venue.markets[BTC].cost(-venue.markets[BTC].skew)), leverage=2))
    assert venue.markets[BTC].skew == 0
    done(change(venue, house_credit_limit=Micros(950 * MICRO)))
    outcome = venue.price(BTC_PRICE * 1083 // 1000)
    assert not is_within(venue, 85)
    assert events_in(DeleveragingChanged, outcome) == []


def test_the_last_leaves_with_as_few_lots_as_are_enough() -> None:
    venue = poor(1_000)
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=2))
    before = Market.from_image(venue.markets[BTC].image())
    (event,) = left(venue.price(UP))
    lots = abs(event.fill.lots)

    before.index_price = Ticks(UP)
    one_less = reduce(before, before.positions[1], lots - 1, CloseReason.DELEVERAGE).pnl
    can_pay = before.house + before.params.house_credit
    assert (before.liability - event.pnl) * 100 <= (can_pay - event.pnl) * 77
    assert (before.liability - one_less) * 100 > (can_pay - one_less) * 77


@pytest.mark.parametrize(
    "terms", [{"deleveraging": False}, {"deleveraging": False, "house_credit_limit": None}], ids=["a limit", "none"]
)
def test_a_market_that_has_not_asked_for_it_never_does_it(terms: dict[str, Any]) -> None:
    venue = poor(1_000, **terms)
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=2))

    events = done(venue.price(BTC_PRICE * 2))

    assert [type(event) for event in events] == [PriceUpdated]
    assert venue.markets[BTC].liability > venue.markets[BTC].params.house_credit or "house_credit_limit" in terms


def test_an_administrator_switches_it_on_and_off_and_it_needs_a_limit() -> None:
    venue = poor(1_000, deleveraging=False)
    opened(venue.open("ann", LONG, 9_400 * MICRO, leverage=2))
    done(venue.price(UP))

    assert len(done(change(venue, deleveraging=True))) == 1, "nobody leaves without a price"
    assert len(left(venue.price(UP))) == 1

    refusal = refused(change(venue, house_credit_limit=None))
    assert (refusal.code, refusal.facts["rule"]) == (
        RejectCode.PARAMETERS_INCONSISTENT,
        "deleveraging needs a houseCreditLimit: what the house can pay",
    )
    done(change(venue, deleveraging=False, house_credit_limit=None))
    assert left(venue.price(UP * 2)) == []


def test_trades_funds_and_time_make_nobody_leave() -> None:
    venue = poor(1_000, deleveraging=False)
    opened(venue.open("ann", LONG, 9_400 * MICRO, leverage=2))
    done(venue.price(UP))
    done(change(venue, deleveraging=True))

    for outcome in (
        venue.open("bob", LONG, 1_000 * MICRO),
        venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(1))),
        venue.mode(Mode.HALTED),
        venue.price(UP),
        venue.mode(Mode.ENABLED),
    ):
        assert left(outcome) == []


def test_money_into_the_house_keeps_everybody_in() -> None:
    venue = poor(1_000)
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=2))
    done(venue.send(FundMarket(ticker=BTC, account=HouseAccount.HOUSE, amount=Micros(500 * MICRO))))

    assert left(venue.price(UP)) == []


def test_it_gets_what_a_close_would_get_without_the_fee() -> None:
    fees = {"taker_fee": Ppb(PPB // 1000)}
    forced, by_hand = poor(1_000, **fees), poor(1_000_000, **fees)
    for venue in (forced, by_hand):
        opened(venue.open("ann", LONG, 9_500 * MICRO, leverage=2))

    (event,) = left(forced.price(UP))
    done(by_hand.price(UP))
    lots = Lots(abs(event.fill.lots))
    close = ClosePosition(ticker=BTC, user="ann", position_id=position_id(BTC, 1), share=Ppb(PPB), lots=lots)
    (closed,) = reductions(by_hand.send(close))

    assert (event.fill, event.pnl, event.settlement) == (closed.fill, closed.pnl, closed.settlement)
    assert (event.fee, event.referral, closed.fee > 0) == (0, 0, True)
    assert forced.ledger.wallet("ann") == by_hand.ledger.wallet("ann") + closed.fee


def test_a_part_that_would_leave_the_rest_to_liquidation_takes_all_of_it() -> None:
    """In a market whose mark is its quote, who leaves in part lowers the mark that the rest is measured by."""
    limit = {"house_credit_limit": Micros(120 * MICRO), "deleveraging": True, **NO_FEES}
    venue = Books((quote_market(**limit), STORY_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, 3_900 * MICRO, ticker=STORY, leverage=5))

    with patch("perps.rules.deleveraging.leaves_it_endangered", lambda _market, reduced: bool(reduced.position.lots)):
        (event,) = left(venue.price(STORY_PRICE * 103 // 100, ticker=STORY))

    assert event.position.lots == 0


def test_one_whom_the_house_cannot_pay_whole_leaves_in_part_if_that_is_enough_and_is_passed_over_if_it_is_not() -> None:
    venue = poor(110)
    opened(venue.open("ann", LONG, 600 * MICRO, leverage=20))
    opened(venue.open("bob", LONG, 600 * MICRO, leverage=2))
    opened(venue.open("cid", SHORT, 200 * MICRO, leverage=2))

    whole, part = left(venue.price(UP))

    market = venue.markets[BTC]
    assert (whole.position.lots, part.position.lots > 0) == (0, True)
    assert market.house + market.params.house_credit > 0
    assert is_within(venue, 77)

    beyond = poor(50)
    opened(beyond.open("ann", LONG, 1_000 * MICRO, leverage=2))
    assert left(beyond.price(UP)) == []
    assert beyond.markets[BTC].house == 0


def test_who_is_due_for_liquidation_is_liquidated_and_pays_its_fee() -> None:
    venue = poor(1_000)
    opened(venue.open("ann", LONG, 10_000 * MICRO, leverage=2))
    with patch("perps.rules.deleveraging._is_due", lambda *_: True):
        assert left(venue.price(UP)) == []
    assert len(left(venue.price(UP))) == 1


def crowd(count: int, **changes: Any) -> Books:
    """So many winners, all of whom must leave and more."""
    venue = poor(1_000, deleveraging=False, **changes)
    for number in range(count):
        opened(venue.open("ann", LONG, (10 + number % 7) * 5 * MICRO, leverage=2 + number % 5))
    done(venue.price(BTC_PRICE * 11 // 10))
    done(change(venue, house_credit_limit=Micros(venue.markets[BTC].liability * 101 // 100 - venue.markets[BTC].house)))
    done(change(venue, deleveraging=True))
    return venue


def test_more_than_256_leave_in_rows_of_256_and_the_sweep_goes_on_behind_them() -> None:
    venue = crowd(700)
    before = len(venue.rows)

    events = left(venue.price(UP))
    rows = [events_of(row) for row in venue.rows[before:]]

    assert len(events) > 600
    assert [row.kind for row in venue.rows[before:]] == ["price", "sweep", "sweep"]
    assert [len(row) for row in rows[:-1]] == [257, 256]  # the price, and 256 of its consequences
    assert rows[0][1] != DeleveragingChanged(None)
    assert rows[-1][-1] == DeleveragingChanged(None)
    assert is_within(venue, 77)


@pytest.mark.parametrize("kept", [1, 2])
@pytest.mark.parametrize("through_a_snapshot", [False, True])
def test_a_crash_between_two_rows_changes_nothing(kept: int, through_a_snapshot: bool) -> None:
    """The sweep at the start makes the rows that the crash has cut off, the same ones."""
    venue = crowd(700)
    before = len(venue.rows)
    done(venue.price(UP))
    rows, state = venue.rows, VenueState()
    for row in rows[: before + kept]:
        state.apply(row)
    market = state.markets[BTC]
    assert market.deleveraging is not None
    assert market_flaw(BTC, market.image()) is None
    if through_a_snapshot:
        market = Market.from_image(type(market.image()).from_chunks(list(market.image().chunks())))

    finished = MarketSide(BTC, market).finish()

    assert [each.events for each in finished] == [events_of(row) for row in rows[before + kept :]]
    assert full_state(venue.ledger, {BTC: market}) == full_state(venue.ledger, venue.markets)


def test_one_that_a_halt_has_interrupted_ends_when_the_house_has_got_money() -> None:
    venue = crowd(700)
    before = len(venue.rows)
    done(venue.price(UP))
    state = VenueState()
    for row in venue.rows[: before + 1]:
        state.apply(row)
    market = state.markets[BTC]
    market.house = Micros(market.house + 10**6 * MICRO)

    (last,) = MarketSide(BTC, market).finish()

    assert last.events == (DeleveragingChanged(None),)
    assert not list(MarketSide(BTC, market).finish())


def test_a_price_that_comes_when_one_is_unfinished_ranks_anew() -> None:
    venue = crowd(700)
    before = len(venue.rows)
    done(venue.price(UP))
    halfway = Books()
    state = VenueState()
    for row in venue.rows[: before + 1]:
        state.apply(row)
    halfway.sequencer = type(halfway.sequencer)(state)
    higher = UP + 500

    events = done(halfway.price(higher))

    begun, ended = events_in(DeleveragingChanged, events)
    assert begun.deleveraging is not None
    assert (begun.deleveraging.index_price, ended.deleveraging) == (higher, None)
    assert is_within(halfway, 77)


def test_a_snapshot_with_a_deleveraging_that_cannot_be_is_refused() -> None:
    market = poor(1_000).markets[BTC]
    market.deleveraging = Deleveraging(Ticks(0), Lots(1), FundingIndex(0), Micros(1), Micros(1))
    assert "deleveraging" in str(market_flaw(BTC, market.image()))
    market.deleveraging = Deleveraging(Ticks(1), Lots(0), FundingIndex(0), Micros(1), Micros(1))
    assert "deleveraging" in str(market_flaw(BTC, market.image()))


def test_a_price_that_makes_nobody_leave_looks_at_no_position() -> None:
    venue = poor(1_000)
    opened(venue.open("ann", LONG, 8_000 * MICRO, leverage=2))

    with patch("perps.rules.deleveraging._ranked", side_effect=AssertionError):
        done(venue.price(BTC_PRICE * 110 // 100))
        with pytest.raises(AssertionError):
            venue.price(BTC_PRICE * 120 // 100)
