"""Commands about resting orders: a part of ``perps/commands.py``, whose head explains their facts."""

from typing import ClassVar

from msgspec import UNSET, Struct, UnsetType

from perps.command_facts import Ids, OrderKind, Route, Side, most_to_pay
from perps.units import Micros, Millis, Nano, Ppb, Ticks


class PlaceOrder(Struct, frozen=True, kw_only=True, tag=True):
    """Let an order to open a position wait for its price."""

    kind: ClassVar[str] = "order"
    route: ClassVar[Route] = Route.FUNDED
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    user: str
    order: OrderKind
    side: Side
    size: Micros
    leverage: int
    price: Ticks
    """Of a limit the worst average fill price, of a stop the mark that sets it off."""
    expires_at: Millis | None = None
    acceptable_price: Nano | None = None
    """Of a stop: the worst average fill price, in whole nanos …"""
    acceptable_price_pico: int = 0
    """… and the rest below them."""
    take_profit: Ticks | None = None
    stop_loss: Ticks | None = None

    @property
    def payer(self) -> str:
        """Whose wallet pays."""
        return self.user

    def bound(self, taker_fee: Ppb) -> Micros:
        """The most that its fill can take: margin and fee, micros."""
        return most_to_pay(self.size, self.leverage, taker_fee)


class PlaceExit(Struct, frozen=True, kw_only=True, tag=True):
    """Let an order to leave a position, or a share of it, wait for its price. It only reduces, and takes no money."""

    kind: ClassVar[str] = "exit"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ("callback",)

    ticker: str
    user: str
    order: OrderKind
    """A stop, a trailing stop or a take-profit."""
    position_id: str
    share: Ppb
    """0 < share ≤ 10⁹, of what the position has when the order is due; rounded down to lots, and at least one."""
    price: Ticks
    """The mark that sets it off; of a trailing stop 0, as it follows the mark."""
    expires_at: Millis | None = None
    acceptable_price: Nano | None = None
    acceptable_price_pico: int = 0
    callback: Ppb = Ppb(0)
    """Of a trailing stop: how far the mark comes back from its best before it leaves, 0 < callback < 10⁹; else 0."""


class ReplaceOrder(Struct, frozen=True, kw_only=True, tag=True):
    """Give a resting order other terms. What is not set stays as it is when the market decides; None clears."""

    kind: ClassVar[str] = "replace"
    route: ClassVar[Route] = Route.FUNDED
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ("callback",)

    ticker: str
    user: str
    order_id: str
    size: Micros | UnsetType = UNSET
    leverage: int | UnsetType = UNSET
    price: Ticks | UnsetType = UNSET
    expires_at: Millis | UnsetType | None = UNSET
    acceptable_price: Nano | UnsetType | None = UNSET
    acceptable_price_pico: int | UnsetType = UNSET
    """Set whenever ``acceptable_price`` is."""
    take_profit: Ticks | UnsetType | None = UNSET
    stop_loss: Ticks | UnsetType | None = UNSET
    share: Ppb | UnsetType = UNSET
    """Of an exit."""
    known_size: Micros = Micros(0)
    """What the sender saw of the order: its size and its leverage, where they stay. The ledger's bound follows from
    them, so the market refuses when they are others by then. No part of what is asked for: see ``fingerprint``."""
    known_leverage: int = 1
    callback: Ppb | UnsetType = UNSET
    """Of a trailing stop. What it has followed so far stays."""

    @property
    def payer(self) -> str:
        """Whose wallet pays."""
        return self.user

    @property
    def sized(self) -> tuple[Micros, int]:
        """Size and leverage that the order has afterwards, as far as the sender knows."""
        size = self.known_size if self.size is UNSET else self.size
        return size, self.known_leverage if self.leverage is UNSET else self.leverage

    def bound(self, taker_fee: Ppb) -> Micros:
        """The most that its fill can take: margin and fee, micros. What the order has already counts towards it."""
        return most_to_pay(*self.sized, taker_fee)


class CancelOrder(Struct, frozen=True, kw_only=True, tag=True):
    """End a resting order. ``any_owner`` is set for administrators."""

    kind: ClassVar[str] = "cancel"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.SENDER
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    user: str
    order_id: str
    any_owner: bool = False


class CancelOrders(Struct, frozen=True, kw_only=True, tag=True):
    """End all resting orders of a user in a market; no row if there are none."""

    kind: ClassVar[str] = "cancel_all"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    user: str


class SetCancelTimer(Struct, frozen=True, kw_only=True, tag=True):
    """End all resting orders of a user in a market ``after_ms`` from now, unless this is sent again before; 0: never.

    Exit orders stay, as take-profits and stop-losses of positions do.
    The time counts from the command's own row, by the venue's clock.
    """

    kind: ClassVar[str] = "cancel_timer"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    user: str
    after_ms: int
