"""Events: what has happened, in the past tense. A journal row holds a tuple of them, and they replay for ever.

Every event carries what it moved: the position as it stands after it, and the money as two-sided transfers, so that
``apply`` computes nothing and old rows mean the same under new rules.
"""

from enum import StrEnum

import msgspec
from msgspec import Struct

from perps.commands import PriceSource
from perps.market.position import Position
from perps.params import MarketParams, Mode
from perps.units import FundingIndex, Lots, Micros, Millis, Ticks


class TransferKind(StrEnum):
    """Why money moved between two accounts."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    HOUSE_DEPOSIT = "house_deposit"
    MARGIN = "margin"
    MARGIN_RETURN = "margin_return"
    PROFIT = "profit"
    LOSS = "loss"
    FEE = "fee"
    REFERRAL = "referral"
    LIQUIDATION_FEE = "liquidation_fee"
    BAD_DEBT = "bad_debt"


class Transfer(Struct, frozen=True, array_like=True, gc=False):
    """``amount`` ≥ 0 micros leave the account ``source`` and enter ``target``: two legs that sum to 0."""

    source: str
    target: str
    amount: Micros
    kind: TransferKind


Transfers = tuple[Transfer, ...]


class CloseReason(StrEnum):
    """Who ended a position, or a part of it."""

    OWNER = "owner"
    LIQUIDATION = "liquidation"


class Fill(Struct, frozen=True, array_like=True, gc=False):
    """One trade against the house.

    ``lots`` signed: > 0 bought. ``cost`` signed micros, C(lots): negative when selling. ``quote_before`` and
    ``quote_after`` are the quote price in ticks, rounded down, just before and after; ``index_price`` S in ticks.
    """

    lots: Lots
    cost: Micros
    index_price: Ticks
    mark_price: Ticks
    quote_before: Ticks
    quote_after: Ticks
    funding_index: FundingIndex


class MarketListed(Struct, frozen=True, array_like=True, tag=True):
    """A market exists from here on."""

    params: MarketParams
    price: Ticks
    at: Millis
    transfers: Transfers = ()


class ModeChanged(Struct, frozen=True, array_like=True, tag=True):
    """A market lets through what ``mode`` says. The venue itself halts a market by this, with the reason."""

    mode: Mode
    reason: str


class PriceUpdated(Struct, frozen=True, array_like=True, tag=True):
    """The index price is ``price`` from here on. ``quote`` and ``mark`` are what follow from it.

    ``at``: how old the price is: its source's own time where it gave one.
    """

    price: Ticks
    mark: Ticks
    quote: Ticks
    source: PriceSource
    at: Millis
    reason: str | None = None
    sequence: int | None = None
    source_at: Millis | None = None


class PositionOpened(Struct, frozen=True, array_like=True, tag=True):
    """A new position stands."""

    position: Position
    fill: Fill
    fee: Micros
    referral: Micros
    """The referrer's part of ``fee``."""
    transfers: Transfers


class PositionReduced(Struct, frozen=True, array_like=True, tag=True):
    """A part of a position, or all of it, has been closed by its owner or by liquidation.

    ``position`` stands after the reduction; with 0 lots it is closed. ``settlement`` = margin returned + pnl, before
    fees, never below 0; what was missing is ``bad_debt``. ``pnl`` = realised, before fees. ``fee`` is the taker fee,
    or the liquidation fee.
    """

    position: Position
    fill: Fill
    reason: CloseReason
    margin_released: Micros
    entry_released: Micros
    """|C| that was paid for the lots now closed, for display of their entry price."""
    pnl: Micros
    funding: Micros
    settlement: Micros
    fee: Micros
    referral: Micros
    bad_debt: Micros
    transfers: Transfers


class UserCreated(Struct, frozen=True, array_like=True, tag=True):
    """A user and their wallet exist from here on."""

    user: str
    referrer: str | None
    at: Millis
    transfers: Transfers = ()


class Deposited(Struct, frozen=True, array_like=True, tag=True):
    """Money came in."""

    user: str
    amount: Micros
    transfers: Transfers


class Withdrawn(Struct, frozen=True, array_like=True, tag=True):
    """Money went out."""

    user: str
    amount: Micros
    transfers: Transfers


MarketEvent = MarketListed | ModeChanged | PriceUpdated | PositionOpened | PositionReduced
LedgerEvent = UserCreated | Deposited | Withdrawn
Event = MarketEvent | LedgerEvent
MarketEvents = tuple[MarketEvent, ...]
Events = tuple[Event, ...]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Events)


def encode_events(events: Events) -> bytes:
    """The bytes a journal row stores for these events: MessagePack, fields by position."""
    return _encoder.encode(events)


def decode_events(payload: bytes) -> Events:
    """The events of a stored row. Raises ``msgspec.ValidationError`` on bytes that never were a row's."""
    return _decoder.decode(payload)


def transfers_of(event: Event) -> Transfers:
    """The money an event moved; none for a price or a mode."""
    return () if isinstance(event, (ModeChanged, PriceUpdated)) else event.transfers


def subject_of(event: Event) -> str | None:
    """The user whose money or position an event is about; None for a market's own events."""
    match event:
        case PositionOpened() | PositionReduced():
            return event.position.user
        case UserCreated() | Deposited() | Withdrawn():
            return event.user
        case _:
            return None
