"""One order that rests: an entry, an exit of a position at a price, or one that waits for the next price; its id."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from perps.command_facts import OrderKind, Side
from perps.market.twap import Twap
from perps.units import PPB, Lots, Micros, Millis, Nano, Ppb, Ticks


class Order(Struct, frozen=True, array_like=True, gc=False):
    """An order that rests. Frozen: a replacement makes a new one with the same number.

    Four kinds, each in lists of its own: an entry (a limit or a stop) begins a position at its price; an exit (a stop,
    a trailing stop or a take-profit that ``reduces``) closes a share of one at its price; a pending order is decided at
    the next price; a TWAP opens and increases a position by the clock.
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
    """Of a limit the worst average fill price, of a stop the mark that sets it off (of a trailing one as of its event),
    of others the quote before them."""
    reserve: Micros
    """What the market keeps for it: the most that its fill can take."""
    taker_fee: Ppb
    """The fee at the time of placing; its fill pays no more."""
    placed_at: Millis
    expires_at: Millis | None = None
    acceptable_price: Nano | None = None
    """Of a stop or a market order: the worst average fill price, whole nanos …"""
    acceptable_price_pico: int = 0
    """… and the rest below them."""
    take_profit: Ticks | None = None
    stop_loss: Ticks | None = None
    referrer: str | None = None
    position: int | None = None
    """Number of the position that it is about, and ends with; None: its fill begins one."""
    reduces: bool = False
    """Whether it takes from that position, whose side and leverage it then has, and reserves nothing. ``size`` of an
    exit is 0, of a close by ``share`` or ``lots`` what it would have been worth when it was placed, and of a withdrawal
    the margin that comes out."""
    share: Ppb = Ppb(0)
    """Of an exit or a close: the share of what the position has by then, 0 < share ≤ 10⁹ …"""
    lots: Lots = Lots(0)
    """… or of a close the lots (unsigned); both 0: as many as ``size`` pays for."""
    twap: Twap | None = None
    """Of a TWAP: its slices. ``size`` and ``reserve`` are what is left for those to come."""
    callback: Ppb = Ppb(0)
    """Of a trailing stop: how far the mark comes back from its best, 0 < callback < 10⁹ …"""
    extreme: Ticks = Ticks(0)
    """… which is this, as of the order's event: it moves on with the mark, and ``price`` with it."""

    @property
    def is_pending(self) -> bool:
        """Whether it waits for nothing but the next price."""
        return self.kind in PENDING

    @property
    def is_exit(self) -> bool:
        """Whether it waits for a price at which it leaves a position."""
        return self.reduces and not self.is_pending

    @property
    def trails(self) -> bool:
        """Whether its price follows the mark: see ``perps/market/trailing.py``."""
        return self.kind is OrderKind.TRAILING_STOP

    @property
    def closes_all(self) -> bool:
        """Whether it is pending and closes a whole position."""
        return self.kind is OrderKind.MARKET and self.reduces and self.share == PPB

    @property
    def due_from(self) -> Millis:
        """Where orders wait for the next price: one that is stamped after this decides it. Of a TWAP its next slice."""
        return self.placed_at if self.twap is None else self.twap.next_at

    @property
    def falls(self) -> bool:
        """Whether it waits for a price to fall: to buy at a limit, to sell behind a stop, to take a short's profit."""
        if self.reduces:
            return (self.kind is not OrderKind.TAKE_PROFIT) is (self.side is Side.LONG)
        return (self.kind is OrderKind.LIMIT) is (self.side is Side.LONG)

    def is_reached(self, mark: Ticks) -> bool:
        """Whether the mark has come to its price. Of a limit, which waits for the quote, that says nothing."""
        return mark <= self.price if self.falls else mark >= self.price

    def is_over(self, at: int) -> bool:
        """Whether its time has passed."""
        return self.expires_at is not None and self.expires_at <= at


EXPIRED: Final = "expired"
POSITION_CLOSED: Final = "position_closed"
"""Why an order ended: its time was over, or its position was gone. All reasons: see ``OrderCancelled``."""

PENDING: Final = (OrderKind.MARKET, OrderKind.WITHDRAWAL)
"""Kinds of orders that wait for nothing but the next price."""


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
