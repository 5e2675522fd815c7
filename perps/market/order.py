"""One resting order: an entry, or an exit of a position, that waits for its price; and its id."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from perps.command_facts import OrderKind, Side
from perps.units import Micros, Millis, Nano, Ppb, Ticks


class Order(Struct, frozen=True, array_like=True, gc=False):
    """An order that rests. Frozen: a replacement makes a new one with the same number.

    An exit has a ``position``, and its side and leverage. It has no size and keeps nothing: it only reduces.
    """

    number: int
    """Its number in its market; its id is ``<ticker>-o<number>``."""
    user: str
    kind: OrderKind
    side: Side
    size: Micros
    """The most notional that it takes."""
    leverage: int
    price: Ticks
    """Of a limit the worst average fill price, of a stop the mark that sets it off."""
    reserve: Micros
    """What the market keeps for it: the most that its fill can take."""
    taker_fee: Ppb
    """The fee at the time of placing; its fill pays no more."""
    placed_at: Millis
    expires_at: Millis | None = None
    acceptable_price: Nano | None = None
    """Of a stop: the worst average fill price, whole nanos …"""
    acceptable_price_pico: int = 0
    """… and the rest below them."""
    take_profit: Ticks | None = None
    stop_loss: Ticks | None = None
    referrer: str | None = None
    position: int | None = None
    """Of an exit: the number of the position that it leaves …"""
    share: Ppb = Ppb(0)
    """… and how much of what that has by then, 0 < share ≤ 10⁹."""

    @property
    def is_exit(self) -> bool:
        """Whether it leaves a position. Otherwise it begins one."""
        return self.position is not None

    @property
    def falls(self) -> bool:
        """Whether it waits for a price to fall: to buy at a limit, to sell behind a stop, to take a short's profit."""
        if self.position is not None:
            return (self.kind is OrderKind.STOP) is (self.side is Side.LONG)
        return (self.kind is OrderKind.LIMIT) is (self.side is Side.LONG)

    def is_reached(self, mark: Ticks) -> bool:
        """Whether the mark has come to its price. Of a limit, which waits for the quote, that says nothing."""
        return mark <= self.price if self.falls else mark >= self.price

    def is_over(self, at: int) -> bool:
        """Whether its time has passed."""
        return self.expires_at is not None and self.expires_at <= at


EXPIRED: Final = "expired"
POSITION_CLOSED: Final = "position_closed"
"""Why an order ended, beside ``owner`` and the codes of refusals: its time was over, or its position was gone."""


def order_id(ticker: str, number: int) -> str:
    """``BTC-PERP-o17``: an id that carries its ticker. A ticker has no small letter, so no position's id looks so."""
    return f"{ticker}-o{number}"


def split_order_id(text: str) -> tuple[str, int] | None:
    """Ticker and number of an order id; None when ``text`` cannot be one."""
    ticker, dash, number = text.rpartition("-o")
    if not dash or not ticker or not number.isascii() or not number.isdigit() or len(number) > 14:
        return None
    if number[0] == "0":
        return None
    return ticker, int(number)
