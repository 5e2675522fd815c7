"""The command that places a TWAP order: a part of ``perps/commands.py``, whose head explains its facts."""

from typing import ClassVar

from msgspec import Struct

from perps.command_facts import Ids, Route, Side, most_to_pay
from perps.units import Micros, Millis, Nano, Ppb


class PlaceTwap(Struct, frozen=True, kw_only=True, tag=True):
    """Take ``size`` in equal slices, one an interval: the first opens a position, the later ones increase it."""

    kind: ClassVar[str] = "twap"
    route: ClassVar[Route] = Route.FUNDED
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    user: str
    side: Side
    size: Micros
    """The most notional of all slices together."""
    leverage: int
    slices: int
    """2 to 100."""
    interval: Millis
    """From one slice to the next, 1,000 to 86,400,000."""
    expires_at: Millis | None = None
    acceptable_price: Nano | None = None
    """The worst average fill price of each slice, in whole nanos …"""
    acceptable_price_pico: int = 0
    """… and the rest below them."""

    @property
    def payer(self) -> str:
        """Whose wallet pays."""
        return self.user

    def bound(self, taker_fee: Ppb) -> Micros:
        """The most that all slices can take, micros: margin and fee of the whole, and what they round up apart."""
        return twap_reserve(self.size, self.leverage, taker_fee, self.slices)


def twap_reserve(size: Micros, leverage: int, taker_fee: Ppb, slices: int) -> Micros:
    """The most that taking ``size`` in slices can cost: each rounds its margin and its fee up to a whole micro."""
    return Micros(most_to_pay(size, leverage, taker_fee) + 2 * max(slices, 0))
