"""The body of a TWAP order: what it must have, and what only it can have."""

from __future__ import annotations

from typing import Final

from perps.wire.base import outside
from perps.wire.orders.placing import OrderBody
from web.answers.errors import invalid

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
