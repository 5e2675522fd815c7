"""Presets of an exchange: its brackets by notional, as size tiers in lots at the listing price."""

import json
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest

from perps.market.listing import check_params
from perps.params import Preset, Tier
from perps.units import MICRO, PPB, Lots, Ppb
from perps.wire.base import Number
from tests.perps.market.test_presets import listed

BRACKETS: dict[str, list[dict[str, Any]]] = json.loads(files("web.api.bodies").joinpath("binance.json").read_text())[
    "brackets"
]
BRACKETED = [preset for preset in Preset if preset.coin is not None]


@pytest.mark.parametrize("price", ["64000", "0.35", "0.0000123"])
@pytest.mark.parametrize("preset", BRACKETED)
def test_an_exchange_s_brackets_become_lots_at_the_price_and_keep_the_rules(preset: Preset, price: str) -> None:
    command = listed(price, preset)
    params = command.params
    worth = command.price * params.unit

    assert check_params(params, command.price) is None
    assert (params.tiers[0].maintenance_rate, params.tiers[0].max_leverage) == (
        params.maintenance_rate,
        params.max_leverage,
    )
    for tier, bracket in zip(params.tiers, BRACKETS[str(preset.coin)], strict=True):
        assert tier.max_lots * worth <= int(bracket["max_notional"]) * MICRO < (tier.max_lots + 1) * worth
        assert (tier.maintenance_rate, tier.max_leverage) == (
            int(Decimal(bracket["maintenance_rate"]) * PPB),
            bracket["max_leverage"],
        )
    assert params.tiers[-1].max_lots >= params.max_open_interest
    assert params.max_step is not None
    assert params.max_step * params.max_leverage <= PPB


def test_the_brackets_of_bitcoin_are_those_of_the_exchange() -> None:
    """300,000 at 150 times and 0.4 %, 800,000 at 100 times and 0.5 %, … in lots of 6.40."""
    tiers = listed("64000", Preset.BINANCE_BTC).params.tiers

    assert len(tiers) == 12
    assert tiers[0] == Tier(Lots(46_875), Ppb(PPB // 250), 150)
    assert tiers[1] == Tier(Lots(125_000), Ppb(PPB // 200), 100)
    assert tiers[-1] == Tier(Lots(281_250_000), Ppb(PPB // 2), 1)


def test_a_named_leverage_and_rate_bound_the_brackets() -> None:
    params = listed("64000", Preset.BINANCE_BTC, max_leverage=50, maintenance_rate=Number("0.008")).params

    assert [(tier.max_leverage, tier.maintenance_rate) for tier in params.tiers[:5]] == [
        (50, PPB // 125),
        (50, PPB // 125),
        (50, PPB // 125),
        (50, PPB // 100),
        (25, PPB // 50),
    ]
    none = listed("64000", Preset.BINANCE_BTC, tiers=[]).params
    assert (none.tiers, none.max_leverage) == ((), 100)
