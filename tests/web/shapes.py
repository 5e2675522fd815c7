"""The contract's fields: what must be there, and what each looks like."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Check = Callable[[Any], bool]
Shape = dict[str, Any]


def _text(pattern: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def one_of(*values: object) -> Check:
    """One of these."""
    return lambda value: value in values


def maybe(check: Check) -> Check:
    """This, or null."""
    return lambda value: value is None or check(value)


def number(value: object) -> bool:
    """A whole number, as a number."""
    return isinstance(value, int) and not isinstance(value, bool)


def words(value: object) -> bool:
    """Text, not empty."""
    return isinstance(value, str) and bool(value)


DECIMAL = _text(r"-?(0|[1-9]\d*)(\.\d+)?")
MONEY = _text(r"-?(0|[1-9]\d*)\.\d{2,6}")
TIME = _text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CURSOR = maybe(_text(r"\d+-\d+"))

POSITION: Shape = {
    "id": words,
    "userId": words,
    "ticker": words,
    "organizationId": words,
    "side": one_of("long", "short"),
    "quantity": DECIMAL,
    "size": MONEY,
    "entryPrice": DECIMAL,
    "markPrice": DECIMAL,
    "leverage": number,
    "margin": MONEY,
    "liquidationPrice": maybe(DECIMAL),
    "bankruptcyPrice": maybe(DECIMAL),
    "unrealizedPnL": MONEY,
    "unrealizedPnLPercent": DECIMAL,
    "fundingPaid": MONEY,
    "takeProfit": maybe(DECIMAL),
    "stopLoss": maybe(DECIMAL),
    "status": one_of("open", "closed", "liquidated"),
    "openedAt": TIME,
    "closedAt": maybe(TIME),
}

FILL: Shape = {"price": DECIMAL, "quantity": DECIMAL, "notional": MONEY, "priceImpact": DECIMAL}
FEE: Shape = {"amount": MONEY, "platformPaid": MONEY, "referrerPaid": MONEY}

OPENED: Shape = {
    "position": POSITION,
    "fill": FILL,
    "marginPaid": MONEY,
    "fee": FEE,
    "newBalance": MONEY,
    "clientOrderId": words,
    "offset": number,
}

CLOSED: Shape = {
    "position": {**POSITION, "exitPrice": DECIMAL, "realizedPnL": MONEY},
    "grossSettlement": MONEY,
    "netSettlement": MONEY,
    "marginReturned": MONEY,
    "pnl": MONEY,
    "badDebt": MONEY,
    "fee": FEE,
    "wasLiquidated": one_of(True, False),
    "newBalance": MONEY,
    "clientOrderId": words,
    "offset": number,
}

MARKET: Shape = {
    "ticker": words,
    "organizationId": words,
    "name": words,
    "status": one_of("enabled", "reduce_only", "halted", "unavailable"),
    "currentPrice": DECIMAL,
    "indexPrice": DECIMAL,
    "markPrice": DECIMAL,
    "change24h": DECIMAL,
    "changePercent24h": DECIMAL,
    "high24h": DECIMAL,
    "low24h": DECIMAL,
    "volume24h": MONEY,
    "openInterest": {"long": DECIMAL, "short": DECIMAL},
    "skew": DECIMAL,
    "fundingRate": {
        "rate": DECIMAL,
        "predictedRate": DECIMAL,
        "nextFundingTime": TIME,
        "annualized": DECIMAL,
        "velocity": DECIMAL,
    },
    "fundingVelocity": DECIMAL,
    "maxFundingRate": DECIMAL,
    "maxLeverage": number,
    "minOrderSize": MONEY,
    "tickSize": DECIMAL,
    "lotSize": DECIMAL,
    "takerFee": DECIMAL,
    "makerFee": DECIMAL,
    "maxPositionsPerUser": maybe(number),
    "maxNotionalPerUser": maybe(MONEY),
    "priceAt": TIME,
}

BALANCE: Shape = {
    "balance": MONEY,
    "held": MONEY,
    "total": MONEY,
    "available": MONEY,
    "margin": MONEY,
    "totalDeposited": MONEY,
    "totalWithdrawn": MONEY,
    "lifetimePnL": MONEY,
    "totalFees": MONEY,
    "offset": number,
}

TRANSACTION: Shape = {
    "id": words,
    "type": words,
    "amount": MONEY,
    "balanceBefore": MONEY,
    "balanceAfter": MONEY,
    "relatedId": maybe(words),
    "at": TIME,
}

TRADE: Shape = {
    "id": words,
    "ticker": words,
    "kind": one_of("open", "close", "liquidation"),
    "side": one_of("long", "short"),
    "price": DECIMAL,
    "quantity": DECIMAL,
    "size": MONEY,
    "at": TIME,
    "offset": number,
}

PRICE: Shape = {
    "indexPrice": DECIMAL,
    "markPrice": DECIMAL,
    "quotePrice": DECIMAL,
    "source": one_of("oracle", "event", "agent", "system"),
    "at": TIME,
    "offset": number,
}


def fits(value: Any, shape: Shape, at: str = "") -> None:
    """``value`` has every field of ``shape``, each well-formed. It may have more."""
    assert isinstance(value, dict), (at, value)
    for name, wanted in shape.items():
        place = f"{at}.{name}"
        assert name in value, f"{place} is missing"
        if isinstance(wanted, dict):
            fits(value[name], wanted, place)
        else:
            assert wanted(value[name]), (place, value[name])


def amount(text: str) -> Decimal:
    """Decimal text as a number."""
    return Decimal(text)
