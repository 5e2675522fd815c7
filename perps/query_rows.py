"""Read records: what the query tables say about committed rows. Written beside the journal, read by the outside.

Plain integers and text in the domain's units. ``offset`` is the journal row, ``n`` the position within it; together
they give every list its one order. Field order is column order: a record is ``Record(*row)``.
"""

from typing import Final

from msgspec import Struct

OPEN: Final = "open"
CLOSE: Final = "close"
LIQUIDATION: Final = "liquidation"
"""Kinds of a fill."""

STATUS_OPEN: Final = "open"
STATUS_CLOSED: Final = "closed"
STATUS_LIQUIDATED: Final = "liquidated"
"""Statuses of a position; ``open`` is one of an order, too."""


class FillRecord(Struct, frozen=True, gc=False):
    """One trade against the house: a position opened, or a part of it closed or liquidated."""

    offset: int
    n: int
    """Which event of the row."""
    at: int
    """Milliseconds since 1970-01-01 UTC."""
    ticker: str
    position_id: str
    user_id: str
    kind: str
    """``open``, ``close`` or ``liquidation``."""
    lots: int
    """Signed: > 0 bought."""
    cost: int
    """Signed micros: negative when selling."""
    quote_after: int
    """The quote price in ticks once the trade was done."""
    index_price: int
    """Ticks."""
    mark_price: int
    """Ticks."""
    pnl: int
    """Realised, before fees, micros; 0 for an open."""
    funding: int
    """Settled by this fill, micros; > 0: the position paid."""
    fee: int
    """Taker fee or liquidation fee, micros, the referrer's part included."""
    referral: int
    """The referrer's part of the fee, micros."""
    bad_debt: int
    """What the position owed beyond its margin, micros."""
    reason: str | None = None
    """Which exit of its position made it: ``take_profit``, ``stop_loss`` or ``trailing_stop``; None: none did."""
    order_number: int | None = None
    """The order that it filled; None: none, or a fill of a database older than this column."""

    @property
    def is_long(self) -> bool:
        """Whether the position behind it is long: an open buys, a close sells."""
        return (self.lots > 0) is (self.kind == OPEN)


class StoredFill(FillRecord, frozen=True, gc=False):
    """A fill as its table holds it: with what its legs and the position it began follow from (``perps/folding.py``).

    A column is None where it does not apply. All are None in a fill of a database older than these columns, and where
    the legs are stored one by one.
    """

    leg: int | None = None
    """Which transfer of the row is this trade's first; None: its legs are in ``legs``."""
    leverage: int | None = None
    """Of the position that begins; None: no position begins, or its record is in ``positions``."""
    cash: int | None = None
    """Of the position that begins."""
    margin: int | None = None
    """What an open moved from the wallet to the margin account, or a reduction back."""
    covered: int | None = None
    """What the insurance paid of the bad debt."""
    wallet_balance: int | None = None
    """What the user's wallet held after the trade; so each account that the trade touched, below."""
    margin_balance: int | None = None
    house_balance: int | None = None
    insurance_balance: int | None = None
    fees_balance: int | None = None
    referrer: str | None = None
    """Who got the referral."""
    referrer_balance: int | None = None


class LegRecord(Struct, frozen=True, gc=False):
    """One transfer as posted: ``amount`` micros from ``source`` to ``target``, and what each held afterwards."""

    offset: int
    n: int
    """Which transfer of the row."""
    at: int
    kind: str
    """A ``TransferKind``."""
    source: str
    target: str
    amount: int
    source_balance: int
    target_balance: int
    position_id: str | None
    """The position the money moved for, if it was one."""


class PriceRecord(Struct, frozen=True, gc=False):
    """One price a market took, in ticks, and the mark and quote that followed from it."""

    offset: int
    n: int
    at: int
    ticker: str
    index_price: int
    mark_price: int
    quote_price: int
    source: str
    """A ``PriceSource``; ``system`` for the price of the listing."""
    reason: str | None
    sequence: int | None


class FundingRecord(Struct, frozen=True, gc=False):
    """One full hour of a market's funding."""

    offset: int
    n: int
    at: int
    """Of the row: a moment after the hour's end."""
    ticker: str
    hour_at: int
    """The hour's end, a full hour."""
    funding_index: int
    """10⁻⁹ micros per lot."""
    paid: int
    """How far the index has moved since the full hour that was noted before."""
    rate: int
    """The daily rate that the hour ended with, 10⁻¹⁸ of the notional."""
    index_price: int
    """Ticks."""


class PositionRecord(Struct, frozen=True, gc=False):
    """One position, open or past, as of the last row that changed it. Money in micros, sizes in signed lots."""

    id: str
    user_id: str
    ticker: str
    opened_offset: int
    """The row that opened it."""
    offset: int
    """The row that changed it last."""
    status: str
    """``open``, ``closed`` or ``liquidated``."""
    opened_at: int
    closed_at: int | None
    lots: int
    """Still open; 0 when closed."""
    cash: int
    margin: int
    leverage: int
    entry_cost: int
    """|C| paid for the lots still open."""
    funding_paid: int
    entered_lots: int
    """All lots ever entered, signed: the side, also of a closed position."""
    entered_cost: int
    """|C| paid for them: with ``entered_lots`` the entry price."""
    exited_lots: int
    """All lots closed or liquidated so far, unsigned."""
    exited_cost: int
    """|C| they fetched: with ``exited_lots`` the exit price."""
    realized_pnl: int
    """Σ of every reduction's pnl, before fees."""
    fees: int
    """Σ of all fees, of opening and of leaving."""
    take_profit: int | None = None
    """Ticks; so is ``stop_loss``."""
    stop_loss: int | None = None

    @property
    def place(self) -> tuple[int, int]:
        """Its place in a user's list, and the cursor behind it: the row that opened it, and its number, as one row can
        open several.
        """
        return self.opened_offset, int(self.id.rpartition("-")[2])


class OrderRecord(Struct, frozen=True, gc=False):
    """One order, resting or ended, as of the last row that changed it."""

    id: str
    user_id: str
    ticker: str
    placed_offset: int
    """The row that placed it: the order of a user's list …"""
    offset: int
    """The row that changed it last."""
    status: str
    """``open``, ``filled``, ``cancelled`` or ``expired``."""
    reason: str | None
    kind: str
    """An ``OrderKind``."""
    side: str
    size: int
    """Micros."""
    leverage: int
    price: int
    """Ticks."""
    reserve: int
    """Micros; of an ended order what it had."""
    placed_at: int
    expires_at: int | None
    acceptable_price: int | None
    """Nanos, and the rest in pico."""
    acceptable_price_pico: int
    take_profit: int | None
    """Ticks; so is ``stop_loss``."""
    stop_loss: int | None
    closed_at: int | None
    position_id: str | None
    """The position that its fill began or changed, with lots (signed) and cost (micros, signed) of the fill."""
    filled_lots: int | None
    filled_cost: int | None
    reduces: bool = False
    """Whether it takes from its position; then ``position_id`` is set from the beginning …"""
    share: int = 0
    """… and of an exit or a close this is the share of it, ppb …"""
    lots: int = 0
    """… or this the lots."""
    slices: int | None = None
    """Of a TWAP, whose ``size`` is that of all slices together and whose filled lots and cost are those of all that
    were made: how many slices it has, …"""
    interval_ms: int | None = None
    """… how far apart they are, …"""
    slices_done: int | None = None
    """… how many have had their turn, …"""
    slices_skipped: int | None = None
    """… how many of those took nothing, …"""
    skip_reason: str | None = None
    """… the code that the last of these was refused with, …"""
    next_slice_at: int | None = None
    """… and when the next one is due; None: the order has ended."""
    callback: int = 0
    """Of a trailing stop, ppb …"""
    extreme: int = 0
    """… and its best mark as of that row, ticks."""


class Candle(Struct, gc=False):
    """The quote price over one span of time, in ticks, from prices and fills in journal order."""

    start: int
    """Milliseconds since 1970-01-01 UTC, a multiple of the interval."""
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    """Σ |cost| of the fills, micros. Without bound."""
    count: int = 0
    """Number of fills."""

    def price(self, price: int) -> None:
        """Take a newer price."""
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price

    def starting(self, start: int) -> "Candle":
        """The same candle, as the beginning of a longer one that starts at ``start``."""
        return Candle(start, self.open, self.high, self.low, self.close, self.volume, self.count)

    def followed_by(self, later: "Candle") -> "Candle":
        """This candle and a later one, as one."""
        high, low = max(self.high, later.high), min(self.low, later.low)
        volume, count = self.volume + later.volume, self.count + later.count
        return Candle(self.start, self.open, high, low, later.close, volume, count)


class CandleRecord(Struct, frozen=True, gc=False):
    """A candle of a market that has ended, as it is stored: once, with the row that ended it."""

    offset: int
    """The row that ended it: its market's first price or trade after it."""
    n: int
    """0 for a minute, 1 for an hour: a row ends one of each at most."""
    ticker: str
    width: int
    """Its length, milliseconds: a minute or an hour."""
    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    count: int


class EquityRecord(Struct, frozen=True, gc=False):
    """What a user had at a moment, and had done by then. Money in micros. An observation: no row says it."""

    user_id: str
    """Empty: the record says only that a round of observations was made."""
    at: int
    """Milliseconds since 1970-01-01 UTC: when the round began."""
    equity: int = 0
    """Wallet, margins and unrealised PnL."""
    paid_in: int = 0
    """Deposits less withdrawals."""
    pnl: int = 0
    """Realised, before fees. Without bound."""
    volume: int = 0
    """Σ |cost| of the user's fills. Without bound."""


class KeyRecord(Struct, frozen=True):
    """An API key as stored: never the key itself, only its digest."""

    key_id: str
    digest: bytes
    user_id: str | None
    """The one user it may act for; None: whoever its scopes allow."""
    scopes: tuple[str, ...]
    label: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
