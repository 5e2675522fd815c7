"""Resting orders, as methods of ``Venue``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from perps.client.calls import Calls, values_of
from perps.client.lists import Listing
from perps.client.requests import Exact, Nothing
from perps.wire.orders import cancelling, order, placing, reading

WAIT_S: Final = 60.0
"""How long ``wait_for_order`` waits: twice what a market's orders wait for their price by default."""

PAUSE_S: Final = 0.05
PAUSE_S_MAX: Final = 1.0
"""Between two questions, at first and at most."""


class OrderCalls(Calls):
    """What ``Venue`` can do with orders."""

    async def place_order(
        self,
        ticker: str | None,
        type: str,
        side: str | None,
        size: Exact | None,
        leverage: int | None,
        price: Exact | None = None,
        *,
        expires_at: str | None = None,
        acceptable_price: Exact | None = None,
        take_profit: Exact | None = None,
        stop_loss: Exact | None = None,
        client_order_id: str | None = None,
        user_id: str | None = None,
        position_id: str | None = None,
        percentage: Exact | None = None,
        callback: Exact | None = None,
        slices: int | None = None,
        interval_ms: int | None = None,
    ) -> placing.Placed:
        """Let an order wait for its price. ``type``: ``limit`` or ``stop``.

        See ``exit_position`` and ``trail_position`` for exits, and ``place_twap`` for a size that is taken in slices.
        """
        return await self.call(placing.PLACE, placing.Placed, **values_of(locals()))

    async def exit_position(
        self,
        position_id: str,
        type: str,
        price: Exact,
        *,
        percentage: Exact | None = None,
        expires_at: str | None = None,
        acceptable_price: Exact | None = None,
        client_order_id: str | None = None,
        user_id: str | None = None,
    ) -> placing.Placed:
        """Let a position, or a share of it, leave at a price. ``type``: ``stop`` or ``take_profit``."""
        return await self.call(placing.PLACE, placing.Placed, **values_of(locals()))

    async def trail_position(
        self,
        position_id: str,
        callback: Exact,
        *,
        percentage: Exact | None = None,
        expires_at: str | None = None,
        acceptable_price: Exact | None = None,
        client_order_id: str | None = None,
        user_id: str | None = None,
    ) -> placing.Placed:
        """Let a position, or a share of it, leave once the mark has come back from its best by ``callback``.

        0.02 is 2 %: of a long 2 % below the highest mark from now on, of a short 2 % above the lowest.
        """
        return await self.call(placing.PLACE, placing.Placed, type="trailing_stop", **values_of(locals()))

    async def place_twap(
        self,
        ticker: str,
        side: str,
        size: Exact,
        leverage: int,
        slices: int,
        interval_ms: int,
        *,
        acceptable_price: Exact | None = None,
        expires_at: str | None = None,
        client_order_id: str | None = None,
        user_id: str | None = None,
    ) -> placing.Placed:
        """Take ``size`` in ``slices``, one every ``interval_ms``: the first at once, the later ones add to it.

        ``acceptable_price``: the worst average price of a slice; one beyond it is skipped.
        """
        return await self.call(placing.PLACE, placing.Placed, type="twap", **values_of(locals()))

    async def quote_order(
        self,
        ticker: str | None,
        type: str,
        side: str | None,
        size: Exact | None,
        leverage: int | None,
        price: Exact | None = None,
        *,
        expires_at: str | None = None,
        acceptable_price: Exact | None = None,
        take_profit: Exact | None = None,
        stop_loss: Exact | None = None,
        client_order_id: str | None = None,
        user_id: str | None = None,
        position_id: str | None = None,
        percentage: Exact | None = None,
        callback: Exact | None = None,
        slices: int | None = None,
        interval_ms: int | None = None,
    ) -> placing.OrderQuoted:
        """Ask what an order would do. Nothing changes."""
        return await self.call(placing.QUOTE, placing.OrderQuoted, **values_of(locals()))

    async def place_orders(self, items: Iterable[Mapping[str, Any]]) -> placing.OrderResults:
        """Place up to 20 orders: each is a record with the fields of the contract, and taken or refused by itself."""
        return await self.call(placing.PLACE_MANY, placing.OrderResults, items=list(items))

    def list_orders(
        self,
        user_id: str | None = None,
        *,
        status: str | None = None,
        ticker: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[reading.Orders, order.Order]:
        """A user's orders, those placed last first. ``status``: ``open`` (the default), ``closed`` or ``all``."""
        return self._list(reading.LIST, reading.Orders, lambda page: page.orders, locals())

    async def get_order(self, order_id: str) -> reading.OrderAnswer:
        """One order, resting or ended."""
        return await self.call(reading.GET, reading.OrderAnswer, order_id=order_id)

    async def wait_for_order(self, order_id: str, *, within_s: float = WAIT_S) -> order.Order:
        """An order once it has ended: ``filled``, ``cancelled`` or ``expired``. Asks the venue every now and then.

        Raises ``TimeoutError`` if it waits still after ``within_s``.
        """
        async with asyncio.timeout(within_s):
            pause_s = PAUSE_S
            while (found := (await self.get_order(order_id)).order).status == "open":
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
        return found

    async def replace_order(
        self,
        order_id: str,
        *,
        size: Exact | None = None,
        leverage: int | None = None,
        price: Exact | None = None,
        expires_at: str | Nothing | None = None,
        acceptable_price: Exact | Nothing | None = None,
        take_profit: Exact | Nothing | None = None,
        stop_loss: Exact | Nothing | None = None,
        client_order_id: str | None = None,
        user_id: str | None = None,
        percentage: Exact | None = None,
        callback: Exact | None = None,
    ) -> placing.Placed:
        """Give a resting order other terms; what is None stays, and what is ``NOTHING`` is taken away."""
        return await self.call(placing.REPLACE, placing.Placed, **values_of(locals()))

    async def cancel_order(self, order_id: str) -> reading.OrderAnswer:
        """Cancel a resting order."""
        return await self.call(cancelling.CANCEL, reading.OrderAnswer, order_id=order_id)

    async def cancel_orders(
        self, *, user_id: str | None = None, ticker: str | None = None
    ) -> cancelling.OrdersCancelled:
        """Cancel all resting orders, in one market or in all."""
        return await self.call(cancelling.CANCEL_ALL, cancelling.OrdersCancelled, user_id=user_id, ticker=ticker)

    async def cancel_all_after(
        self, ticker: str, seconds: Exact | None, *, user_id: str | None = None
    ) -> cancelling.CancelsAfter:
        """Cancel all resting orders of a market in so many seconds, unless this is called again before; None: never."""
        return await self.call(cancelling.CANCEL_AFTER, cancelling.CancelsAfter, **values_of(locals()))
