"""A snapshot whose funding or exits cannot be those of a market is refused, and one that can be is taken."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from perps.market.funding import CARRY, INDEX_MAX
from perps.snapshot.checks import market_flaw
from perps.snapshot.images import MarketImage
from perps.units import INTEGER_MAX
from tests.perps.build import START_MS, STORY, STORY_PRICE, new_market, new_position, quote_market

PARAMS = quote_market(funding_velocity=2, max_funding_rate=1)


def flaw(**changes: Any) -> str | None:
    market = new_market(PARAMS, STORY_PRICE)
    market.seq = 1
    image = market.image()
    return market_flaw(STORY, MarketImage(replace(image.head, **changes), image.positions))


@pytest.mark.parametrize(
    ("field", "within", "beyond"),
    [
        ("funding_index", INDEX_MAX, INDEX_MAX + 1),
        ("funding_index", -INDEX_MAX, -INDEX_MAX - 1),
        ("hour_index", INDEX_MAX, INDEX_MAX + 1),
        ("funding_rate", -INTEGER_MAX, -INTEGER_MAX - 1),
        ("funding_carry", CARRY - 1, CARRY),
        ("funding_carry", 0, -1),
        ("funding_at", START_MS, START_MS + 1),
    ],
)
def test_each_number_of_the_funding_has_its_bounds(field: str, within: int, beyond: int) -> None:
    assert flaw(**{field: within}) is None
    assert flaw(**{field: beyond}) is not None


@pytest.mark.parametrize("field", ["max_skew", "max_open_interest"])
def test_what_funding_divides_by_is_not_0(field: str) -> None:
    assert flaw(params=replace(PARAMS, **{field: 0})) is not None


@pytest.mark.parametrize("field", ["take_profit", "stop_loss"])
def test_a_position_leaves_at_a_price(field: str) -> None:
    image = new_market(PARAMS, STORY_PRICE).image()
    head = replace(image.head, seq=1, next_number=2)
    for price, fine in ((None, True), (1, True), (INTEGER_MAX, True), (0, False), (-1, False), (2**63, False)):
        found = market_flaw(STORY, MarketImage(head, (new_position(**{field: price}),)))
        assert (found is None) is fine, (price, found)
