"""The body of a TWAP order: what can be wrong without knowing its market, and the command that it asks for."""

from __future__ import annotations

from typing import Final

from perps.commands import PlaceTwap, Side
from perps.params import MarketParams
from perps.units import Micros, Millis
from perps.wire.base import outside
from perps.wire.orders.placing import OrderBody
from web.answers.errors import invalid
from web.api.bodies.units import limit_price, positive_money, time_ms

_NEEDED: Final = ("ticker", "side", "size", "leverage", "slices", "interval_ms")
_FOREIGN: Final = {
    "price": "acceptablePrice bounds each of its slices",
    "position_id": "it begins a position of its own",
    "percentage": "it begins a position, and has a size",
    "take_profit": "set it for the position, once the first slice has opened that",
    "stop_loss": "set it for the position, once the first slice has opened that",
}


def check_twap(body: OrderBody) -> None:
    """What a TWAP has to have, and what it cannot have."""
    for field in _NEEDED:
        if getattr(body, field) is None:
            raise invalid(f"{outside(field)} is missing.", field=outside(field))
    for field, why in _FOREIGN.items():
        if getattr(body, field) is not None:
            raise invalid(f"A twap has no {outside(field)}: {why}.", field=outside(field))


def check_no_slices(body: OrderBody) -> None:
    """Other orders fill at once, at a price."""
    for field in ("slices", "interval_ms"):
        if getattr(body, field) is not None:
            raise invalid(f"{outside(field)} is for a twap: set type to twap.", field=outside(field))


def twap_command(body: OrderBody, params: MarketParams) -> PlaceTwap:
    """The command that a TWAP asks for, once ``check_twap`` has passed; its user is empty when the body names none."""
    nano, rest = limit_price(body.acceptable_price, "acceptablePrice")
    return PlaceTwap(
        ticker=params.ticker,
        user=body.user_id or "",
        side=body.side or Side.LONG,
        size=Micros(0) if body.size is None else positive_money(body.size, "size"),
        leverage=body.leverage or 0,
        slices=body.slices or 0,
        interval=Millis(body.interval_ms or 0),
        expires_at=None if body.expires_at is None else time_ms(body.expires_at, "expiresAt"),
        acceptable_price=nano,
        acceptable_price_pico=rest,
    )
