"""Events of resting orders: a part of ``perps/events.py``. A fill is an event of its position
and has the order.
"""

from typing import ClassVar

from msgspec import Struct

from perps.market.order import Order
from perps.transfers import Transfers
from perps.units import Millis


class OrderPlaced(Struct, frozen=True, array_like=True, tag=True):
    """An order rests from here on; its reserve has left the wallet."""

    order: Order
    transfers: Transfers

    @property
    def subject(self) -> str:
        """The order's owner."""
        return self.order.user


class OrderReplaced(Struct, frozen=True, array_like=True, tag=True):
    """A resting order has other terms from here on; ``transfers`` has the difference of the reserves."""

    order: Order
    transfers: Transfers

    @property
    def subject(self) -> str:
        """The order's owner."""
        return self.order.user


class OrderCancelled(Struct, frozen=True, array_like=True, tag=True):
    """An order has ended without a fill; its reserve is back in the wallet.

    ``reason``: ``owner``, ``expired``, ``cancel_timer``, ``position_closed``, ``settled``, or the code that its fill
    was refused with.
    """

    order: Order
    reason: str
    transfers: Transfers

    @property
    def subject(self) -> str:
        """The order's owner."""
        return self.order.user


class CancelTimerSet(Struct, frozen=True, array_like=True, tag=True):
    """A user's resting orders in this market end at ``at``, unless another one of these comes before; None: no more."""

    transfers: ClassVar[Transfers] = ()

    user: str
    at: Millis | None

    @property
    def subject(self) -> str:
        """Whose orders they are."""
        return self.user
