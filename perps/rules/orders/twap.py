"""TWAP orders: a size that is taken in slices, one an interval, so that it does not move the price at once.

The first slice opens a position at once, the later ones increase it. A slice is an open at the present quote, paid from
what the order has reserved. One that is refused is skipped, and what it would have taken goes to those behind it.
"""

from typing import Final

from msgspec.structs import replace

from perps.commands import OrderKind, PlaceTwap, signed
from perps.events import (
    OrderCancelled,
    OrderPlaced,
    OrderReplaced,
    PositionIncreased,
    PositionOpened,
    Transfer,
    TransferKind,
)
from perps.market.order import EXPIRED, Order
from perps.market.state import Market
from perps.market.twap import COMPLETED, Twap
from perps.money.accounts import orders_account, user_account
from perps.params import INTERVAL_MS_MAX, INTERVAL_MS_MIN, SLICES_MAX, SLICES_MIN, Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import reject
from perps.rules.opening import open_at
from perps.rules.orders.resting import cancelled, open_of, reserved
from perps.rules.orders.terms import too_many, unfit
from perps.rules.rule import CommandRule, EventRule, Given
from perps.twap_commands import twap_reserve
from perps.units import Micros, div_floor

PER_USER_MAX: Final = 10
"""TWAP orders of one user in one market: their slices cost the market a trade each, whoever is connected."""

PER_MARKET_MAX: Final = 1_000

PER_SWEEP_MAX: Final = 256
"""Slices that follow one command; the others come with the next one."""

SLICES_RULE: Final = f"slices is {SLICES_MIN} to {SLICES_MAX}"
INTERVAL_RULE: Final = f"intervalMs is {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX}"
EXPIRY_RULE: Final = "expiresAt is later than the last slice, (slices - 1) times intervalMs from now; or leave it out"


def decide_twap(market: Market, command: PlaceTwap, given: Given) -> tuple[OrderPlaced] | Rejected:
    """Let a TWAP begin, with the money of all its slices. The sweep behind it makes the first one."""
    twap = Twap(command.slices, command.interval, command.size, next_at=given.at)
    order = Order(
        number=market.next_order,
        user=command.user,
        kind=OrderKind.TWAP,
        side=command.side,
        size=command.size,
        leverage=command.leverage,
        price=market.quote,
        reserve=twap_reserve(command.size, command.leverage, market.params.taker_fee, command.slices),
        taker_fee=market.params.taker_fee,
        placed_at=given.at,
        expires_at=command.expires_at,
        acceptable_price=command.acceptable_price,
        acceptable_price_pico=command.acceptable_price_pico,
        referrer=given.referrer,
        twap=twap,
    )
    refused = _unfit_slices(command, given) or unfit(market, order, given) or _too_small(market, order, twap)
    refused = refused or too_many(market, command.user) or _too_many_twaps(market, command.user)
    if refused:
        return refused
    if order.reserve > given.held:
        return reject(RejectCode.INSUFFICIENT_FUNDS, required_micros=order.reserve, available_micros=given.held)
    return (OrderPlaced(order, reserved(market, order.user, order.reserve)),)


def is_slice_due(market: Market, given: Given) -> bool:
    """Whether the present price decides a slice: its time has come, and, if it must, the price came after that."""
    due = market.orders.next_slice_at
    if due is None or due > given.at:
        return False
    return not market.params.executes_later or due < market.decided_before


def next_slice(
    market: Market, given: Given, made: list[int]
) -> PositionOpened | PositionIncreased | OrderReplaced | OrderCancelled | None:
    """What the slice that is due first leads to: a trade, or what is left of its order. None: no slice is due.

    After it the next slice of the same order is due later, so no order has two in one sweep. ``made``: how many this
    sweep has had.
    """
    if not is_slice_due(market, given) or market.mode is not Mode.ENABLED or made[0] >= PER_SWEEP_MAX:
        return None
    made[0] += 1
    return decide_slice(market, market.orders.first_slice(), given)


def decide_slice(
    market: Market, order: Order, given: Given
) -> PositionOpened | PositionIncreased | OrderReplaced | OrderCancelled:
    """Take what is left / slices left, rounded down to a micro, at the present quote; the last one takes all of it.

    Paid from the reserve; the fee is the lower one of placement and now. The event has the order as it is afterwards,
    without the money that went. With the last slice the order ends, and what is left of the reserve goes back.
    """
    twap = order.twap
    if twap is None:
        raise TypeError(f"order {order.number} of {market.ticker} has no slices")
    if order.is_over(given.at):
        return cancelled(market, order, EXPIRED)
    outcome = _open(market, order, given, Micros(div_floor(order.size, twap.slices - twap.done)))
    if isinstance(outcome, Rejected):
        after = replace(order, twap=twap.passed_over(given.at, outcome.code))
        is_last = after.twap is not None and after.twap.is_over
        return cancelled(market, after, COMPLETED) if is_last else OrderReplaced(after, ())
    account, fill = orders_account(market.ticker), outcome.fill
    transfers = [replace(transfer, source=account) for transfer in outcome.transfers]
    rest = Micros(order.reserve - sum(transfer.amount for transfer in transfers))
    turned = twap.made(given.at, abs(fill.lots), abs(fill.cost))
    if turned.is_over and rest:
        transfers.append(Transfer(account, user_account(order.user), rest, TransferKind.ORDER_RETURN))
    after = replace(
        order,
        size=Micros(order.size - abs(fill.cost)),
        reserve=rest,
        position=outcome.position.number,
        twap=turned,
    )
    return replace(outcome, transfers=tuple(transfers), order=after)


def decide_at_once(market: Market, order: Order, given: Given) -> PositionOpened | Rejected:
    """What all slices of a TWAP that has not begun would come to now, if nothing else happened meanwhile.

    As the price of a skew does not depend on the way there, that is one fill of the whole, but for roundings.
    """
    outcome = _open(market, order, given, order.size)
    if isinstance(outcome, PositionIncreased):
        raise TypeError(f"order {order.number} of {market.ticker} has begun")
    return outcome


def _open(market: Market, order: Order, given: Given, size: Micros) -> PositionOpened | PositionIncreased | Rejected:
    """Take ``size`` for a TWAP: a position, or more of the one that it has."""
    asked = open_of(market, replace(order, size=size))
    paying = replace(given, held=order.reserve, referrer=order.referrer)
    return open_at(market, asked, paying, min(order.taker_fee, market.params.taker_fee))


def _unfit_slices(command: PlaceTwap, given: Given) -> Rejected | None:
    if not SLICES_MIN <= command.slices <= SLICES_MAX:
        return reject(RejectCode.VALIDATION_ERROR, rule=SLICES_RULE, slices=command.slices)
    if not INTERVAL_MS_MIN <= command.interval <= INTERVAL_MS_MAX:
        return reject(RejectCode.VALIDATION_ERROR, rule=INTERVAL_RULE, interval_ms=command.interval)
    last_at = given.at + (command.slices - 1) * command.interval
    if command.expires_at is not None and command.expires_at <= last_at:
        times = {"expires_at_ms": command.expires_at, "last_slice_at_ms": last_at, "now_ms": given.at}
        return reject(RejectCode.VALIDATION_ERROR, rule=EXPIRY_RULE, **times)
    return None


def _too_small(market: Market, order: Order, twap: Twap) -> Rejected | None:
    """Refuse slices below the smallest order, or below one lot at the present quote: what would fit instead."""
    least = max(market.params.min_order_size, abs(market.cost(signed(order.side, 1))))
    if div_floor(order.size, twap.slices) >= least:
        return None
    return reject(
        RejectCode.POSITION_SIZE_TOO_SMALL,
        slice_size_micros=div_floor(order.size, twap.slices),
        smallest_slice_micros=least,
        smallest_size_micros=least * twap.slices,
        most_slices=div_floor(order.size, least),
    )


def _too_many_twaps(market: Market, user: str) -> Rejected | None:
    own = sum(order.twap is not None for order in market.orders.of(user))
    if own >= PER_USER_MAX:
        return reject(RejectCode.TOO_MANY_OPEN_ORDERS, open_twaps=own, maximum=PER_USER_MAX)
    all_of_them = len(market.orders.twaps)
    if all_of_them >= PER_MARKET_MAX:
        return reject(RejectCode.TOO_MANY_OPEN_ORDERS, open_twaps_of_the_market=all_of_them, maximum=PER_MARKET_MAX)
    return None


COMMANDS = (CommandRule(PlaceTwap, decide_twap),)
EVENTS: tuple[EventRule, ...] = ()
