"""Positions, as methods of ``Venue``."""

from __future__ import annotations

import asyncio
from typing import Final

from perps.client.calls import Calls, values_of
from perps.client.errors import Refused
from perps.client.lists import Listing
from perps.client.requests import Exact
from perps.wire import trading
from perps.wire.close_all import CLOSE_ALL, ClosedAll
from perps.wire.errors import ErrorCode
from perps.wire.margin import MARGIN, MarginChanged
from perps.wire.net import NET_POSITIONS, TRADE, NetPositions, NetTraded
from perps.wire.orders.order import Pending
from perps.wire.triggers import TRIGGERS, TriggersSet
from perps.wire.users import ME

ENDED: Final = frozenset((ErrorCode.POSITION_NOT_FOUND, ErrorCode.POSITION_CLOSED))
"""Refusals of a close: the position has ended meanwhile."""


class PositionCalls(Calls):
    """What ``Venue`` can do with positions."""

    async def open_position(
        self,
        ticker: str,
        side: str,
        size: Exact,
        leverage: int,
        *,
        acceptable_price: Exact | None = None,
        max_slippage_bps: int | None = None,
        take_profit: Exact | None = None,
        stop_loss: Exact | None = None,
        client_order_id: str | None = None,
        user_id: str | None = None,
        position_id: str | None = None,
    ) -> trading.Opened | Pending:
        """Open a position of at most ``size`` US dollars of notional. ``side``: ``long`` or ``short``.

        With ``position_id`` it is added to that one. In a market that executes at the next price the answer is the
        order, ``Pending``: ``wait_for_order`` says what becomes of it.
        """
        return await self.call_or_wait(trading.OPEN, trading.Opened, **values_of(locals()))

    async def quote_position(
        self,
        ticker: str,
        side: str,
        size: Exact,
        leverage: int,
        *,
        acceptable_price: Exact | None = None,
        max_slippage_bps: int | None = None,
        take_profit: Exact | None = None,
        stop_loss: Exact | None = None,
        position_id: str | None = None,
    ) -> trading.Quoted:
        """What an open would do now. Nothing changes."""
        return await self.call(trading.QUOTE, trading.Quoted, **values_of(locals()))

    async def close_position(
        self,
        position_id: str,
        percentage: Exact | None = None,
        *,
        quantity: Exact | None = None,
        size: Exact | None = None,
        acceptable_price: Exact | None = None,
        max_slippage_bps: int | None = None,
        client_order_id: str | None = None,
    ) -> trading.Closed | Pending:
        """Close a position, or a share of it: 1 is all, 0.5 is half. Or a ``quantity``, or a ``size`` in US dollars.

        ``Pending``: see ``open_position``.
        """
        return await self.call_or_wait(trading.CLOSE, trading.Closed, **values_of(locals()))

    async def trade_net(
        self,
        ticker: str,
        side: str,
        size: Exact,
        leverage: int,
        *,
        acceptable_price: Exact | None = None,
        max_slippage_bps: int | None = None,
        reduce_only: bool | None = None,
        client_order_id: str | None = None,
        user_id: str | None = None,
    ) -> NetTraded:
        """Close the other side, oldest first, then open with what is left of ``size`` US dollars: all or nothing."""
        return await self.call(TRADE, NetTraded, **values_of(locals()))

    async def list_net_positions(self, user_id: str, *, ticker: str | None = None) -> NetPositions:
        """What a user holds in each market, added up."""
        return await self.call(NET_POSITIONS, NetPositions, **values_of(locals()))

    async def change_margin(
        self, position_id: str, amount: Exact, *, client_order_id: str | None = None, user_id: str | None = None
    ) -> MarginChanged | Pending:
        """Pay ``amount`` US dollars into a position's margin; with an amount below 0, take them out of it.

        ``Pending``, of a withdrawal: see ``open_position``.
        """
        return await self.call_or_wait(MARGIN, MarginChanged, **values_of(locals()))

    async def close_all_positions(self, *, ticker: str | None = None, user_id: str | None = None) -> ClosedAll:
        """Close what is open, each position by itself: see each one's result, and ``remaining``."""
        return await self.call(CLOSE_ALL, ClosedAll, **values_of(locals()))

    async def leave(self, ticker: str) -> list[trading.Closed | Pending]:
        """Close what the key's user has open in a market, all at the same time; without those that have just ended.

        Each close has a client order id of its own and is sent until there is a verdict, which ``close_all_positions``
        cannot be. ``Pending``: see ``open_position``.
        """
        positions = [one.id async for one in self.list_positions(ME, ticker=ticker)]
        answers = await asyncio.gather(*(self.close(one) for one in positions), return_exceptions=True)
        errors = [one for one in answers if isinstance(one, BaseException)]
        for error in errors:
            if not (isinstance(error, Refused) and error.code in ENDED):
                raise error
        return [one for one in answers if not isinstance(one, BaseException)]

    async def set_triggers(
        self,
        position_id: str,
        *,
        take_profit: Exact | None = None,
        stop_loss: Exact | None = None,
        client_order_id: str | None = None,
    ) -> TriggersSet:
        """Give a position both exits anew; None takes one away."""
        return await self.call(TRIGGERS, TriggersSet, **values_of(locals()))

    open, quote, close = open_position, quote_position, close_position

    def list_positions(
        self,
        user_id: str,
        *,
        status: str | None = None,
        ticker: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[trading.Positions, trading.Position]:
        """A user's positions, newest first. ``status``: ``open`` (the default), ``closed`` or ``all``."""
        return self._list(trading.POSITIONS, trading.Positions, lambda page: page.perpetuals.positions, locals())
