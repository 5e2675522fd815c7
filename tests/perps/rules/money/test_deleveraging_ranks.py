"""Whom a deleveraging passes over, and by what it ranks."""

from unittest.mock import DEFAULT, patch

import pytest

from perps.commands import ClosePosition
from perps.market.deleveraging import Deleveraging
from perps.rules.closing import gain
from perps.rules.deleveraging import _ranked
from perps.units import MICRO, PPB, Lots, Micros, Ppb
from tests.perps.build import BTC, BTC_PRICE, STORY, STORY_PRICE, Books, done, opened, quote_market
from tests.perps.rules.money.test_deleveraging import NO_FEES, UP, left, poor, rank
from tests.perps.rules.trying import LONG, SHORT


def test_winners_of_the_other_side_stay_in() -> None:
    venue = poor(1_000)
    done(venue.price(BTC_PRICE * 12 // 10))
    opened(venue.open("bob", SHORT, 2_000 * MICRO, leverage=10))
    done(venue.price(BTC_PRICE))
    opened(venue.open("ann", LONG, 9_000 * MICRO, leverage=2))

    events = left(venue.price(UP))

    assert rank(venue.markets[BTC], 1) > 0
    assert {event.position.user for event in events} == {"ann"}


def test_of_equals_the_oldest_leaves_first() -> None:
    """In a market so deep that all buy at one price."""
    venue = poor(1_000, skew_scale=Lots(10**15))
    for user in ("cid", "ann", "bob"):
        opened(venue.open(user, LONG, 3_000 * MICRO, leverage=2))

    events = left(venue.price(BTC_PRICE * 1095 // 1000))

    assert [event.position.number for event in events] == [1, 2]


def test_who_leaves_changes_no_rank_of_those_who_stay() -> None:
    """Where the mark is the quote it falls when they leave: ranks are those of the beginning."""
    venue = Books((quote_market(**NO_FEES), STORY_PRICE))
    venue.add_user("ann")
    for leverage in (2, 3, 5):
        opened(venue.open("ann", LONG, 1_000 * MICRO, ticker=STORY, leverage=leverage))
    market = venue.markets[STORY]
    begun = Deleveraging(market.index_price, market.skew, market.funding_index, Micros(1), Micros(1))

    before = {each.position.number: (each.over, each.under) for each in _ranked(market, begun)}
    done(venue.send(ClosePosition(ticker=STORY, user="ann", position_id=f"{STORY}-3", share=Ppb(PPB))))
    after = {each.position.number: (each.over, each.under) for each in _ranked(market, begun)}

    assert len(after) >= 1
    assert after.items() <= before.items()


def test_a_crowd_whom_the_house_cannot_pay_costs_no_trade_that_comes_to_nothing() -> None:
    """It is looked at behind each price: R is more than all the house has, so no part of anybody is enough."""
    venue = poor(5)
    for _ in range(50):
        opened(venue.open("ann", LONG, 100 * MICRO, leverage=2))
    assert left(venue.price(UP)) == []

    tried = patch.multiple("perps.rules.deleveraging", reduce=DEFAULT, _Rank=DEFAULT)
    with tried as mocks:
        for price in (UP + 1, UP - 1, UP * 2):
            assert left(venue.price(price)) == []
    assert not any(mock.called for mock in mocks.values())


@pytest.mark.parametrize(("limit", "numbers"), [(200, {1, 2}), (20, set())])
def test_who_gains_more_than_the_house_can_pay_has_a_rank_if_another_can_leave(limit: int, numbers: set[int]) -> None:
    """When the other leaves the quote falls, and then the house may be able to pay."""
    venue = poor(limit, deleveraging=False)
    opened(venue.open("bob", LONG, 9_000 * MICRO, leverage=2))
    opened(venue.open("ann", LONG, 500 * MICRO, leverage=2))
    done(venue.price(UP))
    market = venue.markets[BTC]
    begun = Deleveraging(market.index_price, market.skew, market.funding_index, Micros(1), Micros(1))
    assert gain(market, market.positions[1]) > market.house + market.params.house_credit

    assert {each.position.number for each in _ranked(market, begun)} == numbers
