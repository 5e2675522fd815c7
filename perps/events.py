"""Events: what has happened, in the past tense. A journal row holds a tuple of them, and they replay for ever.

Every event carries what it moved: the position after it, and the money as two-sided transfers, so that ``apply``
computes nothing and old rows mean the same under new rules. Each also has ``transfers`` (none for a price or a mode)
and ``subject``: the user whose money or position it is about, None for a market's own events.

What an event does, and what readers are shown of it, is in its rule module: see ``perps/rules/table.py``.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, get_args

import msgspec
from msgspec import Struct

from perps.commands import HouseAccount, PriceSource
from perps.market.deleveraging import Deleveraging
from perps.market.holding import HeldPrice
from perps.market.settling import Settling
from perps.order_events import CancelTimerSet as CancelTimerSet
from perps.order_events import OrderCancelled as OrderCancelled
from perps.order_events import OrderPlaced as OrderPlaced
from perps.order_events import OrderReplaced as OrderReplaced
from perps.params import MarketParams, Mode
from perps.position_events import CloseReason as CloseReason
from perps.position_events import Fill as Fill
from perps.position_events import PositionChanged as PositionChanged
from perps.position_events import PositionIncreased as PositionIncreased
from perps.position_events import PositionOpened as PositionOpened
from perps.position_events import PositionReduced as PositionReduced
from perps.transfers import Transfer as Transfer
from perps.transfers import TransferKind as TransferKind
from perps.transfers import Transfers as Transfers
from perps.units import FundingIndex, Micros, Millis, Ticks


class MarketListed(Struct, frozen=True, array_like=True, tag=True):
    """A market exists from here on."""

    subject: ClassVar[str | None] = None

    params: MarketParams
    price: Ticks
    at: Millis
    transfers: Transfers = ()


class ModeChanged(Struct, frozen=True, array_like=True, tag=True):
    """A market lets through what ``mode`` says. The venue itself halts a market by this, with the reason."""

    transfers: ClassVar[Transfers] = ()
    subject: ClassVar[str | None] = None

    mode: Mode
    reason: str


class PriceUpdated(Struct, frozen=True, array_like=True, tag=True):
    """The index price is ``price`` from here on. ``quote`` and ``mark`` are what follow from it.

    ``at``: how old the price is: its source's own time where it gave one.
    """

    transfers: ClassVar[Transfers] = ()
    subject: ClassVar[str | None] = None

    price: Ticks
    mark: Ticks
    quote: Ticks
    source: PriceSource
    at: Millis
    reason: str | None = None
    sequence: int | None = None
    source_at: Millis | None = None
    orders_before: Millis | None = None
    """Where orders wait for the next price: this one decides those that were placed before."""


class PriceHeld(Struct, frozen=True, array_like=True, tag=True):
    """A price came that is too far from the index to be taken yet. ``held`` is what waits from here on."""

    transfers: ClassVar[Transfers] = ()
    subject: ClassVar[str | None] = None

    price: Ticks
    source: PriceSource
    held: HeldPrice
    reason: str | None = None
    sequence: int | None = None
    source_at: Millis | None = None


class HoldEnded(Struct, frozen=True, array_like=True, tag=True):
    """No price waits any more: it was not confirmed in time. (A price that is taken ends a hold by itself.)"""

    transfers: ClassVar[Transfers] = ()
    subject: ClassVar[str | None] = None


class ParamsChanged(Struct, frozen=True, array_like=True, tag=True):
    """A market's parameters are these from here on."""

    transfers: ClassVar[Transfers] = ()
    subject: ClassVar[str | None] = None

    params: MarketParams
    at: Millis


class MarketSettling(Struct, frozen=True, array_like=True, tag=True):
    """A halted market closes all its positions at one price, in this row and those behind it."""

    transfers: ClassVar[Transfers] = ()
    subject: ClassVar[str | None] = None

    settling: Settling


class DeleveragingChanged(Struct, frozen=True, array_like=True, tag=True):
    """Winners leave, in this row and those behind it, before the house owes more than it has. None: no more."""

    transfers: ClassVar[Transfers] = ()
    subject: ClassVar[str | None] = None

    deleveraging: Deleveraging | None


class HouseFunded(Struct, frozen=True, array_like=True, tag=True):
    """An administrator paid ``amount`` into a market's account, or took it out (< 0). ``balance`` is in it now."""

    subject: ClassVar[str | None] = None

    account: HouseAccount
    amount: Micros
    balance: Micros
    transfers: Transfers


class FundingAccrued(Struct, frozen=True, array_like=True, tag=True):
    """Funding counts up to ``at``: the index, the daily rate (10⁻¹⁸) and the remainder that are reached then.

    Comes before the events of the command that it was looked at for. ``index_price``: in force over that time.
    """

    transfers: ClassVar[Transfers] = ()
    subject: ClassVar[str | None] = None

    index: FundingIndex
    rate: int
    carry: int
    at: Millis
    index_price: Ticks
    paid: FundingIndex = FundingIndex(0)
    """At a full hour: how far the index has moved since the full hour that was noted before."""


class UserCreated(Struct, frozen=True, array_like=True, tag=True):
    """A user and their wallet exist from here on."""

    user: str
    referrer: str | None
    at: Millis
    transfers: Transfers = ()

    @property
    def subject(self) -> str:
        """The wallet's owner."""
        return self.user


class Deposited(Struct, frozen=True, array_like=True, tag=True):
    """Money came in."""

    user: str
    amount: Micros
    transfers: Transfers

    @property
    def subject(self) -> str:
        """The wallet's owner."""
        return self.user


class Withdrawn(Struct, frozen=True, array_like=True, tag=True):
    """Money went out."""

    user: str
    amount: Micros
    transfers: Transfers

    @property
    def subject(self) -> str:
        """The wallet's owner."""
        return self.user


MarketEvent = (
    PositionOpened
    | FundingAccrued
    | PriceUpdated
    | PositionReduced
    | PositionIncreased
    | PositionChanged
    | ModeChanged
    | HouseFunded
    | MarketListed
    | PriceHeld
    | HoldEnded
    | ParamsChanged
    | MarketSettling
    | OrderPlaced
    | OrderReplaced
    | OrderCancelled
    | CancelTimerSet
    | DeleveragingChanged
)
LedgerEvent = UserCreated | Deposited | Withdrawn
Event = MarketEvent | LedgerEvent
MarketEvents = tuple[MarketEvent, ...]
Events = tuple[Event, ...]

EVENTS: Final[tuple[type[Any], ...]] = get_args(Event)

SCHEMA_VERSION: Final = 2
"""The version of the events that this program writes. Rows of every version before it are read for ever.

1: the first release. 2: ``HouseFunded``, ``FundingAccrued``, ``PositionChanged``, ``PositionIncreased``, ``PriceHeld``,
``HoldEnded``, ``ParamsChanged``, ``MarketSettling``, ``OrderPlaced``, ``OrderReplaced``, ``OrderCancelled``,
``CancelTimerSet``, ``DeleveragingChanged``.
"""

UPCASTS: Final[Mapping[int, Callable[[list[Any]], list[Any]]]] = {}
"""By the version they are of: how a row's events become those of the next version, as plain lists.

A version that only adds events, or fields with a default at the end of one, needs no entry: old rows decode as they
are.
"""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Events)


def encode_events(events: Events) -> bytes:
    """The bytes a journal row stores for these events: MessagePack, fields by position."""
    return _encoder.encode(events)


def decode_events(payload: bytes, version: int = SCHEMA_VERSION) -> Events:
    """The events of a stored row of a schema version. Raises ``msgspec.MsgspecError`` on bytes that are no row's."""
    if version > max(UPCASTS, default=0):
        return _decoder.decode(payload)
    plain = msgspec.msgpack.decode(payload)
    for of, upcast in sorted(UPCASTS.items()):
        if of >= version:
            plain = upcast(plain)
    return msgspec.convert(plain, Events)


def own_place(events: Events) -> int:
    """Where the event of a row's own command stands: behind the funding, before what it led to.

    A row of funding alone has no other; then it is the first.
    """
    for place, event in enumerate(events):
        if type(event) is not FundingAccrued:
            return place
    return 0


def own_of(events: Events) -> Event:
    """The event of a row's own command."""
    return events[own_place(events)]


def subject_of(events: Events) -> str | None:
    """Whom a row is about: the user of its own event. What it led to may be about others."""
    return own_of(events).subject
