"""Resting orders: placing entries, replacing and cancelling any, and their end: a fill, a refusal or their time.

Their money lies in the market's own account from the moment they are placed. So a fill is decided in the market alone,
and asks nobody. Exit orders are placed and filled in ``perps/rules/orders/exits.py``.
"""

from itertools import islice
from typing import Final

from msgspec.structs import replace

from perps.commands import CancelOrder, CancelOrders, OpenPosition, OrderKind, PlaceOrder, ReplaceOrder
from perps.effects import Effects, Ordered, OrderStatus
from perps.events import (
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    PositionIncreased,
    PositionOpened,
    Transfer,
    TransferKind,
)
from perps.market.order import EXPIRED, Order, order_id, split_order_id
from perps.market.orders import quote_key
from perps.market.position import position_id
from perps.market.reach import too_large
from perps.market.state import Market
from perps.money.accounts import orders_account, user_account
from perps.params import Mode
from perps.refusals import InvariantViolated, RejectCode, Rejected
from perps.rules.checks import reject, shut
from perps.rules.opening import open_at
from perps.rules.orders.terms import due_already, merged, reserve, too_many, unfit
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import Micros, Nano, Pico, Ticks, div_floor

TRIES_MAX: Final = 64
"""Limits of a side that a sweep tries without a fill; the others come with the next command."""

BY_OWNER: Final = "owner"
"""Why an order ended: its owner, or an administrator, took it back."""

_NO_ROOM: Final = (RejectCode.MAX_SKEW_EXCEEDED, RejectCode.OPEN_INTEREST_EXCEEDED)
_RESTS_ON: Final = (RejectCode.PRICE_BEYOND_LIMIT, *_NO_ROOM)
"""What keeps a limit waiting. Whatever else keeps an order from its fill ends it."""


def decide_place(market: Market, command: PlaceOrder, given: Given) -> tuple[OrderPlaced] | Rejected:
    """Let an order rest, with what its fill can take. One that can fill does so in the same row: the sweep sees it."""
    order = Order(
        number=market.next_order,
        user=command.user,
        kind=command.order,
        side=command.side,
        size=command.size,
        leverage=command.leverage,
        price=command.price,
        reserve=reserve(command.size, command.leverage, market.params.taker_fee),
        taker_fee=market.params.taker_fee,
        placed_at=given.at,
        expires_at=command.expires_at,
        acceptable_price=command.acceptable_price,
        acceptable_price_pico=command.acceptable_price_pico,
        take_profit=command.take_profit,
        stop_loss=command.stop_loss,
        referrer=given.referrer,
    )
    refused = unfit(market, order, given) or too_many(market, command.user) or due_already(market, order)
    if refused:
        return refused
    if order.reserve > given.held:
        return reject(RejectCode.INSUFFICIENT_FUNDS, required_micros=order.reserve, available_micros=given.held)
    return (OrderPlaced(order, reserved(market, order.user, order.reserve)),)


def decide_replace(market: Market, command: ReplaceOrder, given: Given) -> tuple[OrderReplaced] | Rejected:
    """Give a resting order other terms. It keeps its number, and is placed anew: its triggers must not be due.

    What the command does not set is as the order has it now, whatever its sender saw. Only the difference of the
    reserves moves; ``order_changed``: the ledger looked at another size or leverage, so it may have held too little.
    """
    found = found_order(market, command)
    if isinstance(found, Rejected) and found.code is not RejectCode.ORDER_CLOSED:
        return found
    if isinstance(found, Rejected):
        return shut(market, given, opening=True) or found
    waiting = pending(market, found, given)
    if waiting:
        return waiting
    order = merged(found, command, market.params, given)
    if isinstance(order, Rejected):
        return order
    refused = unfit(market, order, given) or due_already(market, order)
    if refused:
        return refused
    if not order.is_exit and (order.size, order.leverage) != command.sized:
        known = command.sized
        return reject(RejectCode.ORDER_CHANGED, size_micros=order.size, known_size_micros=known[0])
    more = Micros(order.reserve - found.reserve)
    if more > given.held:
        return reject(RejectCode.INSUFFICIENT_FUNDS, required_micros=more, available_micros=given.held)
    return (OrderReplaced(order, reserved(market, order.user, more)),)


def decide_cancel(market: Market, command: CancelOrder, given: Given) -> tuple[OrderCancelled] | Rejected:
    """End a resting order: in every mode, and at every price."""
    found = found_order(market, command)
    if isinstance(found, Rejected):
        return found
    return pending(market, found, given) or (cancelled(market, found, BY_OWNER),)


def decide_cancel_all(market: Market, command: CancelOrders, given: Given) -> tuple[OrderCancelled, ...]:
    """End all resting orders of a user but those that are pending; no event when there are none."""
    resting = market.orders.of(command.user)
    return tuple(cancelled(market, order, BY_OWNER) for order in resting if not pending(market, order, given))


def found_order(market: Market, command: CancelOrder | ReplaceOrder) -> Order | Rejected:
    """The resting order that a command names, if its sender may touch it."""
    parts = split_order_id(command.order_id)
    number = parts[1] if parts and command.order_id == order_id(market.ticker, parts[1]) else 0
    order = market.orders.by_number.get(number)
    if order is not None:
        order = market.orders.present(order)
        if order.user != command.user and not (isinstance(command, CancelOrder) and command.any_owner):
            return reject(RejectCode.FORBIDDEN, order=command.order_id)
        return order
    if 0 < number < market.next_order:
        return reject(RejectCode.ORDER_CLOSED, order=command.order_id)
    return reject(RejectCode.ORDER_NOT_FOUND, order=command.order_id)


def pending(market: Market, order: Order, given: Given) -> Rejected | None:
    """Refuse to touch an order that waits for the next price: to take it back then would be a look ahead for free.

    A limit or a stop waits for one, too, where the market executes at it, and no longer than a market order does. So
    does the slice of a TWAP whose time has come, until its turn: that may come some sweeps behind its price.
    """
    if not order.is_pending:
        since = order.due_from
        is_undecided = order.twap is not None or market.decided_before <= since
        waits = market.params.executes_later and is_undecided and since <= given.at
        if not waits or given.at >= since + market.params.pending_limit:
            return None
    return reject(RejectCode.ORDER_PENDING, order=order_id(market.ticker, order.number))


def cancelled(market: Market, order: Order, reason: str) -> OrderCancelled:
    """The end of an order that was not filled: its reserve goes back."""
    order = market.orders.present(order)
    return OrderCancelled(order, reason, reserved(market, order.user, Micros(-order.reserve)))


def expired(market: Market, given: Given, count_max: int) -> tuple[OrderCancelled, ...]:
    """The end of orders whose time is over, at most ``count_max``: the others come with the next observation."""
    over = islice(market.orders.expired(given.at), count_max)
    return tuple(cancelled(market, order, EXPIRED) for order in over)


def is_an_entry_due(market: Market, mark: Ticks) -> bool:
    """Whether the mark has reached a stop, or the quote the level of a limit; or a limit finds room that it lacked."""
    orders = market.orders
    key = quote_key(market.index_price, market.skew, market.params.skew_scale)
    if orders.stops.reached(mark) or orders.limits.reached(key):
        return True
    return any(_is_there_room(market, falls=falls) for falls in (True, False))


def next_entry(
    market: Market, given: Given, tries: list[int]
) -> PositionOpened | PositionIncreased | OrderCancelled | None:
    """What the order that is due first leads to: its fill or its end; None when none is due.

    Stops before limits, and of each first what waits for a fall: the highest first, then what waits for a rise, the
    lowest first. A limit that cannot fill yet waits for a better quote, or for room. ``tries``: how many of them a
    sweep has found, those that wait for a rise and those that wait for a fall.
    """
    orders = market.orders
    if market.mode is not Mode.ENABLED or not orders.by_number:
        return None
    mark = market.mark
    for falls in (True, False):
        number = orders.stops.first(mark, falls=falls)
        outcome = None if number is None else decide_fill(market, orders.by_number[number], given)
        if outcome is not None and not isinstance(outcome, Rejected):
            return outcome
    key = quote_key(market.index_price, market.skew, market.params.skew_scale)
    for falls in (True, False):
        if _is_there_room(market, falls=falls):
            orders.take_back(too_large(market, 1 if falls else -1), market.params, falls=falls)
        while tries[falls] < TRIES_MAX:
            number = orders.limits.first(key, falls=falls)
            if number is None:
                break
            outcome = decide_fill(market, orders.by_number[number], given)
            if not isinstance(outcome, Rejected):
                return outcome
            tries[falls] += 1
            orders.defer(orders.by_number[number], key, lacks_room=outcome.code in _NO_ROOM)
    return None


def decide_fill(
    market: Market, order: Order, given: Given
) -> PositionOpened | PositionIncreased | OrderCancelled | Rejected:
    """Fill an order that is due: whole, as an open at the present quote, paid from its reserve. Rejected: it rests on.

    The rest of the reserve goes back. An order whose time is over ends instead; so does one that is refused, but for
    a limit that only waits for its price or for room.
    """
    if order.is_over(given.at):
        return cancelled(market, order, EXPIRED)
    paying = replace(given, held=order.reserve, referrer=order.referrer)
    asked, fee = open_of(market, order), min(order.taker_fee, market.params.taker_fee)
    outcome = open_at(market, asked, paying, fee)
    if isinstance(outcome, Rejected) and outcome.code is RejectCode.LEVERAGE_TOO_HIGH:
        # a better price gives more lots than at placement: as many as its leverage may have
        fits = Micros(int(outcome.facts.get("largest_size_micros", 0)))
        outcome = open_at(market, replace(asked, size=fits), paying, fee) if fits else outcome
    if isinstance(outcome, Rejected):
        is_patient = order.kind is OrderKind.LIMIT and outcome.code in _RESTS_ON
        return outcome if is_patient else cancelled(market, order, outcome.code)
    if isinstance(outcome, PositionIncreased) and order.position is None:
        raise InvariantViolated(f"order {order.number} of {market.ticker} begins no position")
    account = orders_account(market.ticker)
    transfers = [replace(transfer, source=account) for transfer in outcome.transfers]
    rest = Micros(order.reserve - sum(transfer.amount for transfer in transfers))
    if rest:
        transfers.append(Transfer(account, user_account(order.user), rest, TransferKind.ORDER_RETURN))
    return replace(outcome, transfers=tuple(transfers), order=order)


def apply_placed(market: Market, event: OrderPlaced) -> None:
    """The order rests."""
    market.orders.add(event.order, market.params)
    market.next_order = event.order.number + 1


def apply_replaced(market: Market, event: OrderReplaced) -> None:
    """The order rests with other terms."""
    market.orders.remove(event.order.number)
    market.orders.add(event.order, market.params)


def apply_cancelled(market: Market, event: OrderCancelled) -> None:
    """The order rests no more."""
    market.orders.remove(event.order.number)


def project_resting(event: OrderPlaced | OrderReplaced) -> Effects:
    """An order that rests."""
    return (Ordered(event.order, OrderStatus.OPEN, is_new=isinstance(event, OrderPlaced)),)


def project_cancelled(event: OrderCancelled) -> Effects:
    """An order that ended without a fill."""
    status = OrderStatus.EXPIRED if event.reason == EXPIRED else OrderStatus.CANCELLED
    return (Ordered(event.order, status, reason=event.reason),)


COMMANDS = (
    CommandRule(PlaceOrder, decide_place),
    CommandRule(ReplaceOrder, decide_replace),
    CommandRule(CancelOrder, decide_cancel),
    CommandRule(CancelOrders, decide_cancel_all),
)
EVENTS = (
    EventRule(OrderPlaced, apply_placed, project_resting),
    EventRule(OrderReplaced, apply_replaced, project_resting),
    EventRule(OrderCancelled, apply_cancelled, project_cancelled),
)


def _is_there_room(market: Market, *, falls: bool) -> bool:
    """Whether a limit that lacked room finds it now: a long, which waits for a fall, or a short."""
    orders = market.orders
    return orders.is_crowded(falls=falls) and orders.fits(too_large(market, 1 if falls else -1), falls=falls)


def open_of(market: Market, order: Order) -> OpenPosition:
    """The open that a fill is."""
    nano, rest = order.acceptable_price, order.acceptable_price_pico
    if order.kind is OrderKind.LIMIT:
        limit = Pico(order.price * market.params.tick_size)
        nano, rest = Nano(div_floor(limit, 1000)), limit % 1000
    return OpenPosition(
        ticker=market.ticker,
        user=order.user,
        side=order.side,
        size=order.size,
        leverage=order.leverage,
        acceptable_price=nano,
        acceptable_price_pico=rest,
        take_profit=order.take_profit,
        stop_loss=order.stop_loss,
        position=None if order.position is None else position_id(market.ticker, order.position),
    )


def reserved(market: Market, user: str, amount: Micros) -> tuple[Transfer, ...]:
    """The transfer that adds to a reserve, or (< 0) gives back."""
    wallet, account = user_account(user), orders_account(market.ticker)
    if amount > 0:
        return (Transfer(wallet, account, amount, TransferKind.ORDER_RESERVE),)
    if amount < 0:
        return (Transfer(account, wallet, Micros(-amount), TransferKind.ORDER_RETURN),)
    return ()
