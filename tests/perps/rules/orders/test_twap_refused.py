"""TWAP orders that cannot be: each is refused with the number that would fit, and changes nothing."""

from typing import Any

import pytest

from perps.params import Mode
from perps.refusals import RejectCode
from perps.rules.orders.terms import ORDERS_PER_USER_MAX
from perps.rules.orders.twap import PER_USER_MAX
from perps.units import MICRO, Millis
from tests.perps.build import BTC_PRICE, done, full_state, refused
from tests.perps.rules.orders.resting import LIMIT, LONG, books, place
from tests.perps.rules.orders.slicing import MINUTE, twap

BAD: list[tuple[dict[str, Any], RejectCode, dict[str, Any]]] = [
    ({"slices": 1}, RejectCode.VALIDATION_ERROR, {"slices": 1}),
    ({"slices": 101}, RejectCode.VALIDATION_ERROR, {"slices": 101}),
    ({"interval": Millis(999)}, RejectCode.VALIDATION_ERROR, {"interval_ms": 999}),
    ({"interval": Millis(86_400_001)}, RejectCode.VALIDATION_ERROR, {"interval_ms": 86_400_001}),
    ({"leverage": 0}, RejectCode.VALIDATION_ERROR, {}),
    ({"leverage": 101}, RejectCode.LEVERAGE_TOO_HIGH, {"max_leverage": 100}),
    ({"size": 0}, RejectCode.VALIDATION_ERROR, {}),
    (
        {"size": 39},
        RejectCode.POSITION_SIZE_TOO_SMALL,
        {"smallest_slice_micros": 10 * MICRO, "smallest_size_micros": 40 * MICRO, "most_slices": 3},
    ),
    ({"size": 200_000}, RejectCode.POSITION_SIZE_TOO_LARGE, {"max_open_interest_lots": 20_000}),
    ({"size": 90_000, "leverage": 1, "user": "poor"}, RejectCode.INSUFFICIENT_FUNDS, {}),
]


@pytest.mark.parametrize(("fields", "code", "facts"), BAD, ids=lambda value: str(value)[:40])
def test_what_cannot_be_a_twap_is_refused_with_the_number_that_would_fit(
    fields: dict[str, Any], code: RejectCode, facts: dict[str, Any]
) -> None:
    venue = books()
    venue.add_user("poor", 100 * MICRO)
    before = full_state(venue.ledger, venue.markets)
    refusal = refused(twap(venue, **fields))
    assert refusal.code is code
    assert facts.items() <= refusal.facts.items()
    assert full_state(venue.ledger, venue.markets) == before


def test_an_expiry_before_the_last_slice_is_refused_with_the_time_of_that() -> None:
    venue = books()
    refusal = refused(twap(venue, expires_at=Millis(venue.at + 3 * MINUTE)))
    assert refusal.facts["last_slice_at_ms"] == venue.at + 3 * MINUTE
    done(twap(venue, expires_at=Millis(venue.at + 3 * MINUTE + 1)))


@pytest.mark.parametrize(
    ("mode", "code"),
    [(Mode.HALTED, RejectCode.MARKET_HALTED), (Mode.REDUCE_ONLY, RejectCode.MARKET_REDUCE_ONLY)],
)
def test_none_begins_where_nobody_may_open(mode: Mode, code: RejectCode) -> None:
    venue = books()
    done(venue.mode(mode))
    assert refused(twap(venue)).code is code


def test_none_begins_at_a_stale_price() -> None:
    venue = books(max_price_age=Millis(1_000))
    venue.at = Millis(venue.at + 1_001)
    assert refused(twap(venue)).code is RejectCode.PRICE_STALE


def test_a_user_has_ten_of_them_in_a_market_and_a_hundred_orders_of_all_kinds() -> None:
    venue = books()
    for _ in range(PER_USER_MAX):
        done(twap(venue, size=100))
    refusal = refused(twap(venue, size=100))
    assert (refusal.code, refusal.facts["maximum"]) == (RejectCode.TOO_MANY_OPEN_ORDERS, PER_USER_MAX)
    for _ in range(ORDERS_PER_USER_MAX):
        done(place(venue, "cid", LIMIT, LONG, BTC_PRICE // 2, 100))
    refusal = refused(twap(venue, "cid", size=100))
    assert (refusal.code, refusal.facts["maximum"]) == (RejectCode.TOO_MANY_OPEN_ORDERS, ORDERS_PER_USER_MAX)
