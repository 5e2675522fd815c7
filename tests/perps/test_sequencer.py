"""From a command to its row, in one thread; what money can never do; what time does by itself."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from perps.commands import ListMarket, ObserveTime, PriceSource, Side, UpdatePrice
from perps.engine import apply
from perps.events import PositionReduced, PriceUpdated
from perps.refusals import InvariantViolated, RejectCode, Rejected
from perps.sequencer import MarketSide, Moment, Sequencer
from perps.units import BALANCE_MAX, HOUSE_CREDIT_DEFAULT, HOUSE_DEBT_MAX, MICRO, Micros, Millis, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    START_MS,
    Books,
    done,
    index_market,
    new_market,
    new_open,
    opened,
    refused,
)


def test_the_richest_user_there_can_be_holds_no_more_than_an_account_may() -> None:
    """All deposits there may be are his, and then all that houses may owe: no credit is ever too large to be posted."""
    half = HOUSE_DEBT_MAX // 2
    wide = {"max_open_interest": 10**10, "max_skew": 10**10, "skew_scale": 10**14, "min_order_size": 1}
    cheap = {"taker_fee": 0, "maker_fee": 0, "liquidation_fee": 0, "house_credit_limit": half}
    tickers = ["A-PERP", "B-PERP"]
    venue = Books(*((index_market(ticker=ticker, **wide, **cheap), 2_000) for ticker in tickers))
    venue.add_user("ann", deposit=HOUSE_DEBT_MAX)

    for ticker in tickers:
        market = venue.markets[ticker]
        paid = True
        while paid:
            done(venue.price(2_000, ticker=ticker))
            position = opened(venue.open("ann", Side.LONG, 10**13, ticker=ticker, leverage=1))
            done(venue.price(10**8, ticker=ticker))
            paid = not isinstance(venue.close(position, ticker=ticker), Rejected)
        assert market.house >= -half

    assert HOUSE_DEBT_MAX < venue.ledger.wallet("ann") <= BALANCE_MAX
    third = ListMarket(params=index_market(ticker="C-PERP", house_credit_limit=1), price=Ticks(BTC_PRICE))
    refusal = refused(venue.send(third))
    assert refusal.code is RejectCode.PARAMETERS_INCONSISTENT
    assert (refusal.facts["house_credit_micros"], refusal.facts["available_micros"]) == (1, 0)


def test_a_refused_listing_gives_its_houses_credit_back() -> None:
    venue = Books()
    broken = index_market(max_skew=0, house_credit_limit=HOUSE_DEBT_MAX)
    for _ in range(2):
        assert refused(venue.send(ListMarket(params=broken, price=Ticks(BTC_PRICE)))).facts["rule"] != "credit"

    done(venue.send(ListMarket(params=index_market(house_credit_limit=HOUSE_DEBT_MAX), price=Ticks(BTC_PRICE))))


def test_two_thousand_houses_without_a_limit_fit() -> None:
    assert HOUSE_DEBT_MAX // HOUSE_CREDIT_DEFAULT == 2_048


def test_a_house_that_was_listed_with_more_than_all_may_owe_has_no_more_than_that() -> None:
    """The first release let such a listing pass."""
    assert index_market(house_credit_limit=2 * HOUSE_DEBT_MAX).house_credit == HOUSE_DEBT_MAX


def test_nothing_due_makes_no_row_and_changes_nothing() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    venue.open("ann", Side.LONG, 1_000 * MICRO)
    before, rows = venue.markets[BTC].image(), len(venue.rows)
    venue.at = Millis(venue.at + 3_600_000)

    assert done(venue.send(ObserveTime(ticker=BTC))) == ()
    assert (venue.markets[BTC].image(), len(venue.rows)) == (before, rows)


def test_what_is_due_by_itself_makes_a_row_of_time() -> None:
    """A price that the state has taken in, and nobody has swept behind: no command does that, a crash might."""
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    venue.open("ann", Side.LONG, 1_000 * MICRO, leverage=100)
    fallen = Ticks(BTC_PRICE * 98 // 100)
    apply(venue.markets[BTC], PriceUpdated(fallen, fallen, fallen, PriceSource.ORACLE, venue.at))

    (event,) = done(venue.send(ObserveTime(ticker=BTC)))
    assert isinstance(event, PositionReduced)
    assert venue.rows[-1].kind == "time"


OPEN = new_open("ann", Side.LONG, 1_000 * MICRO)


def side_at(moment: Moment, **changes: object) -> MarketSide:
    market = new_market(index_market(max_price_age=1_000, **changes), BTC_PRICE)
    market.price_at = Millis(START_MS)
    return MarketSide(BTC, market, moment)


def moment(now_ms: int, ahead_ms: int = 0) -> Moment:
    return Moment(Millis(START_MS + now_ms), ahead_ms)


def price(source_at: int | None = None) -> UpdatePrice:
    at = None if source_at is None else Millis(START_MS + source_at)
    return UpdatePrice(ticker=BTC, price=Ticks(BTC_PRICE), source=PriceSource.ORACLE, source_at=at)


def is_stale(side: MarketSide, at: Moment) -> bool:
    """Whether an open by one who has no money would have found the price too old."""
    refusal = side.run(OPEN, at)[1]
    assert refusal is not None
    assert refusal.code in (RejectCode.PRICE_STALE, RejectCode.INSUFFICIENT_FUNDS)
    return refusal.code is RejectCode.PRICE_STALE


def test_a_price_ages_until_the_next_one() -> None:
    """Also when a clock that is set forward makes it old at once."""
    side = side_at(moment(900))

    assert not is_stale(side, moment(1_000))
    assert is_stale(side, moment(1_001))
    assert is_stale(side, moment(7_200_000))
    list(side.run(price(), moment(7_200_000))[0])
    assert not is_stale(side, moment(7_201_000))
    assert is_stale(side, moment(7_201_001))


def test_after_a_start_with_the_clock_behind_a_price_counts_as_old_until_the_next_one() -> None:
    """Nobody knows how long the venue was down."""
    assert not is_stale(side_at(moment(0)), moment(0))
    side = side_at(moment(0, ahead_ms=7_200_000))
    assert is_stale(side, moment(0, ahead_ms=7_200_000))

    list(side.run(price(), moment(1, ahead_ms=7_199_999))[0])
    assert not is_stale(side, moment(1, ahead_ms=7_199_999))


def test_a_feed_is_as_late_as_the_systems_clock_says_though_rows_run_ahead_of_it() -> None:
    """The clock was two hours ahead once: rows go on from there, and a fresh price is fresh."""
    ahead = 7_200_000
    side = side_at(moment(ahead, ahead))
    (decision,), refusal = side.run(price(source_at=4_900), moment(ahead + 5_000, ahead))
    (event,) = decision.events

    assert refusal is None
    assert isinstance(event, PriceUpdated)
    assert event.at == START_MS + ahead + 4_900, "a price's time is on the rows' clock, and as late as its source's"
    assert not is_stale(side, moment(ahead + 5_900, ahead))
    assert is_stale(side, moment(ahead + 5_901, ahead))


def test_a_price_from_the_future_is_refused_by_the_systems_clock() -> None:
    ahead = 7_200_000
    side = side_at(moment(ahead, ahead))
    _, refusal = side.run(price(source_at=5_001), moment(ahead, ahead))

    assert refusal is not None
    assert refusal.facts == {"rule": "at is not in the future", "at_ms": START_MS + 5_001, "now_ms": START_MS}


def test_rows_of_a_market_never_go_back_in_time() -> None:
    side = side_at(moment(0))
    (first,), _ = side.run(price(), moment(500))
    (second,), _ = side.run(price(), moment(300))

    assert [first.at, second.at] == [START_MS + 500, START_MS + 500]


def test_a_market_that_is_not_listed_gets_no_command_but_its_listing() -> None:
    assert refused(Books().send(price())).code is RejectCode.MARKET_NOT_FOUND
    with pytest.raises(InvariantViolated, match="not listed"):
        MarketSide(BTC).run(price(), moment(0))


def test_who_cannot_pay_all_is_refused_by_the_market_with_what_he_has() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann", deposit=5 * MICRO)

    refusal = refused(venue.send(OPEN))
    assert refusal.code is RejectCode.INSUFFICIENT_FUNDS
    assert refusal.facts["available_micros"] == 5 * MICRO
    assert venue.funds.in_flight == (0, 0)
    assert venue.funds.free("ann") == Micros(5 * MICRO)


def test_a_house_that_owes_more_than_it_may_counts_with_what_it_owes() -> None:
    """The first release let a house owe more. What it owes is credit that no new market can have."""
    venue = Books((index_market(taker_fee=0, maker_fee=0), BTC_PRICE))
    venue.add_user("ann")
    position = opened(venue.open("ann", Side.LONG, 1_000 * MICRO))
    done(venue.price(BTC_PRICE * 2))
    done(venue.close(position))
    owed = -venue.markets[BTC].house
    state = venue.replayed()
    state.markets[BTC].params = replace(state.markets[BTC].params, house_credit_limit=Micros(owed - 1))

    venue.sequencer = Sequencer(state)
    rest = HOUSE_DEBT_MAX - owed
    too_much = ListMarket(params=index_market(ticker="B-PERP", house_credit_limit=rest + 1), price=Ticks(BTC_PRICE))
    assert refused(venue.send(too_much)).facts["available_micros"] == rest
