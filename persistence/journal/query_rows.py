"""From journal entries to the records of the query tables. Pure; runs for every row on the hot path."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from perps.events import CloseReason, MarketListed, PositionOpened, PositionReduced, PriceUpdated, transfers_of
from perps.journal import Entry, Row
from perps.query_rows import CLOSE, LIQUIDATION, OPEN, STATUS_CLOSED, STATUS_LIQUIDATED, STATUS_OPEN, PositionRecord
from persistence.journal.tables import POSITION_SET, POSITION_SUM, Record


class QueryRows(Struct):
    """Records in column order, for each query table. Of positions: one record per position, changes merged."""

    fills: list[Record]
    legs: list[Record]
    prices: list[Record]
    opened: list[Record]
    """Positions that begin in this batch."""
    changed: list[Record]
    """What this batch adds to positions that began before it."""

    @property
    def count(self) -> int:
        """All records together."""
        return len(self.fills) + len(self.legs) + len(self.prices) + len(self.opened) + len(self.changed)


def query_rows(entries: Sequence[Entry]) -> QueryRows:
    """The records that ``entries`` add to the query tables."""
    fills: list[Record] = []
    legs: list[Record] = []
    prices: list[Record] = []
    positions: dict[str, Record] = {}
    opened: set[str] = set()
    for entry in entries:
        row = entry.row
        related: list[str | None] = []
        for n, event in enumerate(entry.events):
            position_id: str | None = None
            match event:
                case PositionOpened():
                    position_id = f"{row.stream}-{event.position.number}"
                    fills.append(_open_fill(row, n, position_id, event))
                    positions[position_id] = _opened(row, position_id, event)
                    opened.add(position_id)
                case PositionReduced():
                    position_id = f"{row.stream}-{event.position.number}"
                    fills.append(_reduce_fill(row, n, position_id, event))
                    change = _reduced(row, position_id, event)
                    earlier = positions.get(position_id)
                    positions[position_id] = merge_position(earlier, change) if earlier else change
                case PriceUpdated():
                    prices.append(_price(row, n, event))
                case MarketListed():
                    price = event.price
                    prices.append((row.offset, n, row.at, row.stream, price, price, price, "system", "listed", None))
                case _:
                    pass
            related.extend([position_id] * len(transfers_of(event)))
        if entry.legs:
            legs.extend(_legs(entry, related))
    return QueryRows(
        fills,
        legs,
        prices,
        [record for position_id, record in positions.items() if position_id in opened],
        [record for position_id, record in positions.items() if position_id not in opened],
    )


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


def _open_fill(row: Row, n: int, position_id: str, event: PositionOpened) -> Record:
    fill = event.fill
    return (
        row.offset,
        n,
        row.at,
        row.stream,
        position_id,
        event.position.user,
        OPEN,
        fill.lots,
        fill.cost,
        fill.quote_after,
        fill.index_price,
        fill.mark_price,
        0,
        0,
        event.fee,
        event.referral,
        0,
    )


def _reduce_fill(row: Row, n: int, position_id: str, event: PositionReduced) -> Record:
    fill = event.fill
    return (
        row.offset,
        n,
        row.at,
        row.stream,
        position_id,
        event.position.user,
        LIQUIDATION if event.reason is CloseReason.LIQUIDATION else CLOSE,
        fill.lots,
        fill.cost,
        fill.quote_after,
        fill.index_price,
        fill.mark_price,
        event.pnl,
        event.funding,
        event.fee,
        event.referral,
        event.bad_debt,
    )


def _opened(row: Row, position_id: str, event: PositionOpened) -> Record:
    position = event.position
    return (
        position_id,
        position.user,
        row.stream,
        row.offset,
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
        position.lots,
        position.entry_cost,
        0,
        0,
        0,
        event.fee,
    )


def _reduced(row: Row, position_id: str, event: PositionReduced) -> Record:
    position, fill = event.position, event.fill
    ended = position.lots == 0
    status = STATUS_LIQUIDATED if event.reason is CloseReason.LIQUIDATION else STATUS_CLOSED
    return (
        position_id,
        position.user,
        row.stream,
        0,
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
        0,
        0,
        abs(fill.lots),
        abs(fill.cost),
        event.pnl,
        event.fee,
    )


def _price(row: Row, n: int, event: PriceUpdated) -> Record:
    reason = event.reason
    if reason is not None and "\x00" in reason:
        reason = reason.replace("\x00", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL's text holds every character but NUL
    return (
        row.offset,
        n,
        row.at,
        row.stream,
        event.price,
        event.mark,
        event.quote,
        event.source,
        reason,
        event.sequence,
    )


def _legs(entry: Entry, related: Iterable[str | None]) -> list[Record]:
    offset, at = entry.row.offset, entry.row.at
    return [
        (
            offset,
            n,
            at,
            leg.transfer.kind,
            leg.transfer.source,
            leg.transfer.target,
            leg.transfer.amount,
            leg.source_balance,
            leg.target_balance,
            position_id,
        )
        for n, (leg, position_id) in enumerate(zip(entry.legs, related, strict=True))
    ]
