"""How the slow model sees a market's parameters."""

from fractions import Fraction

from perps.commands import OrderKind, Side
from perps.market.order import Order
from perps.market.position import position_id
from perps.params import Execution, MarketParams, MarkSource
from perps.units import PICO, PPB
from tests.model.slow_orders import SlowOrder
from tests.model.slow_rules import Rules
from tests.model.slow_twap import SlowTwap


def rules_of(params: MarketParams) -> Rules:
    """The slow model's view of a market's parameters, by way of the decimals a listing is made of."""
    return Rules.of(
        ticker=params.ticker,
        lot_size=f"{params.lot_size}e-12",
        tick_size=f"{params.tick_size}e-12",
        skew_scale=f"{params.skew_scale * params.lot_size}e-12",
        taker_fee=f"{params.taker_fee}e-9",
        maker_fee=f"{params.maker_fee}e-9" if params.charges_maker_fee else None,
        liquidation_fee=f"{params.liquidation_fee}e-9",
        referral_share=f"{params.referral_share}e-9",
        maintenance_rate=f"{params.maintenance_rate}e-9",
        mark_is_quote=params.mark_source is MarkSource.QUOTE,
        house_deposit=f"{params.house_deposit}e-6",
        max_skew=f"{params.max_skew * params.lot_size}e-12",
        funding_velocity=f"{params.funding_velocity}e-9",
        max_funding_rate=f"{params.max_funding_rate}e-9",
        max_price_age=params.max_price_age,
        price_band=None if params.price_band is None else f"{params.price_band}e-9",
        price_confirmations=params.price_confirmations,
        house_credit=f"{params.house_credit}e-6",
        mark_is_exact=params.exact_mark,
        waits_for_price=params.execution is Execution.NEXT_PRICE,
        clock_skew=params.clock_skew,
        tiers=tuple(
            (f"{tier.max_lots * params.lot_size}e-12", f"{tier.maintenance_rate}e-9", tier.max_leverage)
            for tier in params.tiers
        ),
        max_leverage=params.max_leverage,
        min_order_size=f"{params.min_order_size}e-6",
        parts_from=None if params.partial_liquidation is None else f"{params.partial_liquidation}e-6",
        buffer=f"{params.liquidation_buffer}e-9",
    )


def slow_order(ticker: str, order: Order, params: MarketParams) -> SlowOrder:
    """An order as the slow model has it; of a TWAP as it is before its first slice."""
    plain = SlowOrder(
        user=order.user,
        ticker=ticker,
        is_limit=order.kind is OrderKind.LIMIT,
        is_long=order.side is Side.LONG,
        price=Fraction(order.price * params.tick_size, PICO),
        size=order.size,
        leverage=order.leverage,
        taker_fee=Fraction(order.taker_fee, PPB),
        expires_at=order.expires_at,
        placed_at=order.placed_at,
        has_trigger=order.kind in (OrderKind.STOP, OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP),
        waits_for_next=order.kind in (OrderKind.MARKET, OrderKind.WITHDRAWAL),
        reduces=order.reduces,
        position=None if order.position is None else position_id(ticker, order.position),
        share=Fraction(order.share, PPB),
        is_profit=order.kind is OrderKind.TAKE_PROFIT,
        callback=Fraction(order.callback, PPB) if order.trails else None,
        best=Fraction(order.extreme * params.tick_size, PICO),
    )
    return plain if order.twap is None else SlowTwap.begun(plain, order.twap.slices, order.twap.interval)
