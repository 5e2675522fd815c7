"""The command that trades a user's net position. ``perps/commands.py`` says what a command states."""

from typing import ClassVar

from msgspec import Struct

from perps.command_facts import Ids, Route, Side, most_to_pay
from perps.units import Micros, Nano, Ppb


class TradeNet(Struct, frozen=True, kw_only=True, tag=True):
    """Buy (``side`` long) or sell (short) at most ``size`` notional.

    It closes what the user has on the other side, oldest first; what is left opens a position, or makes one larger.
    """

    kind: ClassVar[str] = "trade"
    route: ClassVar[Route] = Route.FUNDED
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    user: str
    side: Side
    size: Micros
    leverage: int
    """Of what is left when the other side is closed."""
    acceptable_price: Nano | None = None
    """Worst average price of the whole trade, in whole nanos; with the rest below it is ``limit_price``."""
    max_slippage_bps: int | None = None
    """The same, in 1/10,000 of the quote price just before the trade."""
    acceptable_price_pico: int = 0
    """What the acceptable price has below a whole nano: 0 to 999 pico."""
    reduce_only: bool = False
    """Only close: nothing is opened with what is left."""

    @property
    def payer(self) -> str:
        """Whose wallet pays."""
        return self.user

    def bound(self, taker_fee: Ppb) -> Micros:
        """The most it can take: that of an open of its size, micros; 0 if it only closes.

        What it closes brings its own fee.
        """
        return Micros(0) if self.reduce_only else most_to_pay(self.size, self.leverage, taker_fee)
