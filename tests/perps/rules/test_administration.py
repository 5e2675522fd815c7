"""Listings, modes and prices: what is taken, and what is refused as absurd, old, or out of sequence."""

from typing import Any

import pytest

from perps.commands import ListMarket, PriceSource, UpdatePrice
from perps.engine import apply
from perps.events import ModeChanged, PriceUpdated, Transfer, TransferKind
from perps.market.state import Market
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.listing import decide_list
from perps.rules.prices import SOURCE_CLOCK_AHEAD_MS_MAX, decide_price
from perps.rules.rule import Given
from perps.units import AMOUNT_MAX, Micros, Millis, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    START_MS,
    STORY_PRICE,
    Books,
    done,
    index_market,
    new_market,
    quote_market,
    refused,
)


def update(price: int = BTC_PRICE, **more: Any) -> UpdatePrice:
    return UpdatePrice(ticker=BTC, price=Ticks(price), **{"source": PriceSource.ORACLE, **more})


def taken(market: Market, command: UpdatePrice, at: int = START_MS) -> PriceUpdated:
    outcome = decide_price(market, command, Given(Millis(at)))
    assert not isinstance(outcome, Rejected)
    (event,) = outcome
    assert isinstance(event, PriceUpdated)
    apply(market, event)
    return event


def code(market: Market, command: UpdatePrice, at: int = START_MS) -> RejectCode:
    return refused(decide_price(market, command, Given(Millis(at)))).code


def test_a_listing_with_a_house_deposit_takes_it_from_the_world() -> None:
    params = index_market(house_deposit=5)
    outcome = decide_list(None, ListMarket(params=params, price=Ticks(BTC_PRICE)), Given(Millis(START_MS)))

    assert not isinstance(outcome, Rejected)
    (event,) = outcome
    assert event.transfers == (Transfer("world", f"house:{BTC}", Micros(5), TransferKind.HOUSE_DEPOSIT),)
    assert Market(event).house == 5


def test_a_listing_without_a_house_deposit_moves_nothing() -> None:
    outcome = decide_list(None, ListMarket(params=index_market(), price=Ticks(BTC_PRICE)), Given(Millis(START_MS)))

    assert not isinstance(outcome, Rejected)
    (event,) = outcome
    assert event.transfers == ()


def test_a_listing_that_breaks_a_rule_is_refused() -> None:
    outcome = decide_list(
        None, ListMarket(params=index_market(max_skew=0), price=Ticks(BTC_PRICE)), Given(Millis(START_MS))
    )

    assert refused(outcome).code is RejectCode.PARAMETERS_INCONSISTENT


@pytest.mark.parametrize("before", Mode)
@pytest.mark.parametrize("after", [Mode.ENABLED, Mode.REDUCE_ONLY, Mode.HALTED])
def test_any_mode_may_follow_any_mode(before: Mode, after: Mode) -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.mode(before)

    assert done(venue.mode(after)) == (ModeChanged(after, "administrator"),)
    assert venue.markets[BTC].mode is after


@pytest.mark.parametrize("mode", Mode)
def test_a_price_is_taken_in_every_mode(mode: Mode) -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.mode(mode)
    done(venue.price(BTC_PRICE + 1))

    assert venue.markets[BTC].index_price == BTC_PRICE + 1


@pytest.mark.parametrize(
    ("price", "ok"),
    [(1, True), (0, False), (-1, False), (AMOUNT_MAX // 20_000, True), (AMOUNT_MAX // 20_000 + 1, False)],
)
def test_an_absurd_price_is_no_price(price: int, ok: bool) -> None:
    outcome = decide_price(new_market(index_market(), BTC_PRICE), update(price), Given(Millis(START_MS)))

    assert ok or refused(outcome).code is RejectCode.VALIDATION_ERROR
    assert isinstance(outcome, Rejected) is not ok


@pytest.mark.parametrize(("ahead", "ok"), [(SOURCE_CLOCK_AHEAD_MS_MAX, True), (SOURCE_CLOCK_AHEAD_MS_MAX + 1, False)])
def test_a_source_may_be_a_little_ahead_of_the_venue_but_not_more(ahead: int, ok: bool) -> None:
    command = update(source_at=START_MS + ahead)
    outcome = decide_price(new_market(index_market(), BTC_PRICE), command, Given(Millis(START_MS)))

    assert isinstance(outcome, Rejected) is not ok


@pytest.mark.parametrize(("later", "ok"), [(-1, False), (0, True), (1, True)])
def test_a_sources_time_does_not_fall(later: int, ok: bool) -> None:
    market = new_market(index_market(), BTC_PRICE)
    taken(market, update(source_at=START_MS))
    outcome = decide_price(market, update(source_at=START_MS + later), Given(Millis(START_MS)))

    assert ok or refused(outcome).code is RejectCode.PRICE_STALE
    assert isinstance(outcome, Rejected) is not ok


@pytest.mark.parametrize(("sequence", "ok"), [(6, False), (7, False), (8, True), (100, True), (None, True)])
def test_a_sources_sequence_grows(sequence: int | None, ok: bool) -> None:
    market = new_market(index_market(), BTC_PRICE)
    taken(market, update(sequence=7))
    taken(market, update())
    outcome = decide_price(market, update(sequence=sequence), Given(Millis(START_MS)))

    assert ok or refused(outcome).facts == {"sequence": sequence, "known_sequence": 7}
    assert isinstance(outcome, Rejected) is not ok


def test_each_source_counts_for_itself() -> None:
    market = new_market(index_market(), BTC_PRICE)
    taken(market, update(sequence=7))
    taken(market, update(sequence=1, source=PriceSource.AGENT))

    assert code(market, update(sequence=7)) is RejectCode.PRICE_STALE
    assert code(market, update(sequence=1, source=PriceSource.AGENT)) is RejectCode.PRICE_STALE


def test_absurd_comes_before_old_and_the_future_before_the_sequence() -> None:
    market = new_market(index_market(), BTC_PRICE)
    taken(market, update(sequence=7, source_at=START_MS))

    assert code(market, update(0, sequence=7)) is RejectCode.VALIDATION_ERROR
    assert code(market, update(sequence=7, source_at=START_MS + 10**9)) is RejectCode.VALIDATION_ERROR


def test_a_price_says_which_mark_and_quote_follow_from_it() -> None:
    market = new_market(quote_market(), STORY_PRICE)
    market.long_lots = quote_market().max_skew
    event = taken(market, update(20_000, reason="a story"))

    assert (event.price, event.quote, event.mark) == (20_000, 20_800, 20_800)
    assert (market.index_price, market.quote, market.mark) == (20_000, 20_800, 20_800)
    assert (event.reason, market.price_at) == ("a story", START_MS)
