"""What the oracle checks of orders: what they keep, when they may end, and at which price they may be filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

from perps.events import CloseReason, OrderCancelled, PositionIncreased, PositionOpened, PositionReduced
from perps.journal import Row
from perps.market.order import EXPIRED, POSITION_CLOSED, Order, order_id
from perps.market.position import position_id
from perps.market.twap import COMPLETED
from perps.params import MarketParams
from perps.rules.orders.cancel_timers import BY_TIMER
from perps.rules.orders.resting import BY_OWNER
from perps.rules.orders.terms import ORDERS_PER_USER_MAX
from perps.rules.settling import SETTLED
from tests.model.rules import slow_order
from tests.model.slow_model import SlowVenue
from tests.model.slow_orders import SlowOrder
from tests.model.slow_twap import SlowTwap, begin_slice, end_slice, skipped, slice_flaw


class OrderChecks:
    """The oracle's part about orders."""

    slow: SlowVenue
    _params: dict[str, MarketParams]
    _complain: Callable[[str], None]

    def _same(self, what: str, said: object, expected: object) -> None:
        raise NotImplementedError

    def _price(self, ticker: str, ticks: int) -> Fraction:
        raise NotImplementedError

    def _rest(self, row: Row, order: Order) -> None:
        """An order rests. A stop must not be due; a limit may be, and is filled next if it can."""
        slow, market = self.slow, self.slow.markets[row.stream]
        if order.twap is not None and order_id(row.stream, order.number) in slow.orders.by_name:
            self._skip(row, order)
            return
        made = slow_order(row.stream, order, self._params[row.stream])
        slow.rested(order_id(row.stream, order.number), made)
        self._same(f"row {row.offset} reserve", order.reserve, made.reserve)
        made = slow.orders.by_name[order_id(row.stream, order.number)]
        self._same(f"row {row.offset} best mark", self._price(row.stream, order.extreme), made.best)
        if made.has_trigger and made.is_reached(market.shown_mark):
            self._complain(f"I7 row {row.offset}: the stop {order.number} of {row.stream} is due at once")
        if made.position is not None and slow.positions[made.position].user != order.user:
            self._complain(f"row {row.offset}: {order} is about a position of another user")
        if not (made.reduces and made.waits_for_next) and slow.orders.of(order.user, row.stream) > ORDERS_PER_USER_MAX:
            self._complain(f"row {row.offset}: {order.user} has too many orders in {row.stream}")

    def _end(self, row: Row, event: OrderCancelled) -> None:
        order, market = self.slow.ended(order_id(row.stream, event.order.number)), self.slow.markets[row.stream]
        self._same(f"row {row.offset} best mark", self._price(row.stream, event.order.extreme), order.best)
        until = self.slow.orders.timers.get((order.user, row.stream))
        if event.reason == BY_TIMER and until is not None and until > row.at:
            self._complain(f"row {row.offset} ends an order by a timer that runs")
        if event.reason in (BY_TIMER, BY_OWNER) and order.waits_for_next:
            self._complain(f"row {row.offset} takes back an order that waits for the next price")
        decided = event.reason not in (BY_TIMER, BY_OWNER, EXPIRED, POSITION_CLOSED, SETTLED)
        if isinstance(order, SlowTwap):
            self._end_slices(row, event, order)
        elif decided and not market.decides(order.placed_at):
            self._complain(f"row {row.offset} ends an order at a price that does not decide it: {event.reason}")
        if event.reason == POSITION_CLOSED and order.position in self.slow.positions:
            self._complain(f"row {row.offset} ends {order}, whose position is open")
        if event.reason == EXPIRED and (order.expires_at is None or order.expires_at > row.at):
            self._complain(f"row {row.offset} ends an order before its time")

    def _end_slices(self, row: Row, event: OrderCancelled, made: SlowTwap) -> None:
        """A TWAP is completed by its last slice, when that comes and takes nothing; no refusal ends it before."""
        is_last = made.slices_left == 1 and made.may_come(self.slow.markets[row.stream], row.at)
        if event.reason not in (BY_TIMER, BY_OWNER, EXPIRED, POSITION_CLOSED, SETTLED, COMPLETED):
            self._complain(f"row {row.offset} ends a TWAP by {event.reason}")
        if event.reason == COMPLETED and not is_last:
            self._complain(f"row {row.offset} completes {made}, which has slices left")

    def _skip(self, row: Row, order: Order) -> None:
        """A slice took nothing, and others are left."""
        flaw = skipped(self.slow, order_id(row.stream, order.number), row.at)
        if flaw is not None:
            self._complain(f"row {row.offset}: {flaw}")
        self._same_slices(row, order)

    @contextmanager
    def _slice(self, row: Row, event: PositionOpened | PositionIncreased) -> Iterator[None]:
        """Around a trade: of a slice the money is in the wallet, and then what is left is kept again."""
        slow, order = self.slow, event.order
        name = "" if order is None else order_id(row.stream, order.number)
        made = slow.orders.by_name.get(name)
        if order is None or not isinstance(made, SlowTwap):
            yield
            return
        position = position_id(row.stream, event.position.number)
        flaw = slice_flaw(slow, name, position, event.fill.lots, row.at)
        if flaw is not None or made.is_over(row.at):
            self._complain(f"row {row.offset}: {flaw or made}")
        before = begin_slice(slow, name)
        yield
        paid = before - slow.wallets[made.user]
        end_slice(slow, name, made.after(row.at, taken=abs(event.fill.cost), paid=paid), position)
        self._same_slices(row, order)

    def _same_slices(self, row: Row, order: Order) -> None:
        made, twap = self.slow.orders.by_name.get(order_id(row.stream, order.number)), order.twap
        if isinstance(made, SlowTwap) and twap is not None:
            said = (twap.slices - twap.done, twap.next_at, order.size, order.reserve)
            self._same(f"row {row.offset} slices", said, (made.slices_left, made.due_at, made.size, made.kept))
        elif twap is None or not twap.is_over:
            self._complain(f"row {row.offset}: {order} has ended with slices left")

    def _fills(self, row: Row, filled: Order | None) -> SlowOrder | None:
        """The order that a trade fills, in its turn and at a price that may; None: it fills none, and may fill none."""
        market = self.slow.markets[row.stream]
        if filled is not None and filled.twap is not None:
            return None  # that has been checked by ``_slice``
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

    def _leaves(self, row: Row, event: PositionReduced, name: str) -> None:
        """What is behind a reduction: its owner's close; or an exit order that is due and closes its share."""
        slow, is_forced = self.slow, self.slow.is_liquidatable(name) and event.order is not None
        if event.reason is CloseReason.OWNER and not is_forced:
            self._fills(row, event.order)
        elif event.order is not None:
            order = slow.ended(order_id(row.stream, event.order.number))
            if not slow.markets[row.stream].decides(order.placed_at):
                self._complain(f"row {row.offset} fills {order} at a price that was there before it")
            if event.reason is not CloseReason.OWNER:
                self._check_exit(row, event, name, order)

    def _check_exit(self, row: Row, event: PositionReduced, name: str, order: SlowOrder) -> None:
        slow, held = self.slow, abs(self.slow.positions[name].lots)
        lots = held if slow.is_liquidatable(name) else slow.exit_lots(order)
        said = (order.position, order.exit_reason, slow.is_order_due(order), lots)
        self._same(f"row {row.offset} exit", (name, event.reason.value, True, abs(event.fill.lots)), said)
        if order.expires_at is not None and order.expires_at <= row.at:
            self._complain(f"row {row.offset} fills {order}, whose time is over")

    def _check_exit_rests(self, number: int, ticker: str, made: SlowOrder) -> None:
        """Before another command: an exit's position is open, and it is not due, or the house cannot pay it."""
        if made.position not in self.slow.positions:
            self._complain(f"the exit {number} of {ticker} rests, and its position is gone: {made}")
            return
        may = self.slow.markets[ticker].decides(made.placed_at) and self.slow.is_order_due(made)
        if may and self.slow.can_be_paid(str(made.position), self.slow.exit_lots(made)):
            self._complain(f"the exit {number} of {ticker} is due and rests: {made}")
