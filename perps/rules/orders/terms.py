"""What an order may ask for: what can be refused before its price comes. The same when it is placed and replaced."""

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from perps.command_facts import OrderKind, most_to_pay
from perps.commands import ReplaceOrder, signed
from perps.market.order import Order
from perps.market.position import Position
from perps.market.state import Market
from perps.market.trailing import TRAILING_PER_MARKET_MAX, largest_callback, trailed
from perps.market.triggers import valid_exits
from perps.params import MarketParams
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import TERMS_RULE, leverage_too_high, reject, shut
from perps.rules.rule import Given
from perps.rules.triggers import EXITS_RULE
from perps.units import INTEGER_MAX, PPB, Micros, Ppb, div_floor

ORDERS_PER_USER_MAX: Final = 100
"""Resting orders of one user in one market."""

ORDERS_PER_MARKET_MAX: Final = 100_000

EXITS_PER_POSITION_MAX: Final = 10
"""Exit orders of one position."""

LIMIT_RULE: Final = "acceptablePrice is for stops: the price of a limit is its bound"
ENTRY_RULE: Final = "percentage is for an exit: an order that begins a position has a size"
EXIT_RULE: Final = (
    "an exit has percentage, price or callback, acceptablePrice and expiresAt: no size, leverage or exits of its own"
)
PROFIT_RULE: Final = "a take_profit or a trailing_stop leaves a position: it begins none"
PENDING_RULE: Final = "a placed order is a limit, a stop, a take_profit or a trailing_stop"
PRICE_RULE: Final = "price is at least one tick, and below 2^63 ticks"
TWAP_RULE: Final = "a twap keeps its terms: cancel it, and place another one for what is left"
SHARE_RULE: Final = "0 < percentage ≤ 1"
CALLBACK_RULE: Final = "callback is for a trailing_stop: any other order has a price"
TRAILING_RULE: Final = "a trailing_stop has a callback and no price of its own: it follows the mark"
CALLBACK_RANGE_RULE: Final = "0 < callback < 1, and the stop lies at one tick or above"

_BOTH: Final = ("price", "expires_at", "acceptable_price", "acceptable_price_pico")
_OF_ENTRIES: Final = ("size", "leverage", "take_profit", "stop_loss")
_OF_EXITS: Final = ("share", "callback")
"""The terms that a replacement can set."""


def merged(found: Order, command: ReplaceOrder, params: MarketParams, given: Given) -> Order | Rejected:
    """The order with the terms that a command sets, placed anew. Refused: terms that such an order does not have."""
    if found.twap is not None:
        return reject(RejectCode.VALIDATION_ERROR, rule=TWAP_RULE)
    fits, foreign = (_OF_EXITS, _OF_ENTRIES) if found.is_exit else (_OF_ENTRIES, _OF_EXITS)
    if any(getattr(command, name) is not UNSET for name in foreign):
        is_callback = not found.is_exit and command.share is UNSET
        rule = EXIT_RULE if found.is_exit else CALLBACK_RULE if is_callback else ENTRY_RULE
        return reject(RejectCode.VALIDATION_ERROR, rule=rule)
    if found.trails and command.price is not UNSET:
        return reject(RejectCode.VALIDATION_ERROR, rule=TRAILING_RULE)
    terms = {name: value for name in (*_BOTH, *fits) if (value := getattr(command, name)) is not UNSET}
    order = replace(found, **terms, taker_fee=params.taker_fee, placed_at=given.at)
    if order.is_exit:
        return trailed(order, order.extreme) if order.trails else order
    return replace(order, reserve=reserve(order.size, order.leverage, params.taker_fee))


def reserve(size: Micros, leverage: int, taker_fee: Ppb) -> Micros:
    """What an entry keeps: the most that its fill can take, and at least a micro."""
    return Micros(max(most_to_pay(size, leverage, taker_fee), 1))


def unfit(market: Market, order: Order, given: Given) -> Rejected | None:
    """What of an order can be refused before its price comes."""
    params = market.params
    if not order.is_exit and (order.leverage < 1 or order.size < 1):
        return reject(RejectCode.VALIDATION_ERROR, rule=TERMS_RULE)
    if order.is_pending:
        return reject(RejectCode.VALIDATION_ERROR, rule=PENDING_RULE)
    if not order.is_exit and order.kind in (OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP):
        return reject(RejectCode.VALIDATION_ERROR, rule=PROFIT_RULE)
    if order.is_exit and not 0 < order.share <= PPB:
        return reject(RejectCode.VALIDATION_ERROR, rule=SHARE_RULE, percentage_ppb=order.share)
    misfit = _callback_misfit(order)
    if misfit:
        return misfit
    if not 1 <= order.price <= INTEGER_MAX:
        return reject(RejectCode.VALIDATION_ERROR, rule=PRICE_RULE)
    if not valid_exits(order.take_profit, order.stop_loss):
        return reject(RejectCode.VALIDATION_ERROR, rule=EXITS_RULE)
    if order.kind is OrderKind.LIMIT and order.acceptable_price is not None:
        return reject(RejectCode.VALIDATION_ERROR, rule=LIMIT_RULE)
    if order.expires_at is not None and order.expires_at <= given.at:
        rule = "expiresAt is in the future"
        return reject(RejectCode.VALIDATION_ERROR, rule=rule, expires_at_ms=order.expires_at, now_ms=given.at)
    closed_doors = shut(market, given, opening=not order.is_exit)
    if closed_doors or order.is_exit:
        return closed_doors
    if order.size < params.min_order_size:
        sizes = {"size_micros": order.size, "min_order_size_micros": params.min_order_size}
        return reject(RejectCode.POSITION_SIZE_TOO_SMALL, **sizes)
    worth = order.price * params.unit
    if order.size < worth:
        return reject(RejectCode.POSITION_SIZE_TOO_SMALL, size_micros=order.size, one_lot_micros=worth)
    lots = div_floor(order.size, worth)
    if lots > params.max_open_interest:
        caps = {"quantity_lots": lots, "max_open_interest_lots": params.max_open_interest}
        return reject(RejectCode.POSITION_SIZE_TOO_LARGE, **caps)
    if order.leverage > params.leverage_of(lots):
        return leverage_too_high(market, order.leverage, signed(order.side, lots), worth=worth)
    return None


def _callback_misfit(order: Order) -> Rejected | None:
    """Refuse a callback of what does not trail, and one that lets a stop lie nowhere."""
    if not order.trails:
        return reject(RejectCode.VALIDATION_ERROR, rule=CALLBACK_RULE) if order.callback else None
    if not order.extreme:
        return reject(RejectCode.VALIDATION_ERROR, rule=TRAILING_RULE)
    largest = largest_callback(order.side, order.extreme)
    if 0 < order.callback <= largest:
        return None
    facts = {"callback_ppb": order.callback, "largest_callback_ppb": largest}
    return reject(RejectCode.VALIDATION_ERROR, rule=CALLBACK_RANGE_RULE, **facts)


def too_many(market: Market, user: str) -> Rejected | None:
    """Refuse one order more than a user, or a market, may have."""
    own, orders = len(market.orders.by_user.get(user, ())), len(market.orders)
    if own >= ORDERS_PER_USER_MAX:
        return reject(RejectCode.TOO_MANY_OPEN_ORDERS, open_orders=own, maximum=ORDERS_PER_USER_MAX)
    if orders >= ORDERS_PER_MARKET_MAX:
        return reject(RejectCode.TOO_MANY_OPEN_ORDERS, open_orders_of_the_market=orders, maximum=ORDERS_PER_MARKET_MAX)
    return None


def too_many_exits(market: Market, position: Position) -> Rejected | None:
    """Refuse one exit order more than a position may have. What is pending about it does not count."""
    exits = len(market.orders.exits_of(position.number))
    if exits < EXITS_PER_POSITION_MAX:
        return None
    return reject(RejectCode.TOO_MANY_OPEN_ORDERS, exits_of_the_position=exits, maximum=EXITS_PER_POSITION_MAX)


def too_many_trailing(market: Market, order: Order) -> Rejected | None:
    """Refuse one trailing stop more than a market may have."""
    trailing = len(market.orders.trailing)
    if not order.trails or trailing < TRAILING_PER_MARKET_MAX:
        return None
    facts = {"trailing_stops_of_the_market": trailing, "maximum": TRAILING_PER_MARKET_MAX}
    return reject(RejectCode.TOO_MANY_OPEN_ORDERS, **facts)


def due_already(market: Market, order: Order) -> Rejected | None:
    """Refuse what the mark has reached: nobody trades at a price that they have seen and call a trigger."""
    mark = market.mark
    if order.kind is OrderKind.LIMIT or not order.is_reached(mark):
        return None
    return reject(RejectCode.ORDER_WOULD_TRIGGER, price_ticks=order.price, mark_price_ticks=mark)
