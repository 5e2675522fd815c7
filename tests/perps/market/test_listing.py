"""What a listing must keep: each rule, broken alone, is named."""

from typing import Any

import pytest

from perps.market.listing import check_params
from perps.params import LEVERAGE_MAX, MarketParams
from perps.refusals import RejectCode
from perps.units import AMOUNT_MAX, MICRO, PICO, PPB, Ticks
from tests.perps.build import BTC_PRICE, STORY_PRICE, index_market, quote_market, refused

TICKS_AND_LOTS = "tickSize × lotSize is a whole number of micros, at least 1"
SKEW = "0 < maxSkew < skewScale"
INTEREST = "0 < maxOpenInterest"
LEVERAGE = f"1 ≤ maxLeverage ≤ {LEVERAGE_MAX}"
REFERRAL = "0 ≤ referralShare ≤ 1"
FEES = "0 ≤ makerFee and 0 ≤ takerFee"
MAINTENANCE = "0 < maintenanceRate < 1/maxLeverage"
FIXED = "0 ≤ maintenanceFixed"
LIQUIDATION_FEE = "takerFee ≤ liquidationFee"
EXIT = "liquidationFee + takerFee + worst exit impact ≤ maintenanceRate"
BOTH = "fundingVelocity and maxFundingRate are both 0 or both above 0"
FUNDING_MARGIN = "maxFundingRate × maxLeverage ≤ 1/3"
FUNDING_ROOM = "ten years at maxFundingRate fit the funding index, at this price and for the whole maxOpenInterest"

BROKEN: list[tuple[str, dict[str, Any]]] = [
    (TICKS_AND_LOTS, {"tick_size": 0}),
    (TICKS_AND_LOTS, {"lot_size": -1}),
    (TICKS_AND_LOTS, {"tick_size": -1, "lot_size": -(PICO * MICRO)}),
    (TICKS_AND_LOTS, {"tick_size": 1, "lot_size": 1}),
    (TICKS_AND_LOTS, {"tick_size": PICO // 100 + 1}),
    (SKEW, {"max_skew": 0}),
    (SKEW, {"max_skew": -1}),
    (SKEW, {"max_skew": 10_000_000}),
    (INTEREST, {"max_open_interest": 0}),
    (LEVERAGE, {"max_leverage": 0}),
    (LEVERAGE, {"max_leverage": -1}),
    (LEVERAGE, {"max_leverage": LEVERAGE_MAX + 1}),
    (REFERRAL, {"referral_share": PPB + 1}),
    (REFERRAL, {"referral_share": -1}),
    (FEES, {"maker_fee": -1}),
    (FEES, {"taker_fee": -1}),
    ("0 < minOrderSize", {"min_order_size": 0}),
    ("0 ≤ houseDeposit ≤ 10^12", {"house_deposit": -1}),
    (MAINTENANCE, {"maintenance_rate": 0}),
    (MAINTENANCE, {"maintenance_rate": PPB // 100}),
    (FIXED, {"maintenance_fixed": -1}),
    (LIQUIDATION_FEE, {"liquidation_fee": PPB // 1000 - 1}),
    (EXIT, {"liquidation_fee": PPB // 500 + 1}),
    (EXIT, {"taker_fee": PPB // 1000 + 1}),
    (EXIT, {"max_skew": 10_001}),
    (EXIT, {"max_open_interest": 20_001}),
    (EXIT, {"max_skew": 1, "max_open_interest": 20_001}),
    (EXIT, {"skew_scale": 9_999_999}),
    (EXIT, {"maintenance_rate": PPB // 200 - 1}),
    (BOTH, {"funding_velocity": 1}),
    (BOTH, {"max_funding_rate": 1}),
    (BOTH, {"funding_velocity": -1, "max_funding_rate": -1}),
    (BOTH, {"funding_velocity": -1}),
    (FUNDING_MARGIN, {"funding_velocity": 1, "max_funding_rate": PPB // 300 + 1}),
    (
        FUNDING_ROOM,
        {
            "funding_velocity": 1,
            "max_funding_rate": PPB // 10**4,
            "max_open_interest": 20_000,
            "tick_size": PICO,
            "lot_size": PICO // 10,
        },
    ),
]


@pytest.mark.parametrize(("params", "price"), [(index_market(), BTC_PRICE), (quote_market(), STORY_PRICE)])
def test_a_consistent_market_breaks_no_rule(params: MarketParams, price: int) -> None:
    assert check_params(params, Ticks(price)) is None


def _field(fact: str) -> str:
    """The parameter that a fact tells: without its unit."""
    head, _, unit = fact.rpartition("_")
    return head if unit in ("ppb", "lots", "micros", "ticks", "pico") else fact


@pytest.mark.parametrize(("rule", "changes"), BROKEN)
def test_a_rule_broken_alone_is_reported_by_name(rule: str, changes: dict[str, Any]) -> None:
    broken = refused(check_params(index_market(**changes), Ticks(BTC_PRICE)))

    assert broken.code is RejectCode.PARAMETERS_INCONSISTENT
    assert broken.facts["rule"] == rule
    named = {_field(key) for key in broken.facts if key != "rule"}
    assert not named or named & changes.keys(), "the numbers compared are those of the parameters that break it"
    assert not broken.may_succeed_later


@pytest.mark.parametrize("rate", [1, PPB // 300])
def test_a_rate_up_to_a_third_of_the_least_margin_is_taken(rate: int) -> None:
    assert check_params(index_market(funding_velocity=3 * rate, max_funding_rate=rate), Ticks(BTC_PRICE)) is None


@pytest.mark.parametrize("price", [0, -1])
def test_a_price_below_one_tick_lists_nothing(price: int) -> None:
    broken = refused(check_params(index_market(), Ticks(price)))

    assert broken.facts == {"rule": "price is a whole number of ticks, at least 1", "price_ticks": price}


@pytest.mark.parametrize(("price", "fits"), [(AMOUNT_MAX // 20_000, True), (AMOUNT_MAX // 20_000 + 1, False)])
def test_open_interest_is_worth_at_most_10_12(price: int, fits: bool) -> None:
    assert (check_params(index_market(), Ticks(price)) is None) is fits


def test_the_house_may_be_given_the_most_a_command_may_name_and_no_more() -> None:
    assert check_params(index_market(house_deposit=AMOUNT_MAX), Ticks(BTC_PRICE)) is None
    assert check_params(index_market(house_deposit=AMOUNT_MAX + 1), Ticks(BTC_PRICE)) is not None


@pytest.mark.parametrize(("tick", "lot", "unit"), [(100, 10_000, 1), (100, 100, 100), (1, 1, MICRO)])
def test_the_unit_is_micros_per_tick_and_lot(tick: int, lot: int, unit: int) -> None:
    assert index_market(tick_size=PICO // tick, lot_size=PICO // lot).unit == unit
