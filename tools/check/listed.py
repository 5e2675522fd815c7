"""The parameters of a market, as a venue shows them."""

from __future__ import annotations

from decimal import Decimal

from perps.params import MarketParams, Tier
from perps.units import MICRO, PICO, PPB, Lots, Micros, Millis, Pico, Ppb
from perps.wire.markets import Market


def params_of(market: Market) -> MarketParams:
    """What trading depends on; what the market's house has, and how old or far a price may be, is left out."""
    tick, lot = _count(market.tick_size, PICO), _count(market.lot_size, PICO)

    def lots(text: str) -> Lots:
        return Lots(_count(text, PICO) // lot)

    def rate(text: str) -> Ppb:
        return Ppb(_count(text, PPB))

    return MarketParams(
        ticker=market.ticker,
        organization_id=market.organization_id,
        name=market.name,
        tick_size=Pico(tick),
        lot_size=Pico(lot),
        mark_source=market.mark_source,
        skew_scale=lots(market.skew_scale),
        max_skew=lots(market.max_skew),
        max_open_interest=lots(market.max_open_interest),
        max_leverage=market.max_leverage,
        min_order_size=Micros(_count(market.min_order_size, MICRO)),
        maker_fee=rate(market.maker_fee),
        charges_maker_fee=market.charges_maker_fee,
        taker_fee=rate(market.taker_fee),
        referral_share=rate(market.referral_share),
        maintenance_rate=rate(market.maintenance_rate),
        liquidation_fee=rate(market.liquidation_fee),
        funding_velocity=rate(market.funding_velocity),
        max_funding_rate=rate(market.max_funding_rate),
        max_step=None if market.max_step is None else rate(market.max_step),
        exact_mark=market.exact_mark,
        execution=market.execution,
        pending_limit=Millis(_count(market.pending_limit, 1000)),
        clock_skew=Millis(_count(market.clock_skew, 1000)),
        tiers=tuple(
            Tier(lots(tier.max_quantity), rate(tier.maintenance_rate), tier.max_leverage) for tier in market.tiers
        ),
        partial_liquidation=(
            None if market.partial_liquidation is None else Micros(_count(market.partial_liquidation, MICRO))
        ),
        liquidation_buffer=rate(market.liquidation_buffer),
        deleveraging=market.deleveraging,
    )


def ticks_of(market: Market, params: MarketParams) -> int:
    """Its index price, in ticks."""
    return _count(market.index_price, PICO) // params.tick_size


def _count(text: str, parts: int) -> int:
    return int(Decimal(text) * parts)
