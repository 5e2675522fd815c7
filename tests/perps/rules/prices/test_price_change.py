"""A price moved by a fraction: computed where the price is, so no update is lost; up and down again leads back."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perps.commands import PriceSource, UpdatePrice
from perps.events import PriceHeld, PriceUpdated
from perps.refusals import RejectCode
from perps.rules.prices import changed, decide_price
from perps.rules.rule import Given
from perps.units import PPB, Millis, Ppb, Ticks
from tests.perps.build import START_MS, STORY, STORY_PRICE, Books, done, events_of, new_market, quote_market, refused

CHANGES = st.integers(-PPB, PPB)


def story(change: int | None, price: int | None = None, sequence: int | None = None) -> UpdatePrice:
    return UpdatePrice(
        ticker=STORY,
        price=None if price is None else Ticks(price),
        change=None if change is None else Ppb(change),
        source=PriceSource.EVENT,
        sequence=sequence,
    )


@pytest.mark.parametrize(
    ("price", "change", "new"),
    [
        (10_000, 3 * PPB // 100, 10_300),
        (10_300, -3 * PPB // 100, 10_000),
        (10_000, -PPB, 5_000),
        (10_000, PPB, 20_000),
        (150, PPB // 100, 152),  # 151.5: half up
        (10_000, 0, 10_000),
        (10_000, 1, 10_001),  # at least one tick
        (10_000, -1, 9_999),
        (1, -1, 0),  # the rule refuses it
    ],
)
def test_a_change_multiplies_up_and_divides_down(price: int, change: int, new: int) -> None:
    assert changed(Ticks(price), Ppb(change)) == new


@given(st.integers(1, 10**12), CHANGES)
def test_it_is_the_nearest_tick_half_up_and_one_tick_at_least(price: int, change: int) -> None:
    part = Fraction(change, PPB)
    exact = price * (1 + part) if change >= 0 else price / (1 - part)
    nearest = floor(exact + Fraction(1, 2))

    new = changed(Ticks(price), Ppb(change))

    assert new == (nearest if nearest != price or not change else price + (1 if change > 0 else -1))


@given(st.integers(100, 10**12), st.integers(1, PPB))
def test_up_and_down_by_the_same_fraction_leads_back(price: int, change: int) -> None:
    """Up and down: to the tick, unless up was the one tick that a small change is given. Down and up: to one tick."""
    assert abs(changed(changed(Ticks(price), Ppb(change)), Ppb(-change)) - price) <= 1
    down_up = changed(changed(Ticks(price), Ppb(-change)), Ppb(change))
    assert abs(down_up - price) <= 1


@pytest.mark.parametrize(("change", "fits"), [(PPB // 5, True), (PPB // 5 + 1, False), (-PPB // 5, True)])
def test_a_change_beyond_one_over_the_leverage_is_refused(change: int, fits: bool) -> None:
    market = new_market(quote_market(), STORY_PRICE)
    outcome = decide_price(market, story(change), Given(Millis(START_MS)))
    if fits:
        assert isinstance(outcome, tuple)
        return
    refusal = refused(outcome)
    assert refusal.code is RejectCode.VALIDATION_ERROR
    assert refusal.facts["largest_change_ppb"] == PPB // 5
    down = refused(decide_price(market, story(-change), Given(Millis(START_MS))))
    assert down.facts["change_ppb"] == -change


@pytest.mark.parametrize(("change", "price"), [(None, None), (PPB // 100, 10_000)])
def test_a_command_names_a_price_or_a_change(change: int | None, price: int | None) -> None:
    market = new_market(quote_market(), STORY_PRICE)
    refusal = refused(decide_price(market, story(change, price), Given(Millis(START_MS))))

    assert refusal.facts["rule"] == "either price or change"


def test_a_price_of_one_tick_cannot_fall() -> None:
    market = new_market(quote_market(), 1)
    refusal = refused(decide_price(market, story(-1), Given(Millis(START_MS))))

    assert refusal.facts["price_ticks"] == 0


def test_two_stories_at_once_both_count() -> None:
    venue = Books((quote_market(), STORY_PRICE))
    for _ in range(2):
        venue.send(story(PPB // 10))

    assert venue.markets[STORY].index_price == 12_100
    assert venue.replayed().markets[STORY].index_price == 12_100


def test_the_row_carries_the_price_and_the_sequence_guards_it() -> None:
    venue = Books((quote_market(), STORY_PRICE))
    (told,) = events_of(PriceUpdated, venue.send(story(PPB // 100, sequence=7)))

    assert (told.price, told.quote, told.mark, told.sequence) == (10_100, 10_100, 10_100, 7)
    assert refused(venue.send(story(PPB // 100, sequence=7))).code is RejectCode.PRICE_STALE


def test_a_change_beyond_the_band_is_held_until_it_is_said_again() -> None:
    """It counts from the index, which stays: the same change again is the same price."""
    venue = Books((quote_market(price_band=Ppb(PPB // 20)), STORY_PRICE))
    for expected in (10_000, 10_000, 11_000):
        venue.at = Millis(venue.at + 1)
        outcome = done(venue.send(story(PPB // 10)))
        assert venue.markets[STORY].index_price == expected
        assert isinstance(outcome[0], PriceUpdated if expected == 11_000 else PriceHeld)
    assert venue.replayed().markets[STORY].index_price == 11_000
