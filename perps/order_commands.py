"""Commands about resting orders: a part of ``perps/commands.py``, whose head explains their facts."""

from typing import ClassVar

from msgspec import Struct

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


class ReplaceOrder(Struct, frozen=True, kw_only=True, tag=True):
    """Give a resting order all of these terms instead of those that it has."""

    kind: ClassVar[str] = "replace"
    route: ClassVar[Route] = Route.FUNDED
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    user: str
    order_id: str
    size: Micros
    leverage: int
    price: Ticks
    expires_at: Millis | None = None
    acceptable_price: Nano | None = None
    acceptable_price_pico: int = 0
    take_profit: Ticks | None = None
    stop_loss: Ticks | None = None

    @property
    def payer(self) -> str:
        """Whose wallet pays."""
        return self.user

    def bound(self, taker_fee: Ppb) -> Micros:
        """The most that its fill can take: margin and fee, micros. What the order has already counts towards it."""
        return most_to_pay(self.size, self.leverage, taker_fee)


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
