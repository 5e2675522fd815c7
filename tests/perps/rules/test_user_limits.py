"""What one user may hold in a market: positions, and notional of both sides together."""

from typing import Any

import pytest

from perps.commands import UpdateMarket
from perps.events import PositionIncreased, PositionOpened
from perps.market.listing import check_params
from perps.market.state import Market
from perps.params import Mode, ParamChanges
from perps.refusals import RejectCode, Rejected
from perps.rules.opening import decide_open
from perps.rules.rule import Given
from perps.units import MICRO, Micros, Millis, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    RICH,
    START_MS,
    Books,
    done,
    index_market,
    new_open,
    opened,
    refused,
)
from tests.perps.rules.trying import LONG, SHORT, SIZE, fresh, must_open, try_close, try_open


def more(market: Market, size: int = SIZE, **changes: Any) -> PositionOpened | PositionIncreased | Rejected:
    """Of the first position."""
    command = new_open("ann", LONG, size, position=f"{BTC}-1", **changes)
    outcome = decide_open(market, command, Given(Millis(START_MS), held=Micros(RICH)))
    return outcome if isinstance(outcome, Rejected) else outcome[0]


def test_so_many_positions_and_not_one_more() -> None:
    market = fresh(max_positions_per_user=2)
    must_open(market)
    must_open(market, side=SHORT)
    refusal = refused(try_open(market))
    assert refusal.code is RejectCode.USER_LIMIT_EXCEEDED
    assert refusal.facts == {"positions": 3, "max_positions_per_user": 2}
    assert refusal.may_succeed_later
    assert isinstance(more(market), PositionIncreased), "an increase makes no position"
    assert not isinstance(try_close(market), Rejected)


def test_notional_of_both_sides_and_of_increases_counts_at_the_index_price() -> None:
    lot = BTC_PRICE
    market = fresh(max_notional_per_user=Micros(1_000 * lot))
    first = must_open(market, 400 * lot + lot // 2).position
    second = must_open(market, 500 * lot + lot // 2, SHORT).position
    held = abs(first.lots) + abs(second.lots)
    left = 1_000 - held
    refusal = refused(try_open(market, (left + 1) * lot + lot // 2))
    assert refusal.code is RejectCode.USER_LIMIT_EXCEEDED
    assert refusal.facts == {"notional_micros": 1_001 * lot, "max_notional_per_user_micros": 1_000 * lot}
    assert refused(more(market, (left + 1) * lot + lot // 2)).code is RejectCode.USER_LIMIT_EXCEEDED
    assert isinstance(more(market, left * lot + lot // 2), PositionIncreased)
    market.index_price = Ticks(2 * BTC_PRICE)
    assert refused(try_open(market, 2 * lot + lot // 2)).code is RejectCode.USER_LIMIT_EXCEEDED


def test_others_have_limits_of_their_own_and_what_is_closed_is_free_again() -> None:
    venue = Books((index_market(max_positions_per_user=1), BTC_PRICE))
    for user in ("ann", "bob"):
        venue.add_user(user)
    first = opened(venue.open("ann", LONG, SIZE))
    opened(venue.open("bob", LONG, SIZE))
    assert refused(venue.open("ann", LONG, SIZE)).code is RejectCode.USER_LIMIT_EXCEEDED
    done(venue.close(first, 500_000_000))
    assert refused(venue.open("ann", LONG, SIZE)).code is RejectCode.USER_LIMIT_EXCEEDED
    done(venue.close(first))
    opened(venue.open("ann", LONG, SIZE))
    market, again = venue.markets[BTC], venue.replayed().markets[BTC]
    assert market.held == again.held == Market.from_image(market.image()).held == market.follower().held
    assert set(market.held) == {"ann", "bob"}
    market.follower().held.clear()
    assert market.held, "a follower's is its own"


def test_what_users_hold_is_the_sum_over_their_positions_after_liquidations_too() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    for leverage in (100, 50, 2):
        opened(venue.open("ann", LONG, SIZE, leverage=leverage))
    done(venue.price(BTC_PRICE * 975 // 1_000))
    market = venue.markets[BTC]
    lots = sum(abs(position.lots) for position in market.positions.values())
    assert market.held == {"ann": (1, lots)}
    done(venue.price(BTC_PRICE // 3))
    assert market.held == {}


def test_what_users_hold_is_kept_by_exits_margin_and_a_settlement() -> None:
    venue = Books((index_market(), BTC_PRICE))
    for user in ("ann", "bob"):
        venue.add_user(user)
    first = opened(venue.open("ann", LONG, SIZE, take_profit=Ticks(BTC_PRICE * 11 // 10)))
    second = opened(venue.open("ann", LONG, SIZE, leverage=5))
    third = opened(venue.open("bob", SHORT, SIZE, leverage=5))
    market = venue.markets[BTC]
    assert market.held["ann"] == (2, first.position.lots + second.position.lots)
    done(venue.price(BTC_PRICE * 11 // 10))
    assert market.held == {"ann": (1, second.position.lots), "bob": (1, -third.position.lots)}
    done(venue.mode(Mode.SETTLED))
    assert market.held == venue.replayed().markets[BTC].held == {}


def test_an_administrator_sets_limits_and_takes_them_away() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("ann")
    opened(venue.open("ann", LONG, SIZE))
    limits: tuple[dict[str, Any], ...] = ({"max_positions_per_user": 1}, {"max_notional_per_user": Micros(SIZE)})
    for limit in limits:
        done(venue.send(UpdateMarket(ticker=BTC, changes=ParamChanges(**limit))))
        assert refused(venue.open("ann", LONG, SIZE)).code is RejectCode.USER_LIMIT_EXCEEDED
        none: dict[str, Any] = dict.fromkeys(limit)
        done(venue.send(UpdateMarket(ticker=BTC, changes=ParamChanges(**none))))
        opened(venue.open("ann", LONG, SIZE))


@pytest.mark.parametrize("changes", [{"max_positions_per_user": 0}, {"max_notional_per_user": Micros(0)}])
def test_a_limit_of_nothing_is_no_limit(changes: dict[str, Any]) -> None:
    assert refused(check_params(index_market(**changes), Ticks(BTC_PRICE))).code is RejectCode.PARAMETERS_INCONSISTENT
    some = dict.fromkeys(changes, MICRO)
    assert check_params(index_market(**some), Ticks(BTC_PRICE)) is None
