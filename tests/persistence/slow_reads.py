"""What the events say of legs and positions, by folding them one after the other: slow, and without the projection."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from perps.events import (
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    PositionChanged,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
)
from perps.journal import Entry, Row
from perps.market.order import Order
from perps.query_rows import LegRecord, OrderRecord, PositionRecord
from perps.units import Micros

Fill = PositionOpened | PositionIncreased | PositionReduced


def fills_of(entries: Iterable[Entry]) -> Iterator[tuple[Row, int, Fill]]:
    """Each trade with its row and its place in the row."""
    for entry in entries:
        for n, event in enumerate(entry.events):
            if isinstance(event, Fill):
                yield entry.row, n, event


def _changes_of(entries: Iterable[Entry]) -> Iterator[tuple[Row, Fill | PositionChanged]]:
    """Everything that makes a position another one."""
    for entry in entries:
        for event in entry.events:
            if isinstance(event, Fill | PositionChanged):
                yield entry.row, event


def slow_legs(entries: Iterable[Entry]) -> list[LegRecord]:
    """Every transfer of every event in order, with the balances that it leaves."""
    balances: dict[str, int] = {}
    found: list[LegRecord] = []
    for entry in entries:
        n = 0
        for event in entry.events:
            about = None
            if isinstance(event, Fill | PositionChanged):
                about = f"{entry.row.stream}-{event.position.number}"
            for transfer in event.transfers:
                source, target, amount = transfer.source, transfer.target, transfer.amount
                left = balances[source] = balances.get(source, 0) - amount
                balances[target] = balances.get(target, 0) + amount
                found.append(
                    LegRecord(
                        entry.row.offset, n, entry.row.at, transfer.kind.value, source, target, amount,
                        left, balances[target], about,
                    )
                )  # fmt: skip
                n += 1
    return found


def slow_positions(entries: Iterable[Entry]) -> dict[str, PositionRecord]:
    """Every position by folding its events."""
    found: dict[str, PositionRecord] = {}
    opened: dict[str, int] = {}
    totals: dict[str, list[int]] = {}
    changes: tuple[int, ...]
    for row, event in _changes_of(entries):
        name, now = f"{row.stream}-{event.position.number}", event.position
        total = totals.setdefault(name, [0, 0, 0, 0, 0, 0])
        status, closed_at = "open", None
        if isinstance(event, PositionOpened):
            changes = (event.fill.lots, abs(event.fill.cost), 0, 0, 0, event.fee)
            opened[name] = row.offset
        elif isinstance(event, PositionIncreased):
            changes = (event.fill.lots, abs(event.fill.cost), 0, 0, 0, event.fee)
        elif isinstance(event, PositionChanged):
            changes = (0, 0, 0, 0, 0, 0)
        else:
            changes = (0, 0, abs(event.fill.lots), abs(event.fill.cost), event.pnl, event.fee)
            if now.lots == 0:
                status, closed_at = ("liquidated" if event.reason == "liquidation" else "closed"), row.at
        total[:] = [old + change for old, change in zip(total, changes, strict=True)]
        record = PositionRecord(
            name, now.user, row.stream, opened[name], row.offset, status, now.opened_at, closed_at, now.lots, now.cash,
            now.margin, now.leverage, now.entry_cost, now.funding_paid, *total,
        )  # fmt: skip
        found[name] = replace(record, take_profit=now.take_profit, stop_loss=now.stop_loss)
    return found


def slow_orders(entries: Iterable[Entry]) -> dict[str, OrderRecord]:
    """Every order by folding its events; of a TWAP its slices add up."""
    found: dict[str, OrderRecord] = {}
    slices: dict[str, list[Fill]] = {}
    for entry in entries:
        row = entry.row
        for event in entry.events:
            status, reason, ended = "open", None, None
            filled: tuple[str | None, int | None, int | None] = (None, None, None)
            match event:
                case OrderPlaced() | OrderReplaced():
                    order = event.order
                case OrderCancelled():
                    order, ended = event.order, row.at
                    status, reason = ("expired" if event.reason == "expired" else "cancelled"), event.reason
                case (
                    PositionOpened(order=Order() as order)
                    | PositionIncreased(order=Order() as order)
                    | PositionReduced(order=Order() as order)
                ):
                    is_open = order.twap is not None and order.twap.done < order.twap.slices
                    status, ended = ("open", None) if is_open else ("filled", row.at)
                    filled = (f"{row.stream}-{event.position.number}", event.fill.lots, event.fill.cost)
                    slices.setdefault(f"{row.stream}-o{order.number}", []).append(event)
                case PositionChanged(order=Order() as order):
                    status, ended = "filled", row.at
                case _:
                    continue
            name = f"{row.stream}-o{order.number}"
            if order.position is not None:
                filled = (f"{row.stream}-{order.position}", *filled[1:])
            twap, size = order.twap, order.size
            more: tuple[Any, Any, Any, Any, Any, Any] = (None,) * 6
            if twap is not None:
                made = [event.fill for event in slices.get(name, ())]
                if made:
                    filled = (filled[0], sum(fill.lots for fill in made), sum(fill.cost for fill in made))
                size = Micros(order.size + sum(abs(fill.cost) for fill in made))
                next_at = twap.next_at if status == "open" else None
                more = (twap.slices, twap.interval, twap.done, twap.done - len(made), twap.reason, next_at)
            placed = found[name].placed_offset if name in found else row.offset
            found[name] = OrderRecord(
                name, order.user, row.stream, placed, row.offset, status, reason, order.kind.value, order.side.value,
                size, order.leverage, order.price, order.reserve, order.placed_at, order.expires_at,
                order.acceptable_price, order.acceptable_price_pico, order.take_profit, order.stop_loss, ended, *filled,
                order.reduces, order.share, order.lots, *more, order.callback, order.extreme,
            )  # fmt: skip
    return found
