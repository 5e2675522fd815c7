"""Funding in a market: when it accrues, for which time, when a row is made of it, and what positions pay."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from perps.commands import Side, UpdatePrice
from perps.events import (
    FundingAccrued,
    ModeChanged,
    PositionReduced,
    PriceUpdated,
    own_of,
    subject_of,
)
from perps.market.funding import DAY_MS, HOUR_MS, RATE, index_bound
from perps.market.position import funding_since_entry
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import RejectCode
from perps.rules.funding import EXHAUSTED, ROW_AFTER_MS, accrue, funding_of
from perps.rules.rule import Given
from perps.units import MICRO, PPB, FundingIndex, Millis, Ppb
from tests.perps.build import (
    RICH,
    START_MS,
    STORY,
    STORY_PRICE,
    Books,
    done,
    events_of,
    opened,
    quote_market,
    reductions,
    refused,
)
from tests.perps.rules.money.flowing import (
    FLOW,
    HOUR,
    LONG,
    MINUTE_MS,
    SHORT,
    accrued_funding,
    all_of,
    flow_venue,
    market_of,
    observe,
    open_one,
    pay_all,
)


@pytest.mark.parametrize(("side", "sign"), [(LONG, 1), (SHORT, -1)])
def test_the_crowded_side_pays_the_house(side: Side, sign: int) -> None:
    venue = flow_venue(taker_fee=0, maker_fee=0)
    position = open_one(venue, side)
    pay_all(venue, until=START_MS + 10 * HOUR_MS)
    closing = reductions(venue.close(position, ticker=STORY))[0]

    assert sign * market_of(venue).funding_index > 0
    assert closing.funding > 0
    assert market_of(venue).house == closing.funding or market_of(venue).house == closing.funding + 1
    assert venue.wallets("ann") == RICH - market_of(venue).house


@pytest.mark.parametrize(("crowd", "other"), [(LONG, SHORT), (SHORT, LONG)])
def test_the_other_side_receives(crowd: Side, other: Side) -> None:
    venue = flow_venue()
    paying, receiving = open_one(venue, crowd, 2_000), open_one(venue, other, 500, "bob")
    pay_all(venue, until=START_MS + 5 * HOUR_MS)
    paid, received = (reductions(venue.close(each, ticker=STORY))[0].funding for each in (paying, receiving))

    assert paid > 0 > received
    assert paid > -received


def test_the_rate_grows_by_the_velocity_times_the_share_of_the_skew_cap() -> None:
    venue = flow_venue()
    open_one(venue)
    pay_all(venue, until=START_MS + 2 * HOUR_MS)
    market = market_of(venue)
    expected = Fraction(FLOW["funding_velocity"] * market.skew * 2 * HOUR_MS, PPB * market.params.max_skew * DAY_MS)
    rate = accrued_funding(market, Given(venue.at))[1]

    assert 0 <= expected - Fraction(rate, RATE) < Fraction(2 * HOUR_MS, RATE)


def test_funding_comes_first_at_the_price_and_skew_that_its_time_was_for() -> None:
    venue = flow_venue()
    open_one(venue)
    venue.at = Millis(START_MS + MINUTE_MS)
    before = market_of(venue).funding_index
    funding, price = done(venue.price(2 * STORY_PRICE, ticker=STORY))

    assert isinstance(funding, FundingAccrued)
    assert isinstance(price, PriceUpdated)
    assert (funding.at, funding.index_price) == (venue.at, STORY_PRICE)
    assert funding.index > before
    assert own_of((funding, price)) is price


def test_a_row_is_about_the_user_of_its_own_event() -> None:
    venue = flow_venue()
    position = open_one(venue)
    venue.at = Millis(START_MS + MINUTE_MS)
    events = done(venue.close(position, ticker=STORY))

    assert [type(event) for event in events] == [FundingAccrued, PositionReduced]
    assert subject_of(events) == "ann"
    assert venue.rows[-1].user_balance == venue.wallets("ann")
    assert subject_of(events[:1]) is None


def test_a_fill_has_the_index_of_its_moment() -> None:
    venue = flow_venue()
    open_one(venue)
    venue.at = Millis(START_MS + MINUTE_MS)
    later = open_one(venue, SHORT, 100, "bob")

    assert later.fill.funding_index == market_of(venue).funding_index > 0


def test_a_market_without_funding_makes_no_event_and_has_no_clock() -> None:
    venue = Books((quote_market(), STORY_PRICE))
    venue.add_user("ann")
    open_one(venue)

    assert observe(venue, START_MS + 5 * HOUR_MS) == ()
    done(venue.price(STORY_PRICE + 1, ticker=STORY))
    market = market_of(venue)
    assert (*funding_of(market), market.funding_at, market.hour_index) == (0, 0, 0, 0, 0)
    assert not any(isinstance(event, FundingAccrued) for event in done(venue.price(STORY_PRICE, ticker=STORY)))


def test_a_refused_command_moves_no_funding() -> None:
    venue = flow_venue()
    open_one(venue)
    rows = len(venue.rows)
    before = market_of(venue).image()
    venue.at = Millis(START_MS + 3 * HOUR_MS)

    assert refused(venue.open("ann", LONG, 1, ticker=STORY)).code is RejectCode.POSITION_SIZE_TOO_SMALL
    assert market_of(venue).image() == before
    assert len(venue.rows) == rows


@pytest.mark.parametrize(
    ("at", "kinds"),
    [
        (START_MS + ROW_AFTER_MS - 1, 0),
        (START_MS + ROW_AFTER_MS, 1),
        (HOUR - 1, 1),
        (HOUR, 1),
        (HOUR + 1, 2),
    ],
)
def test_time_alone_makes_a_row_at_full_hours_and_every_ten_minutes(at: int, kinds: int) -> None:
    venue = flow_venue()
    open_one(venue)
    events = observe(venue, at)

    assert [type(event) for event in events] == [FundingAccrued] * kinds
    if kinds:
        assert venue.rows[-1].kind == "time"


def test_no_row_is_made_where_only_time_passes() -> None:
    """Nobody holds a position and the rate is 0; both sides are equal; or the clock stands."""
    empty, level, shut = flow_venue(), flow_venue(), flow_venue()
    lots = open_one(level).position.lots
    done(level.open("bob", SHORT, abs(market_of(level).cost(-lots)), ticker=STORY, leverage=2))
    assert market_of(level).skew == 0
    open_one(shut)
    done(shut.mode(Mode.HALTED, ticker=STORY))
    for venue in (empty, level, shut):
        rows = len(venue.rows)
        pay_all(venue, until=START_MS + 3 * HOUR_MS, every_ms=ROW_AFTER_MS)
        assert len(venue.rows) == rows


def test_a_full_hour_is_noted_with_what_was_paid_since_the_one_before() -> None:
    venue = flow_venue()
    open_one(venue)
    pay_all(venue, until=HOUR + 3 * HOUR_MS)
    state = venue.replayed().markets[STORY]
    noted = [event for event in all_of(venue, FundingAccrued) if event.at % HOUR_MS == 0]

    assert [event.at for event in noted] == [HOUR + number * HOUR_MS for number in range(4)]
    assert sum(event.paid for event in noted) == noted[-1].index == state.hour_index
    assert all(event.paid > 0 for event in noted)


@pytest.mark.parametrize("why", ["halted", "stale"])
def test_an_hour_in_which_the_clock_stopped_is_noted_with_what_was_paid_until_then(why: str) -> None:
    venue = flow_venue(max_price_age=5 * MINUTE_MS)
    venue.at = Millis(HOUR)
    done(venue.price(STORY_PRICE, ticker=STORY))
    open_one(venue)
    if why == "halted":
        venue.at = Millis(HOUR + 5 * MINUTE_MS)
        done(venue.mode(Mode.HALTED, ticker=STORY))
    pay_all(venue, until=HOUR + 3 * HOUR_MS + MINUTE_MS)
    paid = market_of(venue).funding_index
    noted = [event for event in all_of(venue, FundingAccrued) if event.at % HOUR_MS == 0 and event.at > HOUR]

    assert [(event.at, event.paid, event.index) for event in noted] == [(HOUR + HOUR_MS, paid, paid)]
    assert paid > 0


def test_an_hour_in_which_everybody_left_is_noted_too() -> None:
    venue = flow_venue()
    position = open_one(venue)
    venue.at = Millis(START_MS + 10 * MINUTE_MS)
    done(venue.close(position, ticker=STORY))
    left = market_of(venue).funding_index
    venue.at = Millis(HOUR + 5 * MINUTE_MS)
    hour, _ = events_of(FundingAccrued, venue.price(STORY_PRICE, ticker=STORY))

    assert (hour.at, hour.paid, hour.index) == (HOUR, left, left)


def test_a_halt_stops_the_clock_and_reduce_only_does_not() -> None:
    halted, reducing = flow_venue(), flow_venue()
    for venue, mode in ((halted, Mode.HALTED), (reducing, Mode.REDUCE_ONLY)):
        open_one(venue)
        done(venue.mode(mode, ticker=STORY))
        stood = market_of(venue).funding_index
        for minute in range(1, 31):
            venue.at = Millis(START_MS + minute * MINUTE_MS)
            done(venue.price(STORY_PRICE + minute, ticker=STORY))
        done(venue.mode(Mode.ENABLED, ticker=STORY))
        assert (market_of(venue).funding_index > stood) is (mode is Mode.REDUCE_ONLY)
        assert market_of(venue).funding_at == venue.at


def test_the_clock_stands_while_the_price_is_too_old() -> None:
    venue, fresh = flow_venue(max_price_age=60_000), flow_venue()
    for each in (venue, fresh):
        open_one(each)
        pay_all(each, until=START_MS + 60_000, every_ms=7_000)
    observe(fresh, START_MS + 60_000)
    pay_all(venue, until=START_MS + 5 * MINUTE_MS, every_ms=7_000)
    done(venue.price(STORY_PRICE, ticker=STORY))
    done(fresh.price(STORY_PRICE, ticker=STORY))

    assert funding_of(market_of(venue)) == funding_of(market_of(fresh))


def test_nothing_counts_at_a_price_that_nobody_knows_the_age_of() -> None:
    venue = flow_venue(max_price_age=HOUR_MS)
    open_one(venue)
    market = market_of(venue)
    sure, unsure = (accrue(market, Given(Millis(START_MS + 60_000), doubtful)) for doubtful in (None, market.price_at))

    assert sure[-1].index > 0
    assert unsure[-1].index == 0


def test_of_time_that_nobody_saw_an_hour_counts() -> None:
    """After a week of downtime nobody is charged for a week."""
    seen, unseen = flow_venue(), flow_venue()
    for venue in (seen, unseen):
        open_one(venue)
    pay_all(seen, until=START_MS + HOUR_MS)
    observe(seen, START_MS + HOUR_MS)
    unseen.at = seen.at = Millis(START_MS + 7 * DAY_MS)
    done(unseen.price(STORY_PRICE, ticker=STORY))
    market = market_of(seen)

    assert market_of(unseen).funding_index == market.funding_index + accrue_more(seen, market)
    assert market_of(unseen).funding_at == START_MS + 7 * DAY_MS


def accrue_more(venue: Books, market: Market) -> int:
    """What an hour's observations have not noted yet."""
    return (
        accrue(market, Given(Millis(START_MS + HOUR_MS)))[-1].index - market.funding_index
        if (market.funding_at < START_MS + HOUR_MS)
        else 0
    )


def test_an_empty_market_forgets_its_rate_and_a_newcomer_begins_at_0() -> None:
    venue = flow_venue()
    position = open_one(venue, LONG, 3_000)
    pay_all(venue, until=START_MS + 12 * HOUR_MS)
    done(venue.close(position, ticker=STORY))
    market = market_of(venue)
    rate, index = market.funding_rate, market.funding_index
    assert rate == FLOW["max_funding_rate"] * PPB

    venue.at = Millis(venue.at + HOUR_MS)
    done(venue.price(STORY_PRICE, ticker=STORY))
    assert 0 < market.funding_rate < rate
    venue.at = Millis(venue.at + 6 * HOUR_MS)
    newcomer = open_one(venue, LONG, 100, "bob")

    assert (market.funding_rate, market.funding_index) == (0, index)
    assert reductions(venue.close(newcomer, ticker=STORY))[0].funding in (0, 1)


def test_at_a_constant_price_time_alone_liquidates() -> None:
    venue = flow_venue(max_leverage=6, maintenance_rate=PPB * 3 // 20)
    position = opened(venue.open("ann", LONG, 3_900 * MICRO, ticker=STORY, leverage=6))
    events: tuple[Any, ...] = ()
    while market_of(venue).positions and venue.at < START_MS + 20 * DAY_MS:
        events = observe(venue, venue.at + 30 * MINUTE_MS)
    funding, gone = events[:-1], events[-1]

    assert funding
    assert all(isinstance(event, FundingAccrued) for event in funding)
    assert isinstance(gone, PositionReduced)
    assert gone.position.number == position.position.number
    assert venue.rows[-1].kind == "time"
    assert venue.rows[-1].user_balance == venue.wallets("ann")
    assert gone.funding > 0
    assert gone.bad_debt == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_an_exhausted_index_halts_the_market_and_reduce_only_lets_everybody_leave(sign: int) -> None:
    venue = flow_venue()
    market = market_of(venue)
    position = open_one(venue, LONG if sign > 0 else SHORT, 10)
    bound = index_bound(market.params.max_open_interest)
    market.funding_index = FundingIndex(sign * (bound - 1))
    market.order, before = type(market.order)(), market.order  # nobody is due: the house would pay beyond all bounds
    market.funding_rate = sign * FLOW["max_funding_rate"] * PPB
    funding, price, halted = observe_price(venue, HOUR - MINUTE_MS)

    assert funding.index == market.funding_index == sign * bound
    assert isinstance(price, PriceUpdated)
    assert halted == ModeChanged(Mode.HALTED, EXHAUSTED)
    assert refused(venue.close(position, ticker=STORY)).code is RejectCode.MARKET_HALTED
    done(venue.mode(Mode.ENABLED, ticker=STORY))
    venue.at = Millis(venue.at + 1_000)
    assert observe(venue, venue.at + 1_000)[-1] == ModeChanged(Mode.HALTED, EXHAUSTED)
    market.order = before


def observe_price(venue: Books, at: int) -> tuple[Any, ...]:
    venue.at = Millis(at)
    return done(venue.price(STORY_PRICE, ticker=STORY))


def test_a_close_that_the_house_cannot_pay_takes_its_funding_back() -> None:
    venue = flow_venue(house_credit_limit=0)
    position = open_one(venue)
    done(venue.price(3 * STORY_PRICE, ticker=STORY))
    before, rows = funding_of(market_of(venue)), len(venue.rows)
    venue.at = Millis(START_MS + MINUTE_MS)

    assert refused(venue.close(position, ticker=STORY)).code is RejectCode.HOUSE_CANNOT_PAY
    assert (funding_of(market_of(venue)), len(venue.rows)) == (before, rows)


def test_without_funding_a_position_has_paid_nothing_however_it_is_closed() -> None:
    venue = Books((quote_market(), STORY_PRICE))
    venue.add_user("ann")
    for side in (LONG, SHORT):
        position = opened(venue.open("ann", side, 777 * MICRO, ticker=STORY, leverage=3))
        for share in (PPB // 3, PPB // 7, PPB // 11, PPB):
            closing = reductions(venue.close(position, share, ticker=STORY))[0]
            assert (closing.funding, closing.position.funding_paid) == (0, 0)
            assert funding_since_entry(closing.position, market_of(venue).params, FundingIndex(0)) == 0
            assert closing.position.entry_cost >= 0


@pytest.mark.parametrize("velocity", [Ppb(0), Ppb(PPB)])
def test_a_rate_that_was_left_behind_comes_within_a_lower_cap(velocity: Ppb) -> None:
    """Parameters can change; the market's rate then follows."""
    venue = flow_venue()
    open_one(venue)
    market = market_of(venue)
    market.funding_rate = 10**18
    changed = quote_market(funding_velocity=velocity, max_funding_rate=Ppb(PPB // 100 if velocity else 0))
    market.params = changed

    assert accrue(market, Given(Millis(START_MS + 1)))[-1].rate == changed.max_funding_rate * PPB


def test_a_price_command_is_what_its_row_is_called_after() -> None:
    venue = flow_venue()
    open_one(venue)
    venue.at = Millis(START_MS + 2 * HOUR_MS)
    events = done(venue.price(STORY_PRICE, ticker=STORY))

    assert [type(event) for event in events] == [FundingAccrued, FundingAccrued, PriceUpdated]
    assert venue.rows[-1].kind == UpdatePrice.kind
