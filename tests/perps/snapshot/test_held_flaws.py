"""A snapshot whose held price cannot be one is refused, and one that can be is taken."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from perps.commands import PriceSource
from perps.market.holding import HeldPrice
from perps.snapshot.checks import market_flaw
from perps.snapshot.images import MarketImage
from perps.units import PPB, Millis, Ticks
from tests.perps.build import BTC, BTC_PRICE, START_MS, index_market, new_market

HELD = HeldPrice(Ticks(1), 1, PriceSource.ORACLE, Millis(START_MS), Millis(START_MS + 1))


def flaw(held: HeldPrice | None = HELD, **changes: Any) -> str | None:
    market = new_market(index_market(**{"price_band": PPB, **changes}), BTC_PRICE)
    market.seq, market.held_price, market.at = 1, held, Millis(START_MS)
    image = market.image()
    return market_flaw(BTC, MarketImage.from_chunks(list(image.chunks())))


@pytest.mark.parametrize("field", ["price", "count"])
def test_a_held_price_is_at_least_one_of_each(field: str) -> None:
    assert flaw() is None
    assert flaw(replace(HELD, **{field: 0})) is not None


@pytest.mark.parametrize(("field", "value"), [("at", START_MS + 1), ("at", 2**62), ("until", 2**62)])
def test_a_held_price_has_its_times(field: str, value: int) -> None:
    assert flaw(replace(HELD, **{field: value})) is not None


def test_a_market_without_a_band_holds_nothing() -> None:
    assert flaw(price_band=None) is not None
    assert flaw(None, price_band=None) is None
