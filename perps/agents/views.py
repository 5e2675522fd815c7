"""What an agent knows: its markets and its own account, as the streams tell them.

Prices and sizes are floats here. They serve decisions; what is sent to the venue is exact text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from perps.client import Event, Row
from perps.wire.markets import Market
from perps.wire.orders.order import Order
from perps.wire.streams import BalanceEvent, MarketsNow, OrderEvent, PositionEvent, UserNow
from perps.wire.trading import Position
from perps.wire.users import Balance

T = TypeVar("T", Position, Order)


@dataclass
class MarketView:
    """One market now. Prices in USD for one base unit, quantities in base units."""

    ticker: str
    status: str
    index: float
    """Comes from outside."""
    mark: float
    """Decides margin and liquidation."""
    quote: float
    """The price of the next small trade."""
    long: float
    """Open interest of the longs."""
    short: float
    max_skew: float
    max_leverage: int
    min_order_size: float
    """USD."""
    taker_fee: float
    tick_size: str

    @property
    def skew(self) -> float:
        """The long open interest less the short one: the house is short by so much."""
        return self.long - self.short

    @property
    def premium(self) -> float:
        """How far the quote is above the index, as a fraction of the index."""
        return self.quote / self.index - 1


class Markets:
    """All markets that are followed. Several agents may look at one of these."""

    def __init__(self) -> None:
        self._views: dict[str, MarketView] = {}

    def __getitem__(self, ticker: str) -> MarketView:
        """A market. Errors: KeyError before the first snapshot."""
        return self._views[ticker]

    @property
    def is_known(self) -> bool:
        """Whether there was a snapshot."""
        return bool(self._views)

    def take(self, row: Row) -> None:
        """Take a row of the markets' stream in."""
        for event in row.events:
            self._take(event)

    def mark(self, ticker: str, otherwise: str) -> float:
        """A market's mark price; ``otherwise`` of one that is not followed."""
        view = self._views.get(ticker)
        return float(otherwise) if view is None else view.mark

    def _take(self, event: Event) -> None:
        data = event.data
        if event.name == "snapshot":
            now = msgspec.convert(data, MarketsNow)
            for market in now.markets:
                self._set(market)
            return
        view = self._views.get(data.get("ticker", ""))
        if view is None:
            return
        match event.name:
            case "price":
                view.index, view.mark = float(data["indexPrice"]), float(data["markPrice"])
                view.quote = float(data["quotePrice"])
            case "trade" | "liquidation":
                view.mark, view.quote = float(data["markPrice"]), float(data["quotePrice"])
                sign = 1 if data["kind"] == "open" else -1
                if data["side"] == "long":
                    view.long += sign * float(data["quantity"])
                else:
                    view.short += sign * float(data["quantity"])
            case "market":
                view.status = data["status"]
            case "parameters":
                view.max_skew, view.max_leverage = float(data["maxSkew"]), data["maxLeverage"]
                view.min_order_size, view.taker_fee = float(data["minOrderSize"]), float(data["takerFee"])
            case _:
                pass

    def _set(self, market: Market) -> None:
        """A market as a snapshot has it. The object stays the same: strategies hold it."""
        values: dict[str, Any] = {
            "ticker": market.ticker,
            "status": market.status,
            "index": float(market.index_price),
            "mark": float(market.mark_price),
            "quote": float(market.current_price),
            "long": float(market.open_interest.long),
            "short": float(market.open_interest.short),
            "max_skew": float(market.max_skew),
            "max_leverage": market.max_leverage,
            "min_order_size": float(market.min_order_size),
            "taker_fee": float(market.taker_fee),
            "tick_size": market.tick_size,
        }
        view = self._views.get(market.ticker)
        if view is None:
            self._views[market.ticker] = MarketView(**values)
        else:
            vars(view).update(values)


class Account:
    """One's own money, open positions and resting orders.

    Answers and events both tell of a position or an order. The one with the later row counts.
    """

    def __init__(self) -> None:
        self.balance: Balance | None = None
        self.offset = 0
        """The last row that the stream has told."""
        self.trades = self.liquidations = 0
        """Own ones since the beginning."""
        self._positions: _Kept[Position] = _Kept()
        self._orders: _Kept[Order] = _Kept()

    @property
    def positions(self) -> tuple[Position, ...]:
        """Open ones, the oldest first."""
        return tuple(self._positions.items.values())

    @property
    def orders(self) -> tuple[Order, ...]:
        """Resting ones, the oldest first."""
        return tuple(self._orders.items.values())

    def take(self, row: Row) -> None:
        """Take a row of the user's stream in."""
        for event in row.events:
            match event.name:
                case "snapshot":
                    now = msgspec.convert(event.data, UserNow)
                    self.balance = now.balance
                    self._positions.begin(reversed(now.positions), now.offset)
                    self._orders.begin(reversed(now.orders), now.offset)
                case "position":
                    position = msgspec.convert(event.data, PositionEvent)
                    self.note_position(position, position.offset)
                case "order":
                    order = msgspec.convert(event.data, OrderEvent)
                    self.note_order(order, order.offset)
                case "balance":
                    self.balance = msgspec.convert(event.data, BalanceEvent)
                case "trade":
                    self.trades += 1
                case "liquidation":
                    self.trades += 1
                    self.liquidations += 1
                case _:
                    pass
        self.offset = max(self.offset, row.offset)
        self._positions.forget(self.offset)
        self._orders.forget(self.offset)

    def note_position(self, position: Position, offset: int) -> None:
        """A position as of a row."""
        self._positions.note(position, offset)

    def note_order(self, order: Order, offset: int) -> None:
        """An order as of a row."""
        self._orders.note(order, offset)

    def equity(self, markets: Markets) -> float:
        """Money and positions at the mark price, USD: what one would have if all could be closed at the mark."""
        if self.balance is None:
            return 0.0
        return float(self.balance.total) + sum(_worth(one, markets) for one in self.positions)

    @property
    def paid_in(self) -> float:
        """What has come from outside, less what has gone there, USD."""
        if self.balance is None:
            return 0.0
        return float(self.balance.total_deposited) - float(self.balance.total_withdrawn)


class _Kept(Generic[T]):
    """What is open, by id, each as its last row left it."""

    def __init__(self) -> None:
        self.items: dict[str, T] = {}
        self._rows: dict[str, int] = {}
        """The row that each is known from. An ended one stays here until the stream has told its end as well."""

    def begin(self, there: Iterable[T], offset: int) -> None:
        """All that is open as of a row; what a later answer has told stays."""
        found = {one.id: one for one in there}
        for gone in self.items.keys() - found.keys():
            if self._rows[gone] <= offset:
                del self.items[gone], self._rows[gone]
        for one in found.values():
            self.note(one, offset)

    def note(self, one: T, offset: int) -> None:
        """One as of a row."""
        if offset < self._rows.get(one.id, 0):
            return
        self._rows[one.id] = offset
        if one.status == "open":
            self.items[one.id] = one
        else:
            self.items.pop(one.id, None)

    def forget(self, offset: int) -> None:
        """No event of a row up to here comes any more."""
        for ended in [name for name, row in self._rows.items() if row <= offset and name not in self.items]:
            del self._rows[ended]


def _worth(position: Position, markets: Markets) -> float:
    """Margin and profit at the mark price."""
    move = markets.mark(position.ticker, position.mark_price) - float(position.entry_price)
    return float(position.margin) + move * float(position.quantity) * (1 if position.side == "long" else -1)
