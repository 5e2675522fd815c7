"""The read model: what is committed, and as of which offset. Every GET and every stream is served from here.

It follows the journal with the same ``apply`` as the markets themselves, one commit behind them, on the event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, assert_never

from perps.effects import (
    Changed,
    Effect,
    Funded,
    FundingHour,
    Holding,
    Joined,
    Ordered,
    OrderStatus,
    Paid,
    ParamsSet,
    Priced,
    Status,
    Traded,
)
from perps.engine import apply
from perps.events import MarketEvent, MarketListed
from perps.journal import Entry, Row
from perps.market.liquidation_order import NoOrder
from perps.market.order import Order
from perps.market.position import Position
from perps.market.state import Market
from perps.money.accounts import user_account
from perps.refusals import InvariantViolated
from perps.units import MICRO, Micros, Millis
from perps.venue import VenueState
from web.readside.flows import MarketFlows
from web.readside.history import MarketHistory

ROWS_KEPT: Final = 20_000
"""Newest rows kept in memory, as they are stored: for streams that resume and answers that are repeated."""


class UserView:
    """One user: what they have done with money so far, and their open positions by (ticker, number)."""

    __slots__ = (
        "deposited",
        "fees",
        "margin",
        "opened",
        "orders",
        "pnl",
        "positions",
        "referrer",
        "reserved",
        "volume",
        "withdrawn",
    )

    def __init__(self, referrer: str | None) -> None:
        self.referrer = referrer
        self.positions: dict[tuple[str, int], Position] = {}
        self.opened: dict[tuple[str, int], int] = {}
        """The rows that opened them, where they are known: a snapshot does not say it, the query tables do."""
        self.margin = 0
        """Σ of the open positions' margins."""
        self.orders: dict[tuple[str, int], Order] = {}
        """Those that rest, by ticker and number; those placed or replaced first come first."""
        self.reserved = 0
        """Σ of their reserves."""
        self.deposited = 0
        self.withdrawn = 0
        self.pnl = 0
        self.fees = 0
        self.volume = 0
        """Σ |cost| of the trades behind the row ``ReadModel.volume_from``."""


class MarketView:
    """One market as committed: its state, its history, and whether it is up."""

    __slots__ = (
        "flows",
        "funded",
        "history",
        "market",
        "offset",
        "price_in_doubt",
        "price_offset",
        "price_source",
        "problem",
        "shown",
    )

    def __init__(self, market: Market) -> None:
        self.market = market
        self.history = MarketHistory()
        self.flows = MarketFlows()
        self.offset = 0
        self.price_offset = 0
        """The row that set the present index price, and what its source was."""
        self.price_source = "system"
        self.price_in_doubt: Millis | None = None
        """Time of a price that counts as too old: see ``MarketSide``."""
        self.funded = 0
        """Micros that administrators paid into its house and insurance, less what they took out."""
        self.problem: str | None = None
        """Why it takes no commands at the moment; None when it does."""
        self.shown: tuple[tuple[int, int, bool], bytes] | None = None
        """What readers saw of it last, and what that depended on: see ``web/answers/markets.py``."""


class ReadModel:
    """Committed state, and the newest rows. ``apply`` is the only way in."""

    def __init__(self, *, rows_kept: int = ROWS_KEPT) -> None:
        self.offset = 0
        self.epoch = 0
        """The epoch that wrote the last row."""
        self.serving_epoch = 0
        """The ownership that serves now; it may not have written yet."""
        self.markets: dict[str, MarketView] = {}
        self.users: dict[str, UserView] = {}
        self.balances: dict[str, int] = {}
        self.volume_from = 0
        """The row behind which users' volumes count: that of a snapshot without them; else 0."""
        self.health_changes = 0
        """How often a market went down or came up again: readers see it, and no row says it."""
        self._recent: deque[Row] = deque(maxlen=rows_kept)
        self._shares_markets = False

    def apply(self, entry: Entry) -> bool:
        """Take the next committed row; False if it is known already (after a restart of the core).

        Raises ``InvariantViolated`` on a gap.
        """
        row = entry.row
        if row.offset <= self.offset:
            return False
        if row.offset != self.offset + 1 or self._shares_markets:
            raise InvariantViolated(f"row {row.offset} after row {self.offset}, markets shared: {self._shares_markets}")
        view = self.markets.get(row.stream)
        for event in entry.events:
            if isinstance(event, MarketListed):
                view = self.markets[row.stream] = MarketView(Market(event, NoOrder()))
            elif view is not None and isinstance(event, MarketEvent):
                apply(view.market, event)
        self._take(entry, view)
        return True

    def replay(self, entry: Entry, state: VenueState) -> None:
        """As ``apply``, at a start, for a row that ``state`` has taken in already: its markets are shared until
        ``own_markets``.
        """
        row = entry.row
        if row.offset != self.offset + 1:
            raise InvariantViolated(f"row {row.offset} after row {self.offset}")
        view, market = self.markets.get(row.stream), state.markets.get(row.stream)
        if view is None and market is not None:
            view = self.markets[row.stream] = MarketView(market)
        elif view is not None and market is not None:
            view.market = market
        self._shares_markets = True
        self._take(entry, view)

    def own_markets(self) -> None:
        """End of a start: from here on the markets go ahead of this model, which follows their commits."""
        for view in self.markets.values():
            view.market = view.market.follower()
        self._shares_markets = False

    def _take(self, entry: Entry, view: MarketView | None) -> None:
        row = entry.row
        if view is not None:
            view.flows.row(row.offset, row.at)
        for effects in entry.effects:
            for effect in effects:
                self._follow(row, view, effect)
        balances = self.balances
        for leg in entry.legs:
            balances[leg.transfer.source] = leg.source_balance
            balances[leg.transfer.target] = leg.target_balance
        if view is not None:
            view.offset = row.offset
        self.offset, self.epoch = row.offset, row.epoch
        self._recent.append(row)

    def health(self, ticker: str, problem: str | None) -> None:
        """A market takes no commands, and why; or (None) takes them again."""
        view = self.markets.get(ticker)
        if view is not None:
            view.problem = problem
            self.health_changes += 1

    def wallet(self, user: str) -> Micros:
        """A user's committed balance, micros."""
        return Micros(self.balances.get(user_account(user), 0))

    def row(self, offset: int) -> Row | None:
        """A row that is still in memory, or None."""
        oldest = self.oldest_offset
        if oldest is None or not oldest <= offset <= self.offset:
            return None
        return self._recent[offset - oldest]

    def price_ages(self, now_ms: int) -> Iterator[tuple[str, float]]:
        """How old each market's price is, seconds."""
        for ticker, view in self.markets.items():
            yield ticker, max(now_ms - view.market.price_at, 0) / 1000

    def houses_available(self) -> Iterator[tuple[str, float]]:
        """What each market's house could pay now, its credit included, US dollars."""
        for ticker, view in self.markets.items():
            yield ticker, view.market.can_pay / MICRO

    def houses_liable(self) -> Iterator[tuple[str, float]]:
        """What each market's traders would gain together if all left now, US dollars."""
        for ticker, view in self.markets.items():
            yield ticker, view.market.liability / MICRO

    @property
    def oldest_offset(self) -> int | None:
        """The first row still in memory; None when there is none."""
        return self._recent[0].offset if self._recent else None

    def rows_after(self, offset: int) -> Iterator[Row]:
        """Rows in memory with a greater offset, in order. The caller has checked that none is missing."""
        oldest = self.oldest_offset
        if oldest is None:
            return
        for position in range(max(0, offset + 1 - oldest), len(self._recent)):
            yield self._recent[position]

    def open_positions(self, user: str) -> Iterator[tuple[str, Position]]:
        """A user's open positions with their tickers, newest first."""
        for (ticker, _), position in reversed(self.users[user].positions.items()):
            yield ticker, position

    def _follow(self, row: Row, view: MarketView | None, effect: Effect) -> None:
        """What an event means to readers."""
        match effect:
            case Traded():
                self._trade(row, view, effect)
            case Changed(position=position):
                self._stands(row, position)
            case Ordered():
                self._order(row, effect)
            case Priced():
                if view is not None:
                    view.history.price(row.at, effect.quote)
                    view.price_offset, view.price_source = row.offset, effect.source
            case Joined():
                self.users[effect.user] = UserView(effect.referrer)
            case Paid():
                if effect.amount > 0:
                    self.users[effect.user].deposited += effect.amount
                else:
                    self.users[effect.user].withdrawn -= effect.amount
            case Funded():
                if view is not None:
                    view.funded += effect.amount
            case Status() | FundingHour() | Holding() | ParamsSet():
                pass  # the market's state says it
            case _:
                assert_never(effect)

    def _order(self, row: Row, ordered: Ordered) -> None:
        order, user = ordered.order, self.users[ordered.order.user]
        key = (row.stream, order.number)
        before = user.orders.pop(key, None)
        user.reserved -= before.reserve if before else 0
        if ordered.status is OrderStatus.OPEN:
            user.orders[key] = order
            user.reserved += order.reserve

    def _trade(self, row: Row, view: MarketView | None, trade: Traded) -> None:
        volume = Micros(abs(trade.fill.cost))
        if view is not None:
            view.history.trade(row.at, trade.fill.quote_after, volume)
            view.flows.trade(row.at, trade)
        user = self.users[trade.position.user]
        user.volume += volume
        user.fees += trade.fee
        user.pnl += trade.pnl
        self._stands(row, trade.position)

    def _stands(self, row: Row, position: Position) -> None:
        """How a position is now, also one that is new or has ended."""
        user, key = self.users[position.user], (row.stream, position.number)
        before = user.positions.get(key)
        user.margin += (position.margin if position.lots else 0) - (before.margin if before else 0)
        if position.lots:
            user.positions[key] = position
            if before is None:
                user.opened[key] = row.offset
        else:
            user.positions.pop(key, None)
            user.opened.pop(key, None)
