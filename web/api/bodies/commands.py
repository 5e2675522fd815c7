"""Bodies of the contract → commands. What the types cannot say is checked here, before anybody is asked.

Each raises ``validation_error``; whether a command can be done, its rule decides.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec import UNSET

from perps.commands import ChangeMargin, ClosePosition, ListMarket, OpenPosition, TradeNet, UpdatePrice
from perps.market.position import split_position_id
from perps.market.presets import PLAIN, PRESETS, cap_of, scale_of, steps
from perps.params import MarketParams, MarkSource
from perps.units import INTEGER_MAX, MICRO, PICO, PPB, Lots, Micros, Millis, Pico, Ppb, Ticks, div_floor
from perps.wire.base import Limit
from perps.wire.listing import MarketBody
from perps.wire.margin import MarginBody
from perps.wire.net import TradeBody
from perps.wire.orders.placing import OrderBody, ReplaceBody
from perps.wire.prices import PriceBody
from perps.wire.trading import CloseBody, OpenBody
from perps.wire.triggers import TriggersBody
from web.answers.decimals import PICO_PLACES
from web.answers.errors import RequestError, invalid
from web.api.bodies.tiers import leverage_of
from web.api.bodies.units import (
    limit_price,
    lots,
    money_from_zero,
    number,
    positive_money,
    price_ticks,
    printable,
    rate,
    rate_from_zero,
    rate_or,
    share,
    signed_money,
    signed_rate,
    time_ms,
)
from web.gateway import POSITION_SHOWN_MAX


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


def trade_command(body: TradeBody) -> TradeNet:
    """The command a trade of the net position asks for; its user is empty when the body names none."""
    nano, rest = limit_price(body.acceptable_price, "acceptablePrice")
    return TradeNet(
        ticker=body.ticker,
        user=body.user_id or "",
        side=body.side,
        size=positive_money(body.size, "size"),
        leverage=body.leverage,
        acceptable_price=nano,
        max_slippage_bps=body.max_slippage_bps,
        acceptable_price_pico=rest,
        reduce_only=body.reduce_only,
    )


def check_exits(body: OpenBody | TriggersBody | OrderBody | ReplaceBody) -> None:
    """Everything about exits that can be wrong without knowing their market."""
    for field, price in (("takeProfit", body.take_profit), ("stopLoss", body.stop_loss)):
        if price is not None and price is not UNSET and number(price, PICO_PLACES, field) <= 0:
            raise invalid(f"{field} must be positive.", field=field)


def exits(
    body: OpenBody | TriggersBody | OrderBody | ReplaceBody, params: MarketParams
) -> tuple[Ticks | None, Ticks | None]:
    """Take-profit and stop-loss on their market's tick, once ``check_exits`` has passed."""
    profit, stop, tick = body.take_profit, body.stop_loss, params.tick_size
    return (
        None if profit is None or profit is UNSET else price_ticks(profit, tick, "takeProfit"),
        None if stop is None or stop is UNSET else price_ticks(stop, tick, "stopLoss"),
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
    if body.price is None and body.change is None:
        raise invalid("price is missing. Give it, or change.", field="price")
    if body.price is not None and body.change is not None:
        raise invalid("Give price or change, not both.", field="change")
    if body.price is not None and number(body.price, PICO_PLACES, "price") <= 0:
        raise invalid("price must be positive.", field="price")
    if body.change is not None:
        signed_rate(body.change, "change")
    printable(body.reason, "reason")
    if body.at is not None:
        time_ms(body.at, "at")


def price_command(body: PriceBody, params: MarketParams) -> UpdatePrice:
    """The command a price asks for, once ``check_price`` has passed."""
    return UpdatePrice(
        ticker=params.ticker,
        price=None if body.price is None else price_ticks(body.price, params.tick_size),
        source=body.source,
        reason=body.reason,
        sequence=body.sequence,
        source_at=None if body.at is None else time_ms(body.at, "at"),
        change=None if body.change is None else signed_rate(body.change, "change"),
    )


def list_command(body: MarketBody) -> ListMarket:
    """The command a listing asks for: what it names, and the rest from its preset, scaled from the price."""
    recipe = PLAIN if body.preset is None else PRESETS[body.preset]
    worth = number(body.price, PICO_PLACES, "price")
    if worth <= 0:
        raise invalid("price must be positive.", field="price")
    tick, lot = steps(worth, _step(body.tick_size, "tickSize"), _step(body.lot_size, "lotSize"), recipe)
    price = price_ticks(body.price, tick)
    lot_worth = max(div_floor(price * tick * lot, PICO * MICRO), 1)
    scale = lots(body.skew_scale, lot, "skewScale")
    if body.depth is not None and scale is not None:
        raise invalid("Give depth or skewScale, not both.", field="depth")
    if scale is None:
        depth = recipe.depth if body.depth is None else positive_money(body.depth, "depth")
        scale = scale_of(depth, lot_worth)
    max_skew = lots(body.max_skew, lot, "maxSkew")
    interest = lots(body.max_open_interest, lot, "maxOpenInterest")
    leverage = leverage_of(body, recipe, lot, lot_worth)
    if interest is None:
        interest = cap_of(scale, recipe.max_open_interest)
        if body.tiers is None and leverage.tiers:
            interest = min(interest, leverage.tiers[-1].max_lots)
    largest_step = recipe.max_step
    if recipe.has_brackets:
        largest_step = Ppb(div_floor(PPB, leverage.highest))
    funding = rate_or(recipe.max_funding_rate, body.max_funding_rate, "maxFundingRate")
    if body.funding_velocity is None:
        velocity = Ppb(recipe.velocity_parts * funding)
    else:
        velocity = rate_from_zero(body.funding_velocity, "fundingVelocity")
    mark_source = body.mark_source or recipe.mark_source
    taker_fee = rate_or(recipe.taker_fee, body.taker_fee, "takerFee")
    params = MarketParams(
        ticker=body.ticker,
        organization_id=printable(body.organization_id, "organizationId") or body.ticker,
        name=printable(body.name, "name") or body.ticker,
        tick_size=tick,
        lot_size=lot,
        mark_source=mark_source,
        skew_scale=scale,
        max_skew=cap_of(scale, recipe.max_skew) if max_skew is None else max_skew,
        max_open_interest=interest,
        max_leverage=leverage.highest,
        min_order_size=positive_money(body.min_order_size, "minOrderSize"),
        maker_fee=taker_fee if body.maker_fee is None else rate(body.maker_fee, "makerFee"),
        taker_fee=taker_fee,
        referral_share=rate(body.referral_share, "referralShare"),
        maintenance_rate=leverage.maintenance,
        liquidation_fee=rate_or(recipe.liquidation_fee, body.liquidation_fee, "liquidationFee"),
        house_deposit=money_from_zero(body.house_deposit, "houseDeposit"),
        house_credit_limit=credit_limit(body.house_credit_limit),
        max_price_age=recipe.max_price_age if body.max_price_age is None else age(body.max_price_age),
        funding_velocity=velocity,
        max_funding_rate=funding,
        price_band=recipe.price_band if body.price_band is None else band(body.price_band),
        price_confirmations=body.price_confirmations,
        charges_maker_fee=True,
        max_positions_per_user=body.max_positions_per_user,
        max_notional_per_user=notional_limit(body.max_notional_per_user),
        max_step=largest_step if body.max_step is None else rate(body.max_step, "maxStep"),
        exact_mark=mark_source is MarkSource.QUOTE,
        execution=body.execution or recipe.execution,
        pending_limit=seconds(body.pending_limit, "pendingLimit"),
        clock_skew=seconds(body.clock_skew, "clockSkew"),
        tiers=leverage.tiers,
        partial_liquidation=least_in_part(body.partial_liquidation),
        liquidation_buffer=rate(body.liquidation_buffer, "liquidationBuffer"),
        deleveraging=body.deleveraging,
    )
    return ListMarket(params=params, price=Ticks(price))


def _step(value: Decimal | None, field: str) -> Pico | None:
    if value is None:
        return None
    step = number(value, PICO_PLACES, field)
    if not 0 < step <= INTEGER_MAX:
        raise invalid(f"{field} must be positive and below 9·10^6.", field=field)
    return Pico(step)


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


def least_in_part(limit: Limit) -> Micros | None:
    """From which notional on a position is liquidated in part; None: none is."""
    return positive_money(limit, "partialLiquidation") if limit.is_finite() else None


def age(limit: Limit) -> Millis | None:
    """How old a price may be; None: a price never grows old."""
    if not limit.is_finite():
        return None
    milliseconds = number(limit, 3, "maxPriceAge")
    if not 0 < milliseconds < 2**53:
        raise invalid("maxPriceAge must be a positive number of seconds, or none.", field="maxPriceAge")
    return Millis(milliseconds)


def seconds(value: Decimal, field: str) -> Millis:
    """Seconds with at most three decimals, from 0 on."""
    milliseconds = number(value, 3, field)
    if not 0 <= milliseconds < 2**53:
        raise invalid(f"{field} must be a number of seconds, from 0 on.", field=field)
    return Millis(milliseconds)


def band(limit: Limit) -> Ppb | None:
    """How far from the index a price is taken at once; None: any."""
    return rate(limit, "priceBand") if limit.is_finite() else None


def step(limit: Limit) -> Ppb | None:
    """The largest move that is expected; None: nothing is said."""
    return rate(limit, "maxStep") if limit.is_finite() else None
