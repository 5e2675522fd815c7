"""What happens to positions. A part of ``perps/events.py``, which names everything here."""

from enum import StrEnum

from msgspec import Struct

from perps.market.order import Order
from perps.market.position import Position
from perps.transfers import Transfers
from perps.units import FundingIndex, Lots, Micros, Ticks


class CloseReason(StrEnum):
    """Who ended a position, or a part of it."""

    OWNER = "owner"
    LIQUIDATION = "liquidation"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    SETTLEMENT = "settlement"
    DELEVERAGE = "deleverage"
    TRAILING_STOP = "trailing_stop"


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


class PositionOpened(Struct, frozen=True, array_like=True, tag=True):
    """A new position stands."""

    position: Position
    fill: Fill
    fee: Micros
    referral: Micros
    """The referrer's part of ``fee``."""
    transfers: Transfers
    order: Order | None = None
    """The resting order that it fills."""

    @property
    def subject(self) -> str:
        """The position's owner."""
        return self.position.user


class PositionIncreased(Struct, frozen=True, array_like=True, tag=True):
    """A position has grown by a trade on its own side: ``position`` is how it stands now.

    ``margin_added``: what its owner has paid into its margin for the added lots.
    """

    position: Position
    fill: Fill
    margin_added: Micros
    fee: Micros
    referral: Micros
    """The referrer's part of ``fee``."""
    transfers: Transfers
    order: Order | None = None
    """The order that it fills."""

    @property
    def subject(self) -> str:
        """The position's owner."""
        return self.position.user


class PositionReduced(Struct, frozen=True, array_like=True, tag=True):
    """A part of a position, or all of it, has been closed: by its owner, an exit, a liquidation, a settlement or
    deleveraging.

    ``position`` stands after the reduction; with 0 lots it is closed. ``settlement`` = margin returned + pnl, before
    fees, never below 0; what was missing is ``bad_debt``. ``pnl`` = realised, before fees. ``fee`` is the taker fee,
    or the liquidation fee: of a liquidation, and of a stop-loss of a position that was due for liquidation too.
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
    order: Order | None = None
    """The order that it fills."""
    kept: Micros = Micros(0)
    """Of a liquidation in part: settlement less fee, which stays in the position's margin."""

    @property
    def subject(self) -> str:
        """The position's owner."""
        return self.position.user


class PositionChanged(Struct, frozen=True, array_like=True, tag=True):
    """Something about a position has changed, and not by a trade: ``position`` is how it stands now.

    ``transfers``: margin that its owner paid in or took out; none if it was given other exits. ``mark_price`` and
    ``funding_index`` are those it was changed at.
    """

    position: Position
    transfers: Transfers = ()
    mark_price: Ticks = Ticks(0)
    funding_index: FundingIndex = FundingIndex(0)
    order: Order | None = None
    """The withdrawal that it fills."""

    @property
    def subject(self) -> str:
        """The position's owner."""
        return self.position.user
