"""Bodies of orders: what can be wrong without knowing their market, and the commands that they ask for."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from perps.commands import OrderKind, PlaceExit, PlaceOrder, PlaceTwap, ReplaceOrder, Side
from perps.market.order import Order
from perps.market.position import split_position_id
from perps.params import MarketParams
from perps.units import PPB, Micros, Millis, Ppb, Ticks
from perps.wire.base import outside
from perps.wire.orders.placing import OrderBody, ReplaceBody
from web.answers.decimals import PICO_PLACES
from web.answers.errors import invalid
from web.api.bodies.commands import check_exits, exits
from web.api.bodies.trailing import callback_ppb, check_trailing
from web.api.bodies.twap import check_no_slices, check_twap
from web.api.bodies.units import limit_price, number, positive_money, price_ticks, share, time_ms

_OF_ENTRIES: Final = ("ticker", "side", "size", "leverage")
_NOT_OF_EXITS: Final = ("side", "size", "leverage", "take_profit", "stop_loss")


def check_order(body: OrderBody) -> None:
    """Everything about an order that can be wrong without knowing its market."""
    if body.type == "twap":
        check_twap(body)
    elif body.position_id is not None:
        _check_exit(body, body.position_id)
    else:
        for name in _OF_ENTRIES:
            if getattr(body, name) is None:
                raise invalid(f"{name} is missing. (An exit of a position has positionId instead.)", field=name)
        if body.type in ("take_profit", "trailing_stop"):
            raise invalid(f"A {body.type} leaves a position: name it in positionId.", field="type")
        if body.percentage is not None:
            raise invalid("percentage is for an exit: name its position in positionId.", field="percentage")
    if body.type != "twap":
        check_no_slices(body)
    check_trailing(body)
    if body.size is not None:
        positive_money(body.size, "size")
    _check_prices(body)
    if body.acceptable_price is not None and body.type == "limit":
        raise invalid("acceptablePrice is for stops: the price of a limit is its bound.", field="acceptablePrice")


def check_replacement(body: ReplaceBody) -> None:
    """Everything about other terms that can be wrong without knowing the market."""
    if body.size is not None:
        positive_money(body.size, "size")
    if body.percentage is not None:
        _share(body)
    if body.callback is not None:
        callback_ppb(body.callback)
    _check_prices(body)


def order_command(body: OrderBody, params: MarketParams) -> PlaceOrder | PlaceExit | PlaceTwap:
    """The command an order asks for, once ``check_order`` has passed."""
    nano, rest = limit_price(body.acceptable_price, "acceptablePrice")
    price = Ticks(0) if body.price is None else price_ticks(body.price, params.tick_size)
    more: dict[str, Any] = {
        "ticker": params.ticker,
        "user": body.user_id or "",
        "expires_at": None if body.expires_at is None else time_ms(body.expires_at, "expiresAt"),
        "acceptable_price": nano,
        "acceptable_price_pico": rest,
    }
    if body.position_id is not None:
        return PlaceExit(
            order=OrderKind(body.type),
            position_id=body.position_id,
            share=_share(body),
            price=price,
            callback=Ppb(0) if body.callback is None else callback_ppb(body.callback),
            **more,
        )
    more |= {
        "side": body.side or Side.LONG,
        "size": Micros(0) if body.size is None else positive_money(body.size, "size"),
        "leverage": body.leverage or 0,
    }
    if body.type == "twap":
        return PlaceTwap(slices=body.slices or 0, interval=Millis(body.interval_ms or 0), **more)
    profit, stop = exits(body, params)
    return PlaceOrder(order=OrderKind(body.type), price=price, take_profit=profit, stop_loss=stop, **more)


def replacement(body: ReplaceBody, name: str, order: Order | None, params: MarketParams) -> ReplaceOrder:
    """What the body names, and what is known here of the rest. Of an order that is gone, anything."""
    named: dict[str, Any] = {}
    if body.size is not None:
        named["size"] = positive_money(body.size, "size")
    if body.leverage is not None:
        named["leverage"] = body.leverage
    if body.percentage is not None:
        named["share"] = _share(body)
    if body.callback is not None:
        named["callback"] = callback_ppb(body.callback)
    if body.price is not None:
        named["price"] = price_ticks(body.price, params.tick_size)
    if body.expires_at is not UNSET:
        named["expires_at"] = None if body.expires_at is None else time_ms(body.expires_at, "expiresAt")
    if body.acceptable_price is not UNSET:
        nano, rest = limit_price(body.acceptable_price, "acceptablePrice")
        named |= {"acceptable_price": nano, "acceptable_price_pico": rest}
    profit, stop = exits(body, params)
    if body.take_profit is not UNSET:
        named["take_profit"] = profit
    if body.stop_loss is not UNSET:
        named["stop_loss"] = stop
    if order is not None:
        named |= {"known_size": order.size, "known_leverage": order.leverage}
    return ReplaceOrder(ticker=params.ticker, user=body.user_id or "", order_id=name, **named)


def _check_exit(body: OrderBody, position: str) -> None:
    if body.type == "limit":
        raise invalid("An exit of a position is a stop, a trailing_stop or a take_profit.", field="type")
    for field in _NOT_OF_EXITS:
        if getattr(body, field) is not None:
            name = outside(field)
            raise invalid(f"An exit has no {name}: it closes a percentage of its position.", field=name)
    parts = split_position_id(position)
    if body.ticker is not None and parts is not None and parts[0] != body.ticker:
        raise invalid("The position is in another market: leave ticker out, or name the position's.", field="ticker")
    _share(body)


def _check_prices(body: OrderBody | ReplaceBody) -> None:
    if body.price is not None and number(body.price, PICO_PLACES, "price") <= 0:
        raise invalid("price must be positive.", field="price")
    if body.acceptable_price is not UNSET:
        limit_price(body.acceptable_price, "acceptablePrice")
    check_exits(body)
    if body.expires_at is not UNSET and body.expires_at is not None:
        time_ms(body.expires_at, "expiresAt")


def _share(body: OrderBody | ReplaceBody) -> Ppb:
    return Ppb(PPB) if body.percentage is None else share(body.percentage, "percentage")
