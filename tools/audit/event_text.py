"""A journal row in words for people, with decimal money and prices; and as JSON for programs, by name and field."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, assert_never

import msgspec
from msgspec import Struct

from perps import journal
from perps.events import (
    CancelTimerSet,
    CloseReason,
    DeleveragingChanged,
    Deposited,
    Event,
    Events,
    FundingAccrued,
    HoldEnded,
    HouseFunded,
    MarketListed,
    MarketSettling,
    ModeChanged,
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    ParamsChanged,
    PositionChanged,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    PriceHeld,
    PriceUpdated,
    TransferKind,
    UserCreated,
    Withdrawn,
    subject_of,
)
from perps.journal import Row
from perps.market.deleveraging import Deleveraging
from perps.market.funding import RATE
from perps.market.order import Order, order_id
from perps.market.position import position_id
from perps.params import MarketParams
from perps.wire.base import outside
from tools.output import printable
from tools.times import rfc3339
from web.answers import decimals

EVENTS_SHOWN: Final = 3
"""How many events of a row are put into words. The others, hundreds in a crash, are only counted."""


class Undecodable(ValueError):
    """A payload that no venue wrote. The text says why."""


def events_of(row: Row) -> Events:
    """The events of a row. Raises ``Undecodable``."""
    try:
        return journal.events_of(row)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(str(error)) from error


def row_in_words(row: Row, params: MarketParams | None) -> list[str]:
    """Offset, time, stream and sequence, kind, sender, and what happened: one printable line each.

    Without the market's ``params``, sizes are in lots and prices in ticks.
    """
    at = _time(row.at)
    place = f"{row.stream}#{row.market_seq}"
    cells = (str(row.offset), at, place, row.kind, row.user_id or "-", _happened(row, params))
    return [printable(cell) for cell in cells]


def row_as_json(row: Row) -> dict[str, Any]:
    """Everything that is stored, by name: events field by field in the domain's units, bytes in hex."""
    told: dict[str, Any] = {}
    for name in row.__struct_fields__:
        value = getattr(row, name)
        told[outside(name)] = value.hex() if isinstance(value, bytes) else value
    try:
        events = events_of(row)
    except Undecodable as error:
        told["problem"] = f"the payload cannot be decoded: {error}"
    else:
        del told["payload"]
        told["events"] = [{"event": type(event).__name__, **_named(event)} for event in events]
    return told


def _happened(row: Row, params: MarketParams | None) -> str:
    try:
        events = events_of(row)
    except Undecodable as error:
        return f"a payload that cannot be decoded: {error}"
    words = [_Words(row.stream, params).of(event) for event in events[:EVENTS_SHOWN]]
    if len(events) > EVENTS_SHOWN:
        words.append(f"and {len(events) - EVENTS_SHOWN} more")
    if events and row.user_balance is not None:
        words.append(f"{subject_of(events)} has {decimals.money(row.user_balance)}")
    return "; ".join(words)


class _Words:
    """Events of one stream in words."""

    def __init__(self, stream: str, params: MarketParams | None) -> None:
        self._stream = stream
        self._params: MarketParams | None = None
        self._measure_by(params)

    def _measure_by(self, params: MarketParams | None) -> None:
        """Use this tick and lot for prices and sizes, unless one of them is 0 or less."""
        if params is not None and params.tick_size > 0 and params.lot_size > 0:
            self._params = params

    def of(self, event: Event) -> str:
        money = decimals.money
        match event:
            case MarketListed():
                self._measure_by(event.params)
                house = event.params.house_deposit
                return f"listed at {self._price(event.price)}" + (f", house deposit {money(house)}" if house else "")
            case ModeChanged():
                return f"mode {event.mode}" + (f": {event.reason}" if event.reason else "")
            case PriceUpdated():
                reason = f", {event.reason}" if event.reason else ""
                mark = f", mark {self._price(event.mark)}" if event.mark != event.price else ""
                return f"price {self._price(event.price)}{mark} from {event.source}{reason}"
            case PriceHeld():
                held = event.held
                return f"price {self._price(event.price)} from {event.source} held, {held.count} times said"
            case HoldEnded():
                return "the held price was not confirmed: dropped"
            case MarketSettling(settling=settling):
                return f"settling {settling.positions} positions at the index {self._price(settling.index_price)}"
            case ParamsChanged():
                return "parameters changed"
            case DeleveragingChanged(deleveraging=begun):
                return "deleveraging ends" if begun is None else self._deleverages(begun)
            case FundingAccrued():
                rate = decimals.share(100 * event.rate, RATE * 24, 6)
                return f"funding index {event.index} at {rate} % an hour until {_time(event.at)}"
            case PositionOpened():
                return self._opened(event)
            case PositionIncreased():
                return self._increased(event)
            case PositionReduced():
                return self._reduced(event)
            case PositionChanged():
                return self._changed(event)
            case OrderReplaced() if event.order.twap is not None:
                return f"{order_id(self._stream, event.order.number)} skipped a slice: {event.order.twap.reason}"
            case OrderPlaced() | OrderReplaced():
                did = "placed" if isinstance(event, OrderPlaced) else "replaced"
                return f"{event.order.user} {did} {self._order(event.order)}"
            case OrderCancelled():
                return f"{order_id(self._stream, event.order.number)} of {event.order.user} ended: {event.reason}"
            case CancelTimerSet(user=user, at=at):
                return f"orders of {user} end " + ("by no timer any more" if at is None else f"at {rfc3339(at)}")
            case UserCreated():
                deposit = sum(transfer.amount for transfer in event.transfers)
                referrer = f", referred by {event.referrer}" if event.referrer else ""
                return f"user {event.user}{referrer}" + (f", deposit {money(deposit)}" if deposit else "")
            case Deposited():
                return f"{event.user} deposited {money(event.amount)}"
            case HouseFunded():
                done = "paid into" if event.amount > 0 else "taken out of"
                return f"{money(abs(event.amount))} {done} the {event.account}, which has {money(event.balance)}"
            case Withdrawn():
                return f"{event.user} withdrew {money(event.amount)}"
            case _:
                assert_never(event)

    def _deleverages(self, begun: Deleveraging) -> str:
        owed, can_pay = decimals.money(begun.liability), decimals.money(begun.can_pay)
        return f"deleveraging begins: if all left, the house would owe {owed} of the {can_pay} that it can pay"

    def _opened(self, event: PositionOpened) -> str:
        position, money = event.position, decimals.money
        side = "long" if position.lots > 0 else "short"
        return (
            f"{position.user} opened {position_id(self._stream, position.number)}: {side} {self._traded(event)},"
            f" {position.leverage}x, margin {money(position.margin)}, fee {money(event.fee)}"
        )

    def _increased(self, event: PositionIncreased) -> str:
        position, money = event.position, decimals.money
        return (
            f"{position.user} increased {position_id(self._stream, position.number)}: {self._traded(event)},"
            f" margin {money(event.margin_added)} more, fee {money(event.fee)}"
        )

    def _reduced(self, event: PositionReduced) -> str:
        position, money = event.position, decimals.money
        name = position_id(self._stream, position.number)
        debt = f", bad debt {money(event.bad_debt)}" if event.bad_debt else ""
        kept = f", {money(event.kept)} stays in its margin" if event.kept else ""
        if event.reason is CloseReason.LIQUIDATION:
            part = " in part" if position.lots else ""
            begin = f"{position.user} was liquidated{part} in {name}"
        elif event.reason is CloseReason.SETTLEMENT:
            begin = f"{position.user} was settled in {name}"
        elif event.reason is CloseReason.DELEVERAGE:
            begin = f"{position.user} was deleveraged in {name}"
        elif event.reason is not CloseReason.OWNER:
            by = "" if event.order is None else f" {order_id(self._stream, event.order.number)}"
            did = "reduced" if position.lots else "closed"
            begin = f"{event.reason.replace('_', '-')}{by} {did} {name} of {position.user}"
        else:
            begin = f"{position.user} {'reduced' if position.lots else 'closed'} {name}"
        return f"{begin}: {self._traded(event)}, pnl {money(event.pnl)}, fee {money(event.fee)}{debt}{kept}"

    def _order(self, order: Order) -> str:
        name, size = order_id(self._stream, order.number), decimals.money(order.size)
        if order.twap is not None:
            kept = decimals.money(order.reserve)
            return f"{name}: {order.side} {size} in {order.twap.slices} slices, {order.leverage}x, reserve {kept}"
        if order.position is not None:
            part = f"{decimals.text(100 * order.share, 9, 0)} % of {position_id(self._stream, order.position)}"
            behind = f", {decimals.text(100 * order.callback, 9, 0)} % behind the mark" if order.trails else ""
            return f"{name}: {order.kind} of {part} at {self._price(order.price)}{behind}"
        terms = f"{order.kind} {order.side} {size} at {self._price(order.price)}, {order.leverage}x"
        return f"{name}: {terms}, reserve {decimals.money(order.reserve)}"

    def _changed(self, event: PositionChanged) -> str:
        position = event.position
        name = position_id(self._stream, position.number)
        if not event.transfers:
            exits = (("take-profit", position.take_profit), ("stop-loss", position.stop_loss))
            named = [f"{what} {self._price(price)}" for what, price in exits if price is not None]
            return f"{position.user} has {name} with {' and '.join(named) or 'neither take-profit nor stop-loss'}"
        moves = {TransferKind.MARGIN: "paid in", TransferKind.MARGIN_RETURN: "taken out"}
        told = [f", {decimals.money(move.amount)} {moves.get(move.kind, move.kind)}" for move in event.transfers]
        return f"{position.user} changed {name}{''.join(told)}: margin {decimals.money(position.margin)}"

    def _traded(self, event: PositionOpened | PositionIncreased | PositionReduced) -> str:
        fill = event.fill
        if self._params is None:
            return f"{abs(fill.lots)} lots for {decimals.money(abs(fill.cost))}"
        price = decimals.average_price(fill.cost, fill.lots, self._params)
        return f"{decimals.quantity(abs(fill.lots), self._params.lot_size)} at {price}"

    def _price(self, ticks: int) -> str:
        return f"{ticks} ticks" if self._params is None else decimals.price(ticks, self._params.tick_size)


def _time(at: int) -> str:
    try:
        return rfc3339(at)
    except ValueError:
        return str(at)


def _named(value: Struct) -> dict[str, Any]:
    return {outside(name): _plain(getattr(value, name)) for name in value.__struct_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return _named(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value.value if isinstance(value, Enum) else value
