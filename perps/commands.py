"""Commands: what may be asked of the venue, in the imperative. Frozen, serialisable, checked by ``decide``."""

from enum import StrEnum
from hashlib import blake2b

import msgspec
from msgspec import Struct

from perps.params import MarketParams, Mode
from perps.units import Lots, Micros, Millis, Nano, Pico, Ppb, Ticks


class Side(StrEnum):
    """Long gains when the price rises, short when it falls."""

    LONG = "long"
    SHORT = "short"


class PriceSource(StrEnum):
    """Who says so: a feed, a story, a trading agent's report, or the venue's own administration."""

    ORACLE = "oracle"
    EVENT = "event"
    AGENT = "agent"
    SYSTEM = "system"


class OpenPosition(Struct, frozen=True, kw_only=True, tag=True):
    """Open a position of at most ``size`` notional."""

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


class ClosePosition(Struct, frozen=True, kw_only=True, tag=True):
    """Close a part of a position, or all of it. ``any_owner`` is set for administrators."""

    ticker: str
    user: str
    position_id: str
    share: Ppb
    """0 < share ≤ 10⁹; the lots closed are rounded down, and at least one."""
    acceptable_price: Nano | None = None
    max_slippage_bps: int | None = None
    any_owner: bool = False
    acceptable_price_pico: int = 0


class UpdatePrice(Struct, frozen=True, kw_only=True, tag=True):
    """Set a market's index price. The only way any price enters the venue."""

    ticker: str
    price: Ticks
    source: PriceSource
    reason: str | None = None
    sequence: int | None = None
    """The source's own number; must grow from one update to the next."""
    source_at: Millis | None = None
    """The source's own time; must not fall."""


class ListMarket(Struct, frozen=True, kw_only=True, tag=True):
    """Create a market at a first index price."""

    params: MarketParams
    price: Ticks

    @property
    def ticker(self) -> str:
        """The new market's ticker."""
        return self.params.ticker


class SetMode(Struct, frozen=True, kw_only=True, tag=True):
    """Enable a market, let it only reduce, or halt it."""

    ticker: str
    mode: Mode
    reason: str = "administrator"


class CreateUser(Struct, frozen=True, kw_only=True, tag=True):
    """Create a user, optionally with a first deposit and the user who referred them."""

    user: str
    deposit: Micros = Micros(0)
    referrer: str | None = None


class Deposit(Struct, frozen=True, kw_only=True, tag=True):
    """Money enters a wallet from outside."""

    user: str
    amount: Micros


class Withdraw(Struct, frozen=True, kw_only=True, tag=True):
    """Money leaves a wallet for outside."""

    user: str
    amount: Micros


MarketCommand = OpenPosition | ClosePosition | UpdatePrice | ListMarket | SetMode
LedgerCommand = CreateUser | Deposit | Withdraw
Command = MarketCommand | LedgerCommand


def signed(side: Side, lots: int) -> Lots:
    """Lots with the sign of their side: long > 0, short < 0."""
    return Lots(lots if side is Side.LONG else -lots)


def limit_price(command: OpenPosition | ClosePosition) -> Pico | None:
    """The worst average fill price a command accepts, exact, in pico: nanos · 1000 + the rest. None: any price."""
    if command.acceptable_price is None:
        return None
    return Pico(command.acceptable_price * 1000 + command.acceptable_price_pico)


_encode = msgspec.msgpack.Encoder().encode


def fingerprint(command: Command) -> bytes:
    """16 bytes that tell one command from another: BLAKE2b over its fields. Equal commands, equal fingerprints.

    ``acceptable_price_pico`` is left out while it is 0, so that no command from before there was such a field changes.
    """
    return blake2b(_encode(_released(command)), digest_size=16).digest()


def _released(command: Command) -> object:
    """What of a command its fingerprint is made of."""
    if not isinstance(command, OpenPosition | ClosePosition) or command.acceptable_price_pico:
        return command
    fields = msgspec.structs.asdict(command)
    del fields["acceptable_price_pico"]
    return {"type": type(command).__name__, **fields}
