"""The part of the oracle that knows who must leave before a house owes more than it has."""

from __future__ import annotations

from collections.abc import Callable

from perps.events import DeleveragingChanged, PositionReduced
from perps.journal import Entry, Row
from perps.market.state import Market
from perps.rules.checks import CLOSED
from tests.model.slow_deleveraging import Leaving
from tests.model.slow_model import SlowVenue


class DeleveragingChecks:
    """Follows deleveragings from their beginning to their end."""

    def __init__(self, slow: SlowVenue, complain: Callable[[str], None]) -> None:
        self._slow, self._complain = slow, complain
        self._under_way: dict[str, Leaving] = {}
        self.count = 0
        """Times that somebody was made to leave."""

    def priced(self, row: Row, entry: Entry, market: Market) -> None:
        """Behind a price that the house can hardly bear one begins."""
        if not market.params.deleveraging or market.mode in CLOSED or self._slow.is_stale(row.stream, row.at):
            return
        begins = any(isinstance(each, DeleveragingChanged) for each in entry.events)
        if not begins and Leaving(self._slow, row.stream).is_due():
            self._complain(f"row {row.offset}: nobody leaves {row.stream}, and somebody must")

    def changed(self, row: Row, event: DeleveragingChanged, market: Market) -> None:
        """One begins, at 85 %, or ends, at 77 % or when nobody is left who can leave."""
        ticker, leaving = row.stream, self._under_way.pop(row.stream, None)
        begun = event.deleveraging
        if begun is None:
            if leaving is None or (market.params.deleveraging and not leaving.may_end()):
                self._complain(f"row {row.offset} ends a deleveraging of {ticker} too early")
            return
        begins = Leaving(self._slow, ticker)
        if not (begins.may_begin() or (leaving is not None and begins.may_go_on())):
            self._complain(f"row {row.offset} begins to deleverage {ticker}, which need not")
        if begun.skew != self._slow.markets[ticker].skew:
            self._complain(f"row {row.offset} deleverages {ticker} by a skew of {begun.skew}")
        self._under_way[ticker] = begins

    def left(self, row: Row, event: PositionReduced, name: str) -> None:
        """A winner leaves, in turn, and with as little as is enough."""
        leaving = self._under_way.get(row.stream)
        if event.pnl <= 0 or leaving is None or not leaving.may_go_on() or not leaving.is_in_turn(name):
            self._complain(f"row {row.offset} makes {name} leave, which need not: {event}")
        self._slow.deleveraged(name, abs(event.fill.lots))
        self.count += 1
