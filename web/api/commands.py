"""Bodies of the contract → commands. What the types cannot say is checked here, before anybody is asked.

Each raises ``validation_error``; whether a command can be done, its rule decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from perps.commands import ChangeMargin, ClosePosition, ListMarket, OpenPosition, UpdatePrice
from perps.market.position import split_position_id
from perps.params import MarketParams
from perps.units import INTEGER_MAX, MICRO, PICO, PPB, Lots, Micros, Millis, Pico, Ppb, Ticks, div_floor
from perps.wire.base import Limit
from perps.wire.margin import MarginBody
from perps.wire.markets import MarketBody
from perps.wire.orders import OrderBody, ReplaceBody
from perps.wire.prices import PriceBody
from perps.wire.trading import CloseBody, OpenBody
from perps.wire.triggers import TriggersBody
from web.answers.decimals import PICO_PLACES
from web.answers.errors import RequestError, invalid
from web.api.units import (
    limit_price,
    lots,
    money_from_zero,
    number,
    positive_money,
    price_ticks,
    printable,
    rate,
    rate_from_zero,
    share,
    signed_money,
    time_ms,
)
from web.gateway import POSITION_SHOWN_MAX

DEPTH_MICROS: Final = 10**10 * MICRO
"""Default skew scale: this much notional at the listing price moves the quote by 100 %."""

SKEW_PARTS: Final = 1000
INTEREST_PARTS: Final = 500
"""Default caps: a thousandth of the scale as skew, a five-hundredth as open interest a side."""

FUNDING_VELOCITY_DEFAULT: Final = 3
"""By default so many times the highest rate: at ``maxSkew`` the daily rate goes from 0 to its highest in 8 hours."""


def open_command(body: OpenBody) -> OpenPosition:
    """The command an open asks for; its user is empty when the body names none."""
    check_exits(body)
    nano, rest = limit_price(body.acceptable_price, "acceptablePrice")
    return OpenPosition(
        ticker=body.ticker,
        user=body.user_id or "",
        side=body.side,
        size=positive_money(body.size, "size"),
        leverage=body.leverage,
        acceptable_price=nano,
        max_slippage_bps=body.max_slippage_bps,
        acceptable_price_pico=rest,
        position=body.position_id,
    )


def check_exits(body: OpenBody | TriggersBody | OrderBody | ReplaceBody) -> None:
    """Everything about exits that can be wrong without knowing their market."""
    for field, price in (("takeProfit", body.take_profit), ("stopLoss", body.stop_loss)):
        if price is not None and number(price, PICO_PLACES, field) <= 0:
            raise invalid(f"{field} must be positive.", field=field)


def exits(
    body: OpenBody | TriggersBody | OrderBody | ReplaceBody, params: MarketParams
) -> tuple[Ticks | None, Ticks | None]:
    """Take-profit and stop-loss on their market's tick, once ``check_exits`` has passed."""
    profit, stop, tick = body.take_profit, body.stop_loss, params.tick_size
    return (
        None if profit is None else price_ticks(profit, tick, "takeProfit"),
        None if stop is None else price_ticks(stop, tick, "stopLoss"),
    )


def ticker_of_position(position_id: str) -> str:
    """The market that a position id names. An id that cannot be one is ``position_not_found``."""
    parts = split_position_id(position_id)
    if parts is None:
        shown = {"position": position_id[:POSITION_SHOWN_MAX]}
        raise RequestError("position_not_found", "There is no such position.", shown)
    return parts[0]


def close_command(body: CloseBody, position_id: str, lot_of: Callable[[str], int]) -> ClosePosition:
    """The command a close asks for, in nobody's name yet. An id that cannot be one is ``position_not_found``.

    ``lot_of``: the lot size of a market, pico.
    """
    given = [name for name in ("percentage", "quantity", "size") if getattr(body, name) is not None]
    if len(given) > 1:
        raise invalid(f"Send one of {' and '.join(given)}, not both.", field=given[1])
    part = Ppb(PPB) if body.percentage is None else share(body.percentage, "percentage")
    ticker = ticker_of_position(position_id)
    nano, rest = limit_price(body.acceptable_price, "acceptablePrice")
    return ClosePosition(
        ticker=ticker,
        user="",
        position_id=position_id,
        share=part,
        lots=lots(body.quantity, lot_of(ticker), "quantity") or Lots(0),
        size=Micros(0) if body.size is None else positive_money(body.size, "size"),
        acceptable_price=nano,
        max_slippage_bps=body.max_slippage_bps,
        acceptable_price_pico=rest,
    )


def margin_command(body: MarginBody, position_id: str) -> ChangeMargin:
    """The command that margin in or out asks for; its user is empty when the body names none."""
    amount = signed_money(body.amount, "amount")
    user = body.user_id or ""
    return ChangeMargin(ticker=ticker_of_position(position_id), user=user, position_id=position_id, amount=amount)


def check_price(body: PriceBody) -> None:
    """Everything about a price that can be wrong without knowing its market."""
    if number(body.price, PICO_PLACES, "price") <= 0:
        raise invalid("price must be positive.", field="price")
    printable(body.reason, "reason")
    if body.at is not None:
        time_ms(body.at, "at")


def price_command(body: PriceBody, params: MarketParams) -> UpdatePrice:
    """The command a price asks for, once ``check_price`` has passed."""
    return UpdatePrice(
        ticker=params.ticker,
        price=price_ticks(body.price, params.tick_size),
        source=body.source,
        reason=body.reason,
        sequence=body.sequence,
        source_at=None if body.at is None else time_ms(body.at, "at"),
    )


def list_command(body: MarketBody) -> ListMarket:
    """The command a listing asks for, with defaults scaled from the price."""
    tick = number(body.tick_size, PICO_PLACES, "tickSize")
    lot = number(body.lot_size, PICO_PLACES, "lotSize")
    for field, value in (("tickSize", tick), ("lotSize", lot)):
        if not 0 < value <= INTEGER_MAX:
            raise invalid(f"{field} must be positive and below 9·10^6.", field=field)
    price = price_ticks(body.price, tick)
    scale = lots(body.skew_scale, lot, "skewScale")
    if scale is None:
        worth = max(div_floor(price * tick * lot, PICO * MICRO), 1)
        scale = Lots(div_floor(DEPTH_MICROS, worth))
    max_skew = lots(body.max_skew, lot, "maxSkew")
    interest = lots(body.max_open_interest, lot, "maxOpenInterest")
    if body.maintenance_rate is None:
        maintenance = Ppb(div_floor(PPB, 2 * body.max_leverage))
    else:
        maintenance = rate(body.maintenance_rate, "maintenanceRate")
    funding = rate(body.max_funding_rate, "maxFundingRate")
    if body.funding_velocity is None:
        velocity = Ppb(FUNDING_VELOCITY_DEFAULT * funding)
    else:
        velocity = rate_from_zero(body.funding_velocity, "fundingVelocity")
    params = MarketParams(
        ticker=body.ticker,
        organization_id=printable(body.organization_id, "organizationId") or "",
        name=printable(body.name, "name") or "",
        tick_size=Pico(tick),
        lot_size=Pico(lot),
        mark_source=body.mark_source,
        skew_scale=scale,
        max_skew=Lots(div_floor(scale, SKEW_PARTS)) if max_skew is None else max_skew,
        max_open_interest=Lots(div_floor(scale, INTEREST_PARTS)) if interest is None else interest,
        max_leverage=body.max_leverage,
        min_order_size=positive_money(body.min_order_size, "minOrderSize"),
        maker_fee=rate(body.taker_fee if body.maker_fee is None else body.maker_fee, "makerFee"),
        taker_fee=rate(body.taker_fee, "takerFee"),
        referral_share=rate(body.referral_share, "referralShare"),
        maintenance_rate=maintenance,
        liquidation_fee=rate(body.liquidation_fee, "liquidationFee"),
        house_deposit=money_from_zero(body.house_deposit, "houseDeposit"),
        house_credit_limit=credit_limit(body.house_credit_limit),
        max_price_age=age(body.max_price_age),
        funding_velocity=velocity,
        max_funding_rate=funding,
        price_band=band(body.price_band),
        price_confirmations=body.price_confirmations,
        charges_maker_fee=True,
        max_positions_per_user=body.max_positions_per_user,
        max_notional_per_user=notional_limit(body.max_notional_per_user),
    )
    return ListMarket(params=params, price=Ticks(price))


def credit_limit(limit: Limit) -> Micros | None:
    """How far below 0 a house may go; None: by default."""
    return money_from_zero(limit, "houseCreditLimit") if limit.is_finite() else None


def positions_limit(limit: Limit) -> int | None:
    """How many positions one user may have; None: any."""
    if not limit.is_finite():
        return None
    if not 1 <= (count := number(limit, 0, "maxPositionsPerUser")) <= 2**53:
        raise invalid("maxPositionsPerUser must be a whole number, at least 1, or none.", field="maxPositionsPerUser")
    return count


def notional_limit(limit: Limit) -> Micros | None:
    """How much notional one user may have; None: any."""
    return positive_money(limit, "maxNotionalPerUser") if limit.is_finite() else None


def age(limit: Limit) -> Millis | None:
    """How old a price may be; None: a price never grows old."""
    if not limit.is_finite():
        return None
    milliseconds = number(limit, 3, "maxPriceAge")
    if not 0 < milliseconds < 2**53:
        raise invalid("maxPriceAge must be a positive number of seconds, or none.", field="maxPriceAge")
    return Millis(milliseconds)


def band(limit: Limit) -> Ppb | None:
    """How far from the index a price is taken at once; None: any."""
    return rate(limit, "priceBand") if limit.is_finite() else None
