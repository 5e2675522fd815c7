"""Size tiers of a listing: those that it names, or an exchange's brackets, turned into lots at its price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.resources import files
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from perps.market.presets import Recipe
from perps.params import Tier
from perps.units import MICRO, PPB, Lots, Ppb, div_floor
from perps.wire.listing import MarketBody, TierBody
from web.api.bodies.units import lots, rate, rate_or

BRACKETS: Final = "binance.json"
"""Brackets of Binance's USDⓈ-M perpetual futures by coin, in US dollars: beside this file. Its head says its source."""


class Leverage(NamedTuple):
    """How much leverage a market gives, what a position must keep, and how both go by size."""

    highest: int
    maintenance: Ppb
    tiers: tuple[Tier, ...]


def leverage_of(body: MarketBody, recipe: Recipe, lot_size: int, lot_worth: int) -> Leverage:
    """What a listing asks for. ``lot_worth``: of a lot at its price, micros.

    A leverage or a rate that it names bounds an exchange's brackets; tiers that it names are taken as they are.
    """
    rate_named = None if body.maintenance_rate is None else rate(body.maintenance_rate, "maintenanceRate")
    tiers = tiers_of(body.tiers or (), lot_size)
    if body.tiers is None and body.preset is not None and body.preset.coin is not None:
        tiers = _bounded(_bracketed(body.preset.coin, lot_worth), body.max_leverage, rate_named)
    first = tiers[0] if tiers else None
    highest = body.max_leverage or (first.max_leverage if first else recipe.max_leverage)
    by_default = first.maintenance_rate if first else div_floor(PPB, 2 * highest)
    return Leverage(highest, rate_or(by_default, body.maintenance_rate, "maintenanceRate"), tiers)


def tiers_of(given: Sequence[TierBody], lot_size: int) -> tuple[Tier, ...]:
    """The tiers that a body names. Whether they fit together, the listing rules say."""
    return tuple(
        Tier(
            lots(tier.max_quantity, lot_size, f"tiers[{number}].maxQuantity") or Lots(0),
            rate(tier.maintenance_rate, f"tiers[{number}].maintenanceRate"),
            tier.max_leverage,
        )
        for number, tier in enumerate(given)
    )


class _Bracket(Struct, frozen=True):
    max_notional: Decimal
    maintenance_rate: Decimal
    max_leverage: int


class _Brackets(Struct, frozen=True):
    source: str
    brackets: Mapping[str, tuple[_Bracket, ...]]


def _read() -> Mapping[str, tuple[_Bracket, ...]]:
    stored = files(__package__).joinpath(BRACKETS).read_bytes()
    return msgspec.json.decode(stored, type=_Brackets).brackets


_BRACKETS: Final = _read()
"""Read once, at the start: a request never waits for a file."""


def _bracketed(coin: str, lot_worth: int) -> tuple[Tier, ...]:
    """A coin's brackets in lots, each rounded down, so that none is larger than on the exchange."""
    return tuple(
        Tier(
            Lots(div_floor(int(bracket.max_notional * MICRO), lot_worth)),
            Ppb(int(bracket.maintenance_rate * PPB)),
            bracket.max_leverage,
        )
        for bracket in _BRACKETS[coin]
    )


def _bounded(tiers: tuple[Tier, ...], leverage: int | None, maintenance: Ppb | None) -> tuple[Tier, ...]:
    """Tiers under a highest leverage and over a lowest rate, where these are named."""
    highest = tiers[0].max_leverage if leverage is None else leverage
    lowest = tiers[0].maintenance_rate if maintenance is None else maintenance
    first = Tier(tiers[0].max_lots, lowest, highest)
    later = [
        Tier(tier.max_lots, max(tier.maintenance_rate, lowest), min(tier.max_leverage, highest)) for tier in tiers[1:]
    ]
    return (first, *later)
