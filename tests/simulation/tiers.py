"""Size tiers of the simulated markets."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from perps.params import MarketParams, Tier
from perps.units import Lots, Ppb


def tiers_of(params: MarketParams) -> tuple[Tier, ...]:
    """Three tiers that fit a market; the last covers its open interest."""
    rate, leverage, lots = params.maintenance_rate, params.max_leverage, params.max_open_interest
    return (
        Tier(Lots(max(lots // 100, 1)), rate, leverage),
        Tier(Lots(max(lots // 20, 2)), Ppb(rate * 5 // 4), max(leverage * 3 // 4, 1)),
        Tier(Lots(max(lots, 3)), Ppb(rate * 3 // 2), max(leverage // 2, 1)),
    )


def with_tiers(params: MarketParams) -> MarketParams:
    """The same market with tiers."""
    return replace(params, tiers=tiers_of(params))


def rates(params: MarketParams, part: int, of: int) -> dict[str, Any]:
    """All maintenance rates changed by a fraction; where they rise, the highest leverage is a turn less."""
    most = params.max_leverage - (part > of)
    tiers = tuple(
        Tier(tier.max_lots, Ppb(tier.maintenance_rate * part // of), min(tier.max_leverage, most))
        for tier in params.tiers
    )
    changed: dict[str, Any] = {"maintenance_rate": Ppb(params.maintenance_rate * part // of)}
    return {**changed, "tiers": tiers} if tiers else changed
