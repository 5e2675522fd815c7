"""What the oracle checks of orders: what they keep, when they may end, and at which price they may be filled."""

from __future__ import annotations

from collections.abc import Callable

from perps.events import OrderCancelled
from perps.journal import Row
from perps.market.order import Order, order_id
from perps.params import MarketParams
from perps.rules.cancel_timers import BY_TIMER
from perps.rules.next_price import GONE
from perps.rules.orders import BY_OWNER, EXPIRED, ORDERS_PER_USER_MAX
from perps.rules.settling import SETTLED
from tests.model.rules import slow_order
from tests.model.slow_model import SlowVenue
from tests.model.slow_orders import SlowOrder


class OrderChecks:
    """The oracle's part about orders."""

    slow: SlowVenue
    _params: dict[str, MarketParams]
    _complain: Callable[[str], None]

    def _same(self, what: str, said: object, expected: object) -> None:
        raise NotImplementedError

    def _rest(self, row: Row, order: Order) -> None:
        """An order rests. A stop must not be due; a limit may be, and is filled next if it can."""
        slow, market = self.slow, self.slow.markets[row.stream]
        made = slow_order(row.stream, order, self._params[row.stream])
        slow.rested(order_id(row.stream, order.number), made)
        self._same(f"row {row.offset} reserve", order.reserve, made.reserve)
        if made.has_trigger and made.is_reached(market.shown_mark):
            self._complain(f"I7 row {row.offset}: the stop {order.number} of {row.stream} is due at once")
        if not made.reduces and slow.orders.of(order.user, row.stream) > ORDERS_PER_USER_MAX:
            self._complain(f"row {row.offset}: {order.user} has too many orders in {row.stream}")

    def _end(self, row: Row, event: OrderCancelled) -> None:
        order, market = self.slow.ended(order_id(row.stream, event.order.number)), self.slow.markets[row.stream]
        until = self.slow.orders.timers.get((order.user, row.stream))
        if event.reason == BY_TIMER and until is not None and until > row.at:
            self._complain(f"row {row.offset} ends an order by a timer that runs")
        if event.reason in (BY_TIMER, BY_OWNER) and order.waits_for_next:
            self._complain(f"row {row.offset} takes back an order that waits for the next price")
        decided = event.reason not in (BY_TIMER, BY_OWNER, EXPIRED, GONE, SETTLED)
        if decided and not market.decides(order.placed_at):
            self._complain(f"row {row.offset} ends an order at a price that does not decide it: {event.reason}")
        if event.reason == EXPIRED and (order.expires_at is None or order.expires_at > row.at):
            self._complain(f"row {row.offset} ends an order before its time")

    def _fills(self, row: Row, filled: Order | None) -> SlowOrder | None:
        """The order that a trade fills, in its turn and at a price that may; None: it fills none, and may fill none."""
        market = self.slow.markets[row.stream]
        if filled is None:
            if market.rules.waits_for_price:
                self._complain(f"row {row.offset} trades in {row.stream} without having waited for a price")
            return None
        name = order_id(row.stream, filled.number)
        is_first = name == self.slow.orders.first_in(row.stream)
        order = self.slow.ended(name)
        if not market.decides(order.placed_at) or (order.waits_for_next and not is_first):
            self._complain(f"row {row.offset} fills {name} before its turn, or at a price that was there before it")
        return order
