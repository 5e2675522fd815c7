"""Commands: what may be asked of the venue, in the imperative. Frozen, serialisable, checked by its rule.

A command states here everything that the machinery needs to know about it, so that supervisor, ledger, market,
journal and tools work for a new one without a line of their own. (They name two of the old ones: a market begins with
``ListMarket``, and the timer sends ``ObserveTime``.)

``kind``     what its journal row is called.
``route``    who decides it, and whether money is set aside first (``Route``).
``payer``    whose money is set aside: a user's, or ``OUTSIDE`` for money that the command brings in.
``bound``    how much: the most that the command can take.
``scope``    what the key of its sender must allow.
``ids``      whose client order ids it lives under (``Ids``).
``gets_id``  whether it gets a client order id when its sender gives none: the row of what must not be done twice can
             then be found by it.
``later``    fields added after its first release. While such a field holds its default the fingerprint leaves it out,
             so that a command sent before an upgrade and repeated after it is still the same command. The same holds
             within ``MarketParams``, which has a list of its own.

What it does is in its rule module: see ``perps/rules/table.py``.
"""

from typing import Any, ClassVar, Final, get_args

from msgspec import Struct

from perps.command_facts import OUTSIDE as OUTSIDE
from perps.command_facts import HouseAccount as HouseAccount
from perps.command_facts import Ids as Ids
from perps.command_facts import OrderKind as OrderKind
from perps.command_facts import PriceSource as PriceSource
from perps.command_facts import Route as Route
from perps.command_facts import Side as Side
from perps.command_facts import most_to_pay
from perps.net_commands import TradeNet as TradeNet
from perps.order_commands import CancelOrder as CancelOrder
from perps.order_commands import CancelOrders as CancelOrders
from perps.order_commands import PlaceExit as PlaceExit
from perps.order_commands import PlaceOrder as PlaceOrder
from perps.order_commands import ReplaceOrder as ReplaceOrder
from perps.order_commands import SetCancelTimer as SetCancelTimer
from perps.params import MarketParams, Mode, ParamChanges
from perps.twap_commands import PlaceTwap as PlaceTwap
from perps.units import Lots, Micros, Millis, Nano, Pico, Ppb, Ticks


class OpenPosition(Struct, frozen=True, kw_only=True, tag=True):
    """Open a position of at most ``size`` notional, or make one larger by as much."""

    kind: ClassVar[str] = "open"
    route: ClassVar[Route] = Route.FUNDED
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ("acceptable_price_pico", "take_profit", "stop_loss", "position")

    ticker: str
    user: str
    side: Side
    size: Micros
    leverage: int
    acceptable_price: Nano | None = None
    """Worst average fill price, in whole nanos; with the rest below it is ``limit_price``."""
    max_slippage_bps: int | None = None
    """Worst average fill price, in 1/10,000 of the quote price just before the trade."""
    acceptable_price_pico: int = 0
    """What the acceptable price has below a whole nano: 0 to 999 pico."""
    take_profit: Ticks | None = None
    """The mark at which the venue closes the position with a profit …"""
    stop_loss: Ticks | None = None
    """… and the one at which it closes it before it loses more."""
    position: str | None = None
    """The id of the position to add to, which is on the same side; None: a new position."""

    @property
    def payer(self) -> str:
        """Whose wallet pays."""
        return self.user

    def bound(self, taker_fee: Ppb) -> Micros:
        """The most it can take: margin ceil(size/leverage) and fee ceil(size·fee), micros."""
        return most_to_pay(self.size, self.leverage, taker_fee)


class ClosePosition(Struct, frozen=True, kw_only=True, tag=True):
    """Close a part of a position, or all of it. ``any_owner`` is set for administrators.

    How much is said by ``lots``, by ``size``, or, if both are 0, by ``share``.
    """

    kind: ClassVar[str] = "close"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.SENDER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ("acceptable_price_pico", "lots", "size")

    ticker: str
    user: str
    position_id: str
    share: Ppb
    """0 < share ≤ 10⁹; the lots closed are rounded down, and at least one."""
    acceptable_price: Nano | None = None
    max_slippage_bps: int | None = None
    any_owner: bool = False
    acceptable_price_pico: int = 0
    lots: Lots = Lots(0)
    """Unsigned; more than there are is all."""
    size: Micros = Micros(0)
    """The most notional to close, as in an open; more than there is is all."""


class ChangeMargin(Struct, frozen=True, kw_only=True, tag=True):
    """Pay ``amount`` from the owner's wallet into a position's margin (> 0), or take it out (< 0)."""

    kind: ClassVar[str] = "margin"
    route: ClassVar[Route] = Route.FUNDED
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    user: str
    position_id: str
    amount: Micros

    @property
    def payer(self) -> str:
        """Whose wallet pays, or is paid: the position must be theirs."""
        return self.user

    def bound(self, _: Ppb) -> Micros:
        """What it takes from the wallet, micros; 0 when it pays into it."""
        return Micros(max(self.amount, 0))


class SetTriggers(Struct, frozen=True, kw_only=True, tag=True):
    """Give a position these prices to leave at, and no others; None: none. ``any_owner`` is set for administrators."""

    kind: ClassVar[str] = "triggers"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "trade"
    ids: ClassVar[Ids] = Ids.SENDER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    user: str
    position_id: str
    take_profit: Ticks | None
    stop_loss: Ticks | None
    any_owner: bool = False


class UpdatePrice(Struct, frozen=True, kw_only=True, tag=True):
    """Set a market's index price, or move it by a fraction of itself. The only way any price enters the venue."""

    kind: ClassVar[str] = "price"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "price"
    ids: ClassVar[Ids] = Ids.SENDER
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ("change",)

    ticker: str
    price: Ticks | None = None
    """The new price; None with ``change``, and only then."""
    source: PriceSource
    reason: str | None = None
    sequence: int | None = None
    """The source's own number; must grow from one update to the next."""
    source_at: Millis | None = None
    """The source's own time; must not fall."""
    change: Ppb | None = None
    """c: the price becomes S·(1 + c), or S/(1 + |c|) for c < 0, so that up and down again leads back."""


class ListMarket(Struct, frozen=True, kw_only=True, tag=True):
    """Create a market at a first index price."""

    kind: ClassVar[str] = "list"
    route: ClassVar[Route] = Route.LISTING
    scope: ClassVar[str] = "admin"
    ids: ClassVar[Ids] = Ids.ADMINISTRATION
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()
    payer: ClassVar[str] = OUTSIDE

    params: MarketParams
    price: Ticks

    @property
    def ticker(self) -> str:
        """The new market's ticker."""
        return self.params.ticker

    def bound(self, _: Ppb) -> Micros:
        """What its house begins with, micros."""
        return self.params.house_deposit


class SetMode(Struct, frozen=True, kw_only=True, tag=True):
    """Enable a market, let it only reduce, or halt it."""

    kind: ClassVar[str] = "mode"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "admin"
    ids: ClassVar[Ids] = Ids.ADMINISTRATION
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str
    mode: Mode
    reason: str = "administrator"


class CreateUser(Struct, frozen=True, kw_only=True, tag=True):
    """Create a user, optionally with a first deposit and the user who referred them."""

    kind: ClassVar[str] = "user"
    route: ClassVar[Route] = Route.LEDGER
    scope: ClassVar[str] = "admin"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()

    user: str
    deposit: Micros = Micros(0)
    referrer: str | None = None


class Deposit(Struct, frozen=True, kw_only=True, tag=True):
    """Money enters a wallet from outside."""

    kind: ClassVar[str] = "deposit"
    route: ClassVar[Route] = Route.LEDGER
    scope: ClassVar[str] = "admin"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()

    user: str
    amount: Micros


class Withdraw(Struct, frozen=True, kw_only=True, tag=True):
    """Money leaves a wallet for outside."""

    kind: ClassVar[str] = "withdraw"
    route: ClassVar[Route] = Route.LEDGER
    scope: ClassVar[str] = "admin"
    ids: ClassVar[Ids] = Ids.USER
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()

    user: str
    amount: Micros


class FundMarket(Struct, frozen=True, kw_only=True, tag=True):
    """Pay money from outside into a market's house or insurance (``amount`` > 0), or take it out (< 0)."""

    kind: ClassVar[str] = "fund"
    route: ClassVar[Route] = Route.FUNDED
    scope: ClassVar[str] = "admin"
    ids: ClassVar[Ids] = Ids.ADMINISTRATION
    gets_id: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ()
    payer: ClassVar[str] = OUTSIDE

    ticker: str
    account: HouseAccount
    amount: Micros

    def bound(self, _: Ppb) -> Micros:
        """What it brings in, micros; 0 when it takes out."""
        return Micros(max(self.amount, 0))


class UpdateMarket(Struct, frozen=True, kw_only=True, tag=True):
    """Change some of a market's parameters. ``force``: also if that makes standing positions liquidatable."""

    kind: ClassVar[str] = "params"
    route: ClassVar[Route] = Route.FUNDED
    scope: ClassVar[str] = "admin"
    ids: ClassVar[Ids] = Ids.ADMINISTRATION
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()
    payer: ClassVar[str] = OUTSIDE

    ticker: str
    changes: ParamChanges
    force: bool = False

    def bound(self, _: Ppb) -> Micros:
        """It moves no money; the ledger sees whether all houses together may owe so much."""
        return Micros(0)


class SettleMarket(Struct, frozen=True, kw_only=True, tag=True):
    """Close every position of a halted market at one price, and end it."""

    kind: ClassVar[str] = "settle"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "admin"
    ids: ClassVar[Ids] = Ids.ADMINISTRATION
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str


class ObserveTime(Struct, frozen=True, kw_only=True, tag=True):
    """Time has passed: do what is due in a market by now. The venue's timer sends it; no row if nothing is due."""

    kind: ClassVar[str] = "time"
    route: ClassVar[Route] = Route.MARKET
    scope: ClassVar[str] = "admin"
    ids: ClassVar[Ids] = Ids.ADMINISTRATION
    gets_id: ClassVar[bool] = False
    later: ClassVar[tuple[str, ...]] = ()

    ticker: str


SWEEP: Final = "sweep"
"""The kind of a row that no command made: consequences that overflowed the row before, or were due at a start."""

FundedCommand = (
    OpenPosition
    | ChangeMargin
    | PlaceOrder
    | ReplaceOrder
    | FundMarket
    | ListMarket
    | UpdateMarket
    | TradeNet
    | PlaceTwap
)
MarketCommand = (
    OpenPosition
    | ClosePosition
    | ChangeMargin
    | SetTriggers
    | PlaceOrder
    | ReplaceOrder
    | CancelOrder
    | CancelOrders
    | PlaceExit
    | UpdatePrice
    | ListMarket
    | SetMode
    | FundMarket
    | UpdateMarket
    | SettleMarket
    | ObserveTime
    | SetCancelTimer
    | TradeNet
    | PlaceTwap
)
LedgerCommand = CreateUser | Deposit | Withdraw
Command = MarketCommand | LedgerCommand

COMMANDS: Final[tuple[type[Any], ...]] = get_args(Command)
KINDS: Final = (*(command.kind for command in COMMANDS), SWEEP)
"""Every kind that a journal row can have."""


def signed(side: Side, lots: int) -> Lots:
    """Lots with the sign of their side: long > 0, short < 0."""
    return Lots(lots if side is Side.LONG else -lots)


def limit_price(command: OpenPosition | ClosePosition | TradeNet) -> Pico | None:
    """The worst average fill price a command accepts, exact, in pico: nanos · 1000 + the rest. None: any price."""
    if command.acceptable_price is None:
        return None
    return Pico(command.acceptable_price * 1000 + command.acceptable_price_pico)
