"""The slow model against sums done by hand: what everything else is measured by must itself be plain."""

from fractions import Fraction

import pytest

from tests.model.recompute import recompute_balances
from tests.model.slow_model import Trade
from tests.model.slow_rules import Rules, exact, micros

RULES = Rules.of(
    ticker="BTC-PERP",
    lot_size="0.01",
    skew_scale="100",
    taker_fee="0.001",
    liquidation_fee="0.002",
    referral_share="0.5",
    maintenance_rate="0.05",
)


def trade(user: str, position: str, kind: str, side: str, quantity: str, price: str, leverage: int = 1) -> Trade:
    return Trade.of(
        user=user,
        ticker="BTC-PERP",
        position=position,
        kind=kind,
        side=side,
        quantity=quantity,
        index_price=price,
        lot_size="0.01",
        leverage=leverage,
    )


OPEN = trade("ann", "1", "open", "buy", "2", "100.00", 10)


def books(*trades: Trade, referrers: dict[str, str | None] | None = None) -> dict[str, object]:
    venue = recompute_balances(
        markets=[RULES], deposits=[("ann", "1000"), ("bob", "5"), ("bob", "-2")], trades=trades, referrers=referrers
    )
    market = venue.markets["BTC-PERP"]
    assert venue.total() == 0
    return {
        **{user: Fraction(venue.wallets[user], 10**6) for user in ("ann", "bob")},
        "margin": Fraction(venue.margin("BTC-PERP"), 10**6),
        "house": Fraction(market.house, 10**6),
        "insurance": Fraction(market.insurance, 10**6),
        "fees": Fraction(venue.fees, 10**6),
    }


def test_an_open_costs_its_margin_and_its_fee() -> None:
    """2 units at 101 (the mean of 100 and 102) are 202: margin 20.20, fee 0.202."""
    assert books(OPEN) == {
        "ann": exact("979.598"),
        "bob": 3,
        "margin": exact("20.2"),
        "house": 0,
        "insurance": 0,
        "fees": exact("0.202"),
    }


def test_a_referrer_gets_his_part() -> None:
    after = books(OPEN, referrers={"ann": "bob"})

    assert (after["bob"], after["fees"]) == (exact("3.101"), exact("0.101"))


@pytest.mark.parametrize(("price", "gain", "fee"), [("110", "20.2", "0.2222"), ("100", "0", "0.202")])
def test_a_close_pays_what_the_price_has_made(price: str, gain: str, fee: str) -> None:
    """At 110 they fetch 222.2, which is 20.2 more; at 100, bought and sold at 101, there is nothing but fees."""
    after = books(OPEN, trade("ann", "1", "close", "sell", "2", price))

    assert after["ann"] == 1000 - exact("0.202") + exact(gain) - exact(fee)
    assert (after["margin"], after["house"]) == (0, -exact(gain))


def test_a_liquidation_pays_the_insurance_first() -> None:
    """At 95 they fetch 191.9: of the margin 10.1 is left, of which 0.3838 goes to the insurance."""
    after = books(OPEN, trade("ann", "1", "liquidation", "sell", "2", "95"))

    assert after["ann"] == exact("979.598") + exact("10.1") - exact("0.3838")
    assert (after["insurance"], after["house"], after["margin"]) == (exact("0.3838"), exact("10.1"), 0)


def test_bad_debt_costs_the_owner_his_margin_and_no_more() -> None:
    after = books(OPEN, trade("ann", "1", "liquidation", "sell", "2", "50"))

    assert (after["ann"], after["house"], after["insurance"]) == (exact("979.598"), exact("20.2"), 0)


def test_only_exact_numbers_are_taken() -> None:
    assert micros("12.345678") == 12_345_678
    with pytest.raises(ValueError):
        micros("0.0000001")
    with pytest.raises(TypeError):
        exact(0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        trade("ann", "1", "open", "buy", "0.005", "1")
