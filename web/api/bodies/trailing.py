"""What a body says of a trailing stop: a callback in place of a price."""

from __future__ import annotations

from decimal import Decimal

from perps.units import PPB, Ppb
from perps.wire.orders.placing import OrderBody
from web.answers.errors import invalid
from web.api.bodies.units import number


def check_trailing(body: OrderBody) -> None:
    """A trailing stop leaves a position and has a callback; whatever else waits for a price has that price."""
    if body.type != "trailing_stop":
        if body.callback is not None:
            raise invalid(f"callback is for a trailing_stop, not for a {body.type}.", field="callback")
        if body.price is None and body.type != "twap":
            raise invalid("price is missing.", field="price")
        return
    if body.price is not None:
        raise invalid("A trailing_stop has no price: it follows the mark, a callback behind it.", field="price")
    if body.callback is None:
        raise invalid(
            "callback is missing: 0.02 leaves when the mark has come 2 % back from its best.", field="callback"
        )
    callback_ppb(body.callback)


def callback_ppb(value: Decimal) -> Ppb:
    """How far the mark comes back, ppb: more than 0 and less than 1, at most 9 decimals."""
    ppb = number(value, 9, "callback")
    if not 0 < ppb < PPB:
        hint = f" For {value:f} % send {value / 100:f}." if 1 <= value < 100 else ""
        raise invalid(f"callback must be more than 0 and less than 1: 0.02 is 2 %.{hint}", field="callback")
    return Ppb(ppb)
