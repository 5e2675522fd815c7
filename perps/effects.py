"""Effects: what an event means to whoever reads the venue, whatever command made it.

A rule says by ``project`` which of these its event has. Query tables, read model, streams and logs know effects and no
events, so a new event shows up in all of them when its rule is written. If no effect fits, a new kind of effect is
needed: the read model and the streams must then say what they do with it, and mypy names the places. ``perps journal``
alone has a line for each event, because it says it in words (``tools/audit/event_text.py``).

Money needs no effect of its own: every event's ``transfers`` are posted, stored and shown as they are.
"""

from enum import StrEnum

from msgspec import Struct

from perps.commands import HouseAccount, PriceSource
from perps.events import CloseReason, Fill
from perps.market.holding import HeldPrice
from perps.market.order import Order
from perps.market.position import Position
from perps.params import MarketParams, Mode
from perps.units import FundingIndex, Micros, Millis, Ticks


class TradeKind(StrEnum):
    """What a trade did to the position behind it."""

    OPEN = "open"
    CLOSE = "close"
    LIQUIDATION = "liquidation"
    SETTLEMENT = "settlement"
    DELEVERAGE = "deleverage"


class Traded(Struct, frozen=True, gc=False):
    """A trade against the house that changed a position. Money in micros."""

    kind: TradeKind
    position: Position
    """As it stands after the trade; with 0 lots it has ended."""
    fill: Fill
    is_new: bool
    """The position began with this trade."""
    fee: Micros
    """Taker fee or liquidation fee, the referrer's part included."""
    referral: Micros
    pnl: Micros = Micros(0)
    """Realised, before fees."""
    funding: Micros = Micros(0)
    """Settled by this trade; > 0: the position paid."""
    bad_debt: Micros = Micros(0)
    margin_released: Micros = Micros(0)
    """Of what a reduction closed: its share of the margin …"""
    entry_released: Micros = Micros(0)
    """… and |C| that was paid for it."""
    reason: CloseReason | None = None
    """Which exit of the position made the trade, if one did."""
    order: int | None = None
    """Number of the order that it filled, if there was one."""

    @property
    def adds(self) -> bool:
        """Whether the trade made the position larger."""
        return self.kind is TradeKind.OPEN

    @property
    def is_long(self) -> bool:
        """Whether the position behind it is long: what makes a long larger buys, what makes it smaller sells."""
        return (self.fill.lots > 0) is self.adds


class Changed(Struct, frozen=True, gc=False):
    """A position has changed, and not by a trade: its margin, or the prices at which it leaves."""

    position: Position
    """As it stands now."""
    mark_price: Ticks
    """The mark and the funding index at that moment …"""
    funding_index: FundingIndex
    """… that its value follows from."""


class OrderStatus(StrEnum):
    """Whether an order rests, or how it ended."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Ordered(Struct, frozen=True, gc=False):
    """An order rests with these terms, or rests no more."""

    order: Order
    status: OrderStatus
    is_new: bool = False
    """It was placed now."""
    reason: str | None = None
    """Why it ended without a fill: see ``OrderCancelled``."""
    position: int | None = None
    """Number of the position that its fill began or reduced …"""
    fill: Fill | None = None
    """… and the fill."""


class Priced(Struct, frozen=True, gc=False):
    """A market took a price; what follows from it for mark and quote. Ticks."""

    index: Ticks
    mark: Ticks
    quote: Ticks
    source: PriceSource
    reason: str | None = None
    sequence: int | None = None
    is_first: bool = False
    """The price that a listing brings."""


class Holding(Struct, frozen=True, gc=False):
    """A price waits to be confirmed, or (None) none does any more."""

    held: HeldPrice | None


class Status(Struct, frozen=True, gc=False):
    """What a market lets through from here on, and why. ``name`` is set when the market begins."""

    mode: Mode
    reason: str
    name: str | None = None


class ParamsSet(Struct, frozen=True, gc=False):
    """A market's parameters have changed to these."""

    params: MarketParams


class Joined(Struct, frozen=True, gc=False):
    """A user exists from here on."""

    user: str
    referrer: str | None


class Paid(Struct, frozen=True, gc=False):
    """Money entered a user's wallet from outside (``amount`` > 0) or left it (< 0), micros."""

    user: str
    amount: Micros


class Funded(Struct, frozen=True, gc=False):
    """Money entered an account of a market from outside (``amount`` > 0) or left it (< 0), micros."""

    account: HouseAccount
    amount: Micros


class FundingHour(Struct, frozen=True, gc=False):
    """A full hour in a market's funding."""

    at: Millis
    index: FundingIndex
    paid: FundingIndex
    """How far the index has moved since the full hour that was noted before."""
    rate: int
    """The daily rate that it ends with, 10⁻¹⁸."""
    index_price: Ticks


Effect = Traded | Changed | Ordered | Priced | Holding | Status | ParamsSet | Joined | Paid | Funded | FundingHour
Effects = tuple[Effect, ...]
