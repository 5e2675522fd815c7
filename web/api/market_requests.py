"""The body of a listing → market parameters, with defaults scaled from the price."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from msgspec import Raw

from perps.commands import ListMarket
from perps.params import MarketParams, MarkSource
from perps.units import INTEGER_MAX, MICRO, PICO, PPB, Lots, Micros, Millis, Pico, Ppb, Ticks, div_floor
from web.answers import decimals
from web.answers.decimals import MONEY_PLACES, PICO_PLACES
from web.answers.errors import invalid
from web.api.exact_json import LITERAL
from web.api.requests import Body, number, plain_text, positive_money, price_ticks, rate, ticker

DEPTH_MICROS = 10**10 * MICRO
"""Default skew scale: this much notional at the listing price moves the quote by 100 %."""

SKEW_PARTS, INTEREST_PARTS = 1000, 500
"""Default caps: a thousandth of the scale as skew, a five-hundredth as open interest a side."""


NONE = Raw(b'"none"')
"""How a limit that there is not is written."""


class MarketBody(Body):
    """``POST /api/admin/markets``. Only the first four are required."""

    ticker: str
    organization_id: str
    name: str
    price: Decimal
    tick_size: Decimal = Decimal("0.01")
    lot_size: Decimal = Decimal("0.0001")
    mark_source: MarkSource = MarkSource.INDEX
    skew_scale: Decimal | None = None
    max_skew: Decimal | None = None
    max_open_interest: Decimal | None = None
    max_leverage: int = 100
    min_order_size: Decimal = Decimal(10)
    maker_fee: Decimal = Decimal("0.001")
    taker_fee: Decimal = Decimal("0.001")
    referral_share: Decimal = Decimal("0.5")
    maintenance_rate: Decimal | None = None
    liquidation_fee: Decimal = Decimal("0.002")
    house_deposit: Decimal = Decimal(0)
    house_credit_limit: Raw = NONE
    max_price_age: Raw = NONE
    """Seconds after which a price is too old to trade at."""


def list_command(body: MarketBody) -> ListMarket:
    """The command a listing asks for. Raises ``validation_error``; the market decides whether it fits together."""
    tick = number(body.tick_size, PICO_PLACES, "tickSize")
    lot = number(body.lot_size, PICO_PLACES, "lotSize")
    for field, value in (("tickSize", tick), ("lotSize", lot)):
        if not 0 < value <= INTEGER_MAX:
            raise invalid(f"{field} must be positive and below 9·10^6.", field=field)
    price = price_ticks(body.price, tick)
    if not 1 <= body.max_leverage <= 10**6:
        raise invalid("maxLeverage must be a whole number, at least 1.", field="maxLeverage")
    scale = _lots(body.skew_scale, lot, "skewScale")
    if scale is None:
        worth = max(div_floor(price * tick * lot, PICO * MICRO), 1)
        scale = Lots(div_floor(DEPTH_MICROS, worth))
    max_skew = _lots(body.max_skew, lot, "maxSkew")
    interest = _lots(body.max_open_interest, lot, "maxOpenInterest")
    if body.maintenance_rate is None:
        maintenance = Ppb(div_floor(PPB, 2 * body.max_leverage))
    else:
        maintenance = rate(body.maintenance_rate, "maintenanceRate")
    organization = plain_text(body.organization_id, "organizationId") or ""
    params = MarketParams(
        ticker=ticker(body.ticker),
        organization_id=organization,
        name=plain_text(body.name, "name") or "",
        tick_size=Pico(tick),
        lot_size=Pico(lot),
        mark_source=body.mark_source,
        skew_scale=scale,
        max_skew=Lots(div_floor(scale, SKEW_PARTS)) if max_skew is None else max_skew,
        max_open_interest=Lots(div_floor(scale, INTEREST_PARTS)) if interest is None else interest,
        max_leverage=body.max_leverage,
        min_order_size=positive_money(body.min_order_size, "minOrderSize"),
        maker_fee=rate(body.maker_fee, "makerFee"),
        taker_fee=rate(body.taker_fee, "takerFee"),
        referral_share=rate(body.referral_share, "referralShare"),
        maintenance_rate=maintenance,
        liquidation_fee=rate(body.liquidation_fee, "liquidationFee"),
        house_deposit=_money_from_zero(body.house_deposit, "houseDeposit"),
        house_credit_limit=_credit_limit(body.house_credit_limit),
        max_price_age=_age(body.max_price_age),
    )
    return ListMarket(params=params, price=Ticks(price))


def _lots(value: Decimal | None, lot: int, field: str) -> Lots | None:
    if value is None:
        return None
    exact = number(value, PICO_PLACES, field)
    lots, rest = divmod(exact, lot)
    if exact <= 0 or rest or lots >= 2**60:
        size = decimals.pico(lot)
        raise invalid(
            f"{field} must be a positive multiple of the lot size, {size}.",
            field=field,
            **{field: str(value), "lotSize": size},
        )
    return Lots(lots)


def _money_from_zero(value: Decimal, field: str) -> Micros:
    """An amount ≥ 0."""
    return Micros(0) if number(value, MONEY_PLACES, field) == 0 else positive_money(value, field)


def _credit_limit(raw: Raw) -> Micros | None:
    value = _decimal_or_none(raw, "houseCreditLimit")
    return None if value is None else _money_from_zero(value, "houseCreditLimit")


def _age(raw: Raw) -> Millis | None:
    value = _decimal_or_none(raw, "maxPriceAge")
    if value is None:
        return None
    age = number(value, 3, "maxPriceAge")
    if not 0 < age < 2**53:
        raise invalid("maxPriceAge must be a positive number of seconds, or none.", field="maxPriceAge")
    return Millis(age)


def _decimal_or_none(raw: Raw, field: str) -> Decimal | None:
    if raw == NONE:
        return None
    text = bytes(raw).decode(errors="replace")
    literal = text[1:-1] if text.startswith('"') else text
    if not LITERAL.fullmatch(literal):
        raise invalid(f'{field} must be a number or "none".', field=field)
    try:
        return Decimal(literal)
    except InvalidOperation as error:
        raise invalid(f"{field} has too large an exponent.", field=field) from error
