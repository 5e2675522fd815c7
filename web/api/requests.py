"""Bodies, paths and queries → domain values. Everything that comes in is checked here, before anybody is asked."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from aiohttp import web
from msgspec import Struct

from perps.commands import ClosePosition, HouseAccount, OpenPosition, PriceSource, Side, UpdatePrice
from perps.market.position import split_position_id
from perps.params import MarketParams, Mode
from perps.units import AMOUNT_MAX, BPS, INTEGER_MAX, PPB, Micros, Millis, Nano, Ppb, Ticks
from web.answers import decimals
from web.answers.decimals import MONEY_PLACES, PICO_PLACES, BadNumber, scaled
from web.answers.errors import RequestError, invalid

TEXT_MAX: Final = 256
LIMIT_MAX: Final = 500
LIMIT_DEFAULT: Final = 100
USER_ID: Final = re.compile(r"[A-Za-z0-9._:@-]{1,64}", re.ASCII)
TICKER: Final = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,31}", re.ASCII)
KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
CLIENT_ORDER_ID: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?", re.ASCII)
TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Body(Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A JSON body: unknown fields are an error, numbers are read exactly."""


class OpenBody(Body):
    """``POST /api/markets/perps/open``, and its quote."""

    ticker: str
    side: Side
    size: Decimal
    leverage: int
    acceptable_price: Decimal | None = None
    max_slippage_bps: int | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    client_order_id: str | None = None
    user_id: str | None = None


class CloseBody(Body):
    """``POST /api/markets/perps/{positionId}/close``; ``percentage`` is a share: 1 is all of it."""

    percentage: Decimal | None = None
    acceptable_price: Decimal | None = None
    max_slippage_bps: int | None = None
    client_order_id: str | None = None


class PriceBody(Body):
    """``POST /api/markets/perps/{ticker}/price``."""

    price: Decimal
    source: PriceSource = PriceSource.SYSTEM
    reason: str | None = None
    sequence: int | None = None
    at: str | None = None


class PriceItem(PriceBody, kw_only=True):
    """One price of ``POST /api/markets/prices``."""

    ticker: str


PRICES_MAX: Final = 1_000
"""Prices in one ``POST /api/markets/prices``."""


class UserBody(Body):
    """``POST /api/admin/users``."""

    user_id: str
    deposit: Decimal | None = None
    referrer: str | None = None


class AmountBody(Body):
    """``POST /api/admin/users/{id}/deposit`` and ``/withdraw``."""

    amount: Decimal
    client_order_id: str | None = None


class FundBody(Body):
    """``POST /api/admin/markets/{ticker}/fund``; an amount below 0 takes money out."""

    account: HouseAccount
    amount: Decimal
    client_order_id: str | None = None


class KeyBody(Body):
    """``POST /api/admin/keys``."""

    scopes: list[str]
    user_id: str | None = None
    label: str | None = None
    expires_at: str | None = None


class ModeBody(Body):
    """``POST /api/admin/markets/{ticker}/mode``."""

    mode: Mode


def user_id(text: str, field: str = "userId") -> str:
    """A well-formed user id."""
    if not USER_ID.fullmatch(text):
        raise invalid(f"{field} must match {USER_ID.pattern}.", field=field)
    return text


def ticker(text: str) -> str:
    """A well-formed ticker."""
    if not TICKER.fullmatch(text):
        raise invalid(f"ticker must match {TICKER.pattern}.", field="ticker")
    return text


def client_order_id(text: str | None) -> str | None:
    """A well-formed client order id: 1–64 printable ASCII characters, no blank at either end."""
    if text is not None and not CLIENT_ORDER_ID.fullmatch(text):
        raise invalid(
            "clientOrderId must have 1 to 64 printable ASCII characters, no space at an end.", field="clientOrderId"
        )
    return text


def plain_text(text: str | None, field: str) -> str | None:
    """Free text: at most ``TEXT_MAX`` characters, none of them a control character."""
    if text is not None and (len(text) > TEXT_MAX or not text.isprintable()):
        raise invalid(f"{field} must have at most {TEXT_MAX} characters, all printable.", field=field)
    return text


def number(value: Decimal, places: int, field: str) -> int:
    """A decimal as an exact integer count of 10^-places."""
    try:
        return scaled(value, places)
    except BadNumber as error:
        raise invalid(f"{field} {error}.", field=field) from error


def positive_money(value: Decimal, field: str) -> Micros:
    """An amount > 0, micros, at most ``AMOUNT_MAX``."""
    micros = number(value, MONEY_PLACES, field)
    if not 0 < micros <= AMOUNT_MAX:
        raise invalid(f"{field} must be positive and at most 10^12.", field=field)
    return Micros(micros)


def signed_money(value: Decimal, field: str) -> Micros:
    """An amount either way, micros, at most ``AMOUNT_MAX`` and not 0."""
    micros = number(value, MONEY_PLACES, field)
    if not 0 < abs(micros) <= AMOUNT_MAX:
        raise invalid(f"{field} must not be 0, and be between -10^12 and 10^12.", field=field)
    return Micros(micros)


def rate(value: Decimal, field: str) -> Ppb:
    """A rate between 0 and 1, ppb."""
    ppb = number(value, 9, field)
    if not 0 <= ppb <= PPB:
        raise invalid(f"{field} must be between 0 and 1.", field=field)
    return Ppb(ppb)


def price_ticks(value: Decimal, tick_size: int, field: str = "price") -> Ticks:
    """A positive price on its market's tick."""
    exact = number(value, PICO_PLACES, field)
    ticks, rest = divmod(exact, tick_size)
    if exact <= 0 or rest or ticks > INTEGER_MAX:
        tick = decimals.pico(tick_size)
        raise invalid(
            f"{field} must be a positive multiple of the tick size, {tick}, and below 2^63 ticks.",
            field=field,
            **{field: f"{value:f}", "tickSize": tick},
        )
    return Ticks(ticks)


def time_ms(text: str, field: str) -> Millis:
    """An RFC 3339 time with an offset."""
    try:
        if not TIME.fullmatch(text):
            raise ValueError("not RFC 3339")
        at = datetime.fromisoformat(text).astimezone(UTC)  # what lies beyond the calendar in UTC cannot be shown again
        return Millis((at - EPOCH) // timedelta(milliseconds=1))
    except (ValueError, OverflowError) as error:
        raise invalid(f"{field} must be an RFC 3339 time such as 2026-01-31T12:00:00.000Z.", field=field) from error


def limit(request: web.Request) -> int:
    """The query's ``limit``: 1 to ``LIMIT_MAX``."""
    text = request.query.get("limit")
    if text is None:
        return LIMIT_DEFAULT
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= LIMIT_MAX:
        raise invalid(f"limit must be a whole number from 1 to {LIMIT_MAX}.", field="limit")
    return int(text)


def cursor(request: web.Request) -> tuple[int, int] | None:
    """The query's ``cursor`` (``<offset>-<n>``, as given in ``nextCursor``); None for the first page."""
    text = request.query.get("cursor")
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,18})-(\d{1,9})", text, re.ASCII)
    if match is None:
        raise invalid("cursor must be the nextCursor of an earlier page of this list.", field="cursor")
    return int(match[1]), int(match[2])


def key_cursor(request: web.Request) -> tuple[int, str] | None:
    """The query's ``cursor`` of a list of keys: ``<created>-<keyId>``; None for the first page."""
    text = request.query.get("cursor")
    if text is None:
        return None
    match = re.fullmatch(rf"(\d{{1,15}})-({KEY_ID.pattern})", text, re.ASCII)
    if match is None:
        raise invalid("cursor must be the nextCursor of an earlier page of this list.", field="cursor")
    return int(match[1]), match[2]


def open_command(body: OpenBody, user: str) -> OpenPosition:
    """The command an open asks for."""
    for field, price in (("takeProfit", body.take_profit), ("stopLoss", body.stop_loss)):
        if price is not None:
            raise invalid(f"{field} is not supported yet.", field=field)
    if not 1 <= body.leverage <= 10**6:
        raise invalid("leverage must be a whole number, at least 1.", field="leverage")
    nano, rest = _limit_price(body.acceptable_price)
    return OpenPosition(
        ticker=ticker(body.ticker),
        user=user,
        side=body.side,
        size=positive_money(body.size, "size"),
        leverage=body.leverage,
        acceptable_price=nano,
        max_slippage_bps=_slippage(body.max_slippage_bps),
        acceptable_price_pico=rest,
    )


def close_command(body: CloseBody, position_id: str, user: str, *, any_owner: bool) -> ClosePosition:
    """The command a close asks for. An id that cannot be one is ``position_not_found``."""
    parts = split_position_id(position_id)
    if parts is None or not TICKER.fullmatch(parts[0]):
        raise RequestError("position_not_found", "There is no such position.", {"position": position_id[:TEXT_MAX]})
    share = PPB if body.percentage is None else number(body.percentage, 9, "percentage")
    if not 0 < share <= PPB:
        raise invalid("percentage must be more than 0 and at most 1: 0.5 closes half.", field="percentage")
    nano, rest = _limit_price(body.acceptable_price)
    return ClosePosition(
        ticker=parts[0],
        user=user,
        position_id=position_id,
        share=Ppb(share),
        acceptable_price=nano,
        max_slippage_bps=_slippage(body.max_slippage_bps),
        any_owner=any_owner,
        acceptable_price_pico=rest,
    )


def check_price(body: PriceBody) -> None:
    """Everything about a price that can be wrong without knowing its market."""
    if number(body.price, PICO_PLACES, "price") <= 0:
        raise invalid("price must be positive.", field="price")
    if body.sequence is not None and not 0 <= body.sequence < 2**63:
        raise invalid("sequence must be a whole number from 0 to 2^63 - 1.", field="sequence")
    plain_text(body.reason, "reason")
    if body.at is not None:
        time_ms(body.at, "at")


def check_price_item(item: PriceItem) -> None:
    """Everything about one price of a list that can be wrong without knowing its market."""
    ticker(item.ticker)
    check_price(item)


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


def _limit_price(value: Decimal | None) -> tuple[Nano | None, int]:
    """A limit price as a command holds it: whole nanos, and the pico below them."""
    if value is None:
        return None, 0
    exact = number(value, PICO_PLACES, "acceptablePrice")
    nano, rest = divmod(exact, 1000)
    if exact <= 0 or nano > INTEGER_MAX:
        raise invalid("acceptablePrice must be positive and below 9·10^9.", field="acceptablePrice")
    return Nano(nano), rest


def _slippage(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= BPS:
        raise invalid(f"maxSlippageBps must be a whole number from 0 to {BPS}.", field="maxSlippageBps")
    return value
