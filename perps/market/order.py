"""One resting order: an entry that waits for its price; and its id."""

from __future__ import annotations

from msgspec import Struct

from perps.command_facts import OrderKind, Side
from perps.units import Micros, Millis, Nano, Ppb, Ticks


class Order(Struct, frozen=True, array_like=True, gc=False):
    """An entry that rests. Frozen: a replacement makes a new one with the same number."""

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

    @property
    def falls(self) -> bool:
        """Whether it waits for a price to fall: to buy at a limit, or to sell behind a stop."""
        return (self.kind is OrderKind.LIMIT) is (self.side is Side.LONG)


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
