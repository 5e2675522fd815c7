"""From journal entries to the records of the query tables. Pure; runs for every row on the hot path.

An open is one record: its legs and its position follow from its fill (``perps/folding.py``).
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from perps.commands import signed
from perps.effects import Changed, FundingHour, Ordered, OrderStatus, Priced, Traded, TradeKind
from perps.folding import APART, folded, says_position
from perps.journal import Entry, Row
from perps.market.order import order_id
from perps.market.position import Position, position_id
from perps.market.twap import Twap
from perps.money.ledger import Leg
from perps.query_rows import STATUS_CLOSED, STATUS_LIQUIDATED, STATUS_OPEN, PositionRecord
from perps.units import Micros

Record = tuple[Any, ...]
"""A row of a query table: its columns in the order of the record's fields (``perps/query_rows.py``)."""

POSITION_SET: Final = (
    "offset",
    "status",
    "closed_at",
    "lots",
    "cash",
    "margin",
    "leverage",
    "entry_cost",
    "funding_paid",
    "take_profit",
    "stop_loss",
)
"""Of a position these columns take the newest value …"""

POSITION_SUM: Final = ("entered_lots", "entered_cost", "exited_lots", "exited_cost", "realized_pnl", "fees")
"""… and to these a change is added; the rest are set once, by the open."""


ORDER_ONCE: Final = ("id", "user_id", "ticker", "placed_offset")
"""These columns of an order are set when it is placed; the others take the newest value."""


class QueryRows(Struct):
    """Records in column order, for each query table. Of positions: one record per position, changes merged."""

    fills: list[Record]
    legs: list[Record]
    prices: list[Record]
    funding: list[Record]
    opened: list[Record]
    """Positions that begin in this batch, whole: those that their fill does not say, or that changed since."""
    changed: list[Record]
    """What this batch adds to positions that began before it."""
    placed: list[Record]
    """Orders that begin in this batch …"""
    ordered: list[Record]
    """… and what became of earlier ones."""

    @property
    def count(self) -> int:
        """All records together."""
        by_row = len(self.fills) + len(self.legs) + len(self.prices) + len(self.funding)
        of_orders = len(self.placed) + len(self.ordered)
        return by_row + len(self.opened) + len(self.changed) + of_orders


def query_rows(entries: Sequence[Entry], *, fold: bool = True) -> QueryRows:
    """The records that ``entries`` add to the query tables.

    ``fold=False``: every leg and every position apart, as databases were written before fills could hold them.
    """
    fills: list[Record] = []
    legs: list[Record] = []
    prices: list[Record] = []
    funding: list[Record] = []
    positions, orders = _Positions(), _Orders()
    for entry in entries:
        row, first = entry.row, 0
        for n, (event, effects) in enumerate(zip(entry.events, entry.effects, strict=True)):
            moved = entry.legs[first : first + len(event.transfers)]
            about: str | None = None
            inside = APART
            for effect in effects:
                if isinstance(effect, Traded):
                    about = position_id(row.stream, effect.position.number)
                    if fold:
                        inside = folded(row, effect, moved, first)
                    fills.append(_fill(row, n, about, effect) + inside)
                    positions.take(row, about, effect, is_said=says_position(inside))
                elif isinstance(effect, Changed):
                    about = position_id(row.stream, effect.position.number)
                    positions.change(about, _changed(row, about, effect.position))
                elif isinstance(effect, Ordered):
                    orders.take(row, effect)
                elif isinstance(effect, Priced):
                    prices.append(_price(row, n, effect))
                elif isinstance(effect, FundingHour):
                    funding.append(_funding(row, n, effect))
            if moved and inside is APART:
                legs.extend(_legs(row, moved, first, about))
            first += len(moved)
    return QueryRows(fills, legs, prices, funding, *positions.records(), *orders.records())


class _Positions:
    """What a batch does to positions. One that begins and is said by its fill has no record until it changes."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[Row, Traded]] = {}
        self._opened: dict[str, Record] = {}
        self._changed: dict[str, Record] = {}

    def take(self, row: Row, about: str, trade: Traded, *, is_said: bool) -> None:
        """The next trade."""
        if is_said:
            self._said[about] = (row, trade)
            return
        self.change(about, _position(row, about, trade), is_new=trade.is_new)

    def change(self, about: str, change: Record, *, is_new: bool = False) -> None:
        """A position's record, or what is added to the one it has."""
        begun = self._said.pop(about, None)
        if begun is not None:
            self._opened[about] = _position(begun[0], about, begun[1])
        records = self._opened if is_new or about in self._opened else self._changed
        earlier = records.get(about)
        records[about] = merge_position(earlier, change) if earlier else change

    def records(self) -> tuple[list[Record], list[Record]]:
        """Of positions that begin in the batch, then of those that began before it."""
        return list(self._opened.values()), list(self._changed.values())


class _Orders:
    """What a batch does to orders: the newest of each."""

    def __init__(self) -> None:
        self._placed: dict[str, Record] = {}
        self._changed: dict[str, Record] = {}

    def take(self, row: Row, ordered: Ordered) -> None:
        """The next change."""
        about = order_id(row.stream, ordered.order.number)
        record = _order(row, about, ordered)
        if about in self._placed:
            self._placed[about] = merge_order(self._placed[about], record)
        elif ordered.is_new:
            self._placed[about] = record
        else:
            self._changed[about] = record

    def records(self) -> tuple[list[Record], list[Record]]:
        """Of orders that begin in the batch, then of those that began before it."""
        return list(self._placed.values()), list(self._changed.values())


def merge_order(earlier: Record, change: Record) -> Record:
    """An order's record with a later change taken in: what the upsert of ``ORDERS`` does, in Python."""
    return (*earlier[: len(ORDER_ONCE)], *change[len(ORDER_ONCE) :])


_FIELDS = PositionRecord.__struct_fields__
_TAKE_NEWER = [name in POSITION_SET for name in _FIELDS]
_ADD = [name in POSITION_SUM for name in _FIELDS]
_RULES = tuple(zip(_TAKE_NEWER, _ADD, strict=True))


def merge_position(earlier: Record, change: Record) -> Record:
    """A position's record with a later change taken in: what the upsert of ``POSITIONS`` does, in Python."""
    return tuple(
        new if take else old + new if add else old
        for old, new, (take, add) in zip(earlier, change, _RULES, strict=True)
    )


def _fill(row: Row, n: int, about: str, trade: Traded) -> Record:
    fill = trade.fill
    return (
        row.offset,
        n,
        row.at,
        row.stream,
        about,
        trade.position.user,
        trade.kind.value,
        fill.lots,
        fill.cost,
        fill.quote_after,
        fill.index_price,
        fill.mark_price,
        trade.pnl,
        trade.funding,
        trade.fee,
        trade.referral,
        trade.bad_debt,
        None if trade.reason is None else trade.reason.value,
        trade.order,
    )


def _position(row: Row, about: str, trade: Traded) -> Record:
    """A position that begins, as it stands; of one that stood already, what this trade adds to its sums."""
    position, fill = trade.position, trade.fill
    cost, lots, adds = abs(fill.cost), fill.lots, trade.adds
    ended = position.lots == 0
    status = STATUS_LIQUIDATED if trade.kind is TradeKind.LIQUIDATION else STATUS_CLOSED
    return (
        about,
        position.user,
        row.stream,
        row.offset if trade.is_new else 0,
        row.offset,
        status if ended else STATUS_OPEN,
        position.opened_at,
        row.at if ended else None,
        position.lots,
        position.cash,
        position.margin,
        position.leverage,
        position.entry_cost,
        position.funding_paid,
        lots if adds else 0,
        cost if adds else 0,
        0 if adds else abs(lots),
        0 if adds else cost,
        trade.pnl,
        trade.fee,
        position.take_profit,
        position.stop_loss,
    )


def _changed(row: Row, about: str, position: Position) -> Record:
    """A position as it stands after a change that was no trade: nothing is added to its sums."""
    return (
        about,
        position.user,
        row.stream,
        0,
        row.offset,
        STATUS_OPEN,
        position.opened_at,
        None,
        position.lots,
        position.cash,
        position.margin,
        position.leverage,
        position.entry_cost,
        position.funding_paid,
        *(0,) * len(POSITION_SUM),
        position.take_profit,
        position.stop_loss,
    )


def _order(row: Row, about: str, ordered: Ordered) -> Record:
    order, fill = ordered.order, ordered.fill
    lots, cost = (None, None) if fill is None else (fill.lots, fill.cost)
    twap = order.twap
    if twap is not None and twap.lots:
        lots, cost = signed(order.side, twap.lots), Micros(signed(order.side, twap.cost))
    about_position = order.position if ordered.position is None else ordered.position
    return (
        about,
        order.user,
        row.stream,
        row.offset if ordered.is_new else 0,
        row.offset,
        ordered.status.value,
        ordered.reason,
        order.kind.value,
        order.side.value,
        order.size if twap is None else twap.size,
        order.leverage,
        order.price,
        order.reserve,
        order.placed_at,
        order.expires_at,
        order.acceptable_price,
        order.acceptable_price_pico,
        order.take_profit,
        order.stop_loss,
        None if ordered.status is OrderStatus.OPEN else row.at,
        None if about_position is None else position_id(row.stream, about_position),
        lots,
        cost,
        order.reduces,
        order.share,
        order.lots,
        *((None,) * 6 if twap is None else _slices(twap, is_open=ordered.status is OrderStatus.OPEN)),
        order.callback,
        order.extreme,
    )


def _slices(twap: Twap, *, is_open: bool) -> tuple[Any, ...]:
    next_at = twap.next_at if is_open else None
    return twap.slices, twap.interval, twap.done, twap.skipped, twap.reason, next_at


def _price(row: Row, n: int, price: Priced) -> Record:
    reason = price.reason
    if reason is not None and "\x00" in reason:
        reason = reason.replace("\x00", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL's text holds every character but NUL
    return (
        row.offset,
        n,
        row.at,
        row.stream,
        price.index,
        price.mark,
        price.quote,
        price.source.value,
        reason,
        price.sequence,
    )


def _funding(row: Row, n: int, hour: FundingHour) -> Record:
    return row.offset, n, row.at, row.stream, hour.at, hour.index, hour.paid, hour.rate, hour.index_price


def _legs(row: Row, moved: Sequence[Leg], first: int, about: str | None) -> list[Record]:
    return [
        (
            row.offset,
            n,
            row.at,
            leg.transfer.kind,
            leg.transfer.source,
            leg.transfer.target,
            leg.transfer.amount,
            leg.source_balance,
            leg.target_balance,
            about,
        )
        for n, leg in enumerate(moved, first)
    ]
