"""Average prices as text: exact to their last decimal, and never 0 where they are not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perps.units import MICRO, PICO, Pico
from tests.perps.build import index_market
from web.answers.decimals import average_price


@pytest.mark.parametrize(
    ("tick", "places"),
    [
        ("1", 8),
        ("0.5", 8),
        ("0.01", 8),
        ("0.001", 8),
        ("0.000001", 8),
        ("0.0000001", 13),
        ("0.00000025", 14),
        ("0.000000000001", 18),
    ],
)
def test_an_average_price_has_eight_decimals_or_six_more_than_a_fine_tick(tick: str, places: int) -> None:
    params = index_market(tick_size=Pico(int(Fraction(tick) * PICO)), lot_size=Pico(PICO))

    assert average_price(MICRO, 3, params) == "0." + "3" * places


@pytest.mark.parametrize(
    ("cost", "lots", "shown"),
    [
        (999_000_050, 999, "10000.0005005"),
        (-999_000_050, -999, "10000.0005005"),
        (999_000_000, 999, "10000.00"),
        (1_048_950_053, 999, "10500.00053053"),
        (0, 5, "0.00"),
        (5, 0, "0.00"),
    ],
)
def test_an_average_price_of_an_ordinary_market_reads_as_ever(cost: int, lots: int, shown: str) -> None:
    assert average_price(cost, lots, index_market()) == shown


@given(
    cost=st.integers(-(10**18), 10**18),
    lots=st.integers(-(2**60), 2**60).filter(bool),
    tick=st.integers(1, 10**18),
    lot=st.integers(1, 2**63 - 1),
)
def test_an_average_price_is_rounded_down_and_never_to_nothing(cost: int, lots: int, tick: int, lot: int) -> None:
    exact = abs(Fraction(cost, MICRO) / (lots * Fraction(lot, PICO)))

    shown = average_price(cost, lots, index_market(tick_size=Pico(tick), lot_size=Pico(lot)))

    assert 0 <= exact - Fraction(shown) < min(Fraction(1, 10**8), Fraction(tick, PICO) * 10)
    assert (Fraction(shown) == 0) is (exact == 0)
