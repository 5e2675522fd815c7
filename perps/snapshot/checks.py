"""What an image must be to have been taken of a venue: checked before anything is built on it.

The bytes of a snapshot can be whole and still not be a state: written by a program with a bug, or by hand. What an
image says of itself is checked here, in one pass; what ledger and markets say of each other, in
``perps/snapshot/verification.py``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from perps.command_facts import OrderKind, Side
from perps.market.funding import CARRY, INDEX_MAX
from perps.market.liquidation_order import NUMBER_MAX
from perps.market.order import Order
from perps.market.orders import ORDER_NUMBER_MAX
from perps.market.trailing import trailing_price
from perps.market.triggers import valid_exits
from perps.params import Mode
from perps.snapshot.images import LedgerImage, MarketHead, MarketImage
from perps.units import BALANCE_MAX, INTEGER_MAX, PPB

TIMES: Final = range(-62_135_596_800_000, 253_402_300_800_000)
"""Milliseconds that have a date: the years 1 to 9999."""


def ledger_flaw(image: LedgerImage, offset: int) -> str | None:
    """Why a ledger's image cannot be that of a venue after row ``offset``; None when it can."""
    if image.offset != offset:
        return f"its ledger stands at row {image.offset}, the rest at row {offset}"
    if not 0 <= image.seq <= offset:
        return f"its ledger has written {image.seq} of {offset} rows"
    for account, amount in image.balances.items():
        if not -BALANCE_MAX <= amount <= BALANCE_MAX:
            return f"{account} holds {amount}"
    return _referrers_flaw(image.referrers)


def market_flaw(ticker: str, image: MarketImage) -> str | None:
    """Why the image stored under a ticker cannot be that of its market; None when it can."""
    return _head_flaw(ticker, image.head) or _positions_flaw(ticker, image) or _orders_flaw(ticker, image)


def _referrers_flaw(referrers: Mapping[str, str | None]) -> str | None:
    for user, referrer in referrers.items():
        if referrer is not None and (referrer not in referrers or referrer == user):
            return f"{user} was referred by {referrer}, which cannot be"
    return None


def _head_flaw(ticker: str, head: MarketHead) -> str | None:
    """Only what arithmetic rests on: the listing rules of another version are no reason to refuse its markets."""
    params = head.params
    if params.ticker != ticker:
        return f"what it has as {ticker} is {params.ticker}"
    if params.tick_size < 1 or params.lot_size < 1 or params.unit < 1 or params.skew_scale < 1:
        return f"{ticker} has units that are none"
    if params.max_skew < 1 or params.max_open_interest < 1:
        return f"{ticker} has caps that let nothing through"
    if head.index_price < 1 or head.seq < 1 or not 1 <= head.next_number <= NUMBER_MAX:
        return f"{ticker} has the price {head.index_price}, {head.seq} rows and the next number {head.next_number}"
    if head.at not in TIMES or head.price_at not in TIMES or head.price_at > head.at:
        return f"{ticker} stands at {head.at} with a price of {head.price_at}"
    flaw = _held_flaw(ticker, head) or _settling_flaw(ticker, head) or _deleveraging_flaw(ticker, head)
    return flaw or _funding_flaw(ticker, head)


def _settling_flaw(ticker: str, head: MarketHead) -> str | None:
    settling = head.settling
    if settling is None:
        return None
    if head.mode is not Mode.HALTED or settling.index_price < 1 or settling.skew_scale <= abs(settling.skew):
        return f"{ticker} cannot be settling as it says: {settling} in mode {head.mode}"
    return None


def _deleveraging_flaw(ticker: str, head: MarketHead) -> str | None:
    begun = head.deleveraging
    if begun is None:
        return None
    if begun.index_price < 1 or not 0 < abs(begun.skew) < head.params.skew_scale:
        return f"{ticker} cannot be deleveraging as it says: {begun}"
    return None


def _held_flaw(ticker: str, head: MarketHead) -> str | None:
    held = head.held_price
    if held is None:
        return None
    if held.price < 1 or held.count < 1 or held.at not in TIMES or held.at > head.at or held.until not in TIMES:
        return f"{ticker} holds a price that is none: {held}"
    return None if head.params.price_band is not None else f"{ticker} holds a price, and takes any"


def _funding_flaw(ticker: str, head: MarketHead) -> str | None:
    if max(abs(head.funding_index), abs(head.hour_index)) > INDEX_MAX or abs(head.funding_rate) > INTEGER_MAX:
        return f"{ticker} has the funding index {head.funding_index} and the rate {head.funding_rate}"
    if not 0 <= head.funding_carry < CARRY or head.funding_at > max(head.at, 0):
        return f"{ticker} has funding until {head.funding_at} and {head.funding_carry} over, and stands at {head.at}"
    return None


def _positions_flaw(ticker: str, image: MarketImage) -> str | None:
    last, until = 0, image.head.at
    for position in image.positions:
        if position.number <= last:
            return f"{ticker} has position {position.number} behind {last}"
        last = position.number
        if not position.lots or position.leverage < 1 or position.margin < 0 or position.entry_cost < 0:
            return f"position {ticker}-{last} is none: {position}"
        if not valid_exits(position.take_profit, position.stop_loss):
            return f"position {ticker}-{last} leaves at a price that is none: {position}"
        if not 0 <= position.opened_at <= until:
            return f"position {ticker}-{last} was opened at {position.opened_at}, its market stands at {until}"
    if last >= image.head.next_number:
        return f"{ticker} has position {last}, but the next one would be {image.head.next_number}"
    return None


def _orders_flaw(ticker: str, image: MarketImage) -> str | None:
    last, until = 0, image.head.at
    if not 1 <= image.head.next_order <= ORDER_NUMBER_MAX:
        return f"{ticker} has the next order {image.head.next_order}"
    for order in image.orders:
        if order.number <= last:
            return f"{ticker} has order {order.number} behind {last}"
        last = order.number
        is_sound = _takes_from_a_position(order, image) if order.reduces else _is_an_entry(order, image)
        is_sound = is_sound and _trails_as_it_says(order)
        if not is_sound or not 1 <= order.price <= INTEGER_MAX:
            return f"order {ticker}-o{last} is none: {order}"
        if not 0 <= order.placed_at <= until or (order.expires_at or until) not in TIMES:
            return f"order {ticker}-o{last} was placed at {order.placed_at}, its market stands at {until}"
    if any(at not in TIMES for at in image.head.cancel_timers.values()):
        return f"{ticker} has a cancel timer that is no time"
    if last >= image.head.next_order:
        return f"{ticker} has order {last}, but the next one would be {image.head.next_order}"
    return None


def _is_an_entry(order: Order, image: MarketImage) -> bool:
    if order.kind is OrderKind.TWAP and not _has_slices(order, image):
        return False
    has_exits = valid_exits(order.take_profit, order.stop_loss)
    return min(order.size, order.leverage, order.reserve) >= 1 and has_exits and order.kind in _ENTRIES


def _takes_from_a_position(order: Order, image: MarketImage) -> bool:
    """Whether it reserves nothing, and its position is its owner's and on its side; or gone: then it ends next."""
    if order.position is None or order.reserve or order.leverage < 1:
        return False
    if not (0 < order.share <= PPB and order.kind in _EXITS if order.is_exit else order.size >= 1):
        return False
    return _is_about(order, order.position, image)


def _has_slices(order: Order, image: MarketImage) -> bool:
    """Whether a TWAP has slices left, and its position is its owner's and on its side; or gone: then it ends next."""
    twap = order.twap
    if twap is None or not 0 <= twap.skipped <= twap.done < twap.slices or twap.interval < 1:
        return False
    if min(twap.lots, twap.cost) < 0 or order.size + twap.cost != twap.size or twap.next_at not in TIMES:
        return False
    return order.position is None or _is_about(order, order.position, image)


def _is_about(order: Order, number: int, image: MarketImage) -> bool:
    """Whether an order is about a position of its owner and its side, or about one that is gone."""
    place = bisect_left(image.positions, number, key=lambda position: position.number)
    stands = image.positions[place] if place < len(image.positions) else None
    if stands is None or stands.number != number:
        return number < image.head.next_number
    return stands.user == order.user and (stands.lots > 0) is (order.side is Side.LONG)


def _trails_as_it_says(order: Order) -> bool:
    if not order.trails:
        return not order.callback and not order.extreme
    if not (0 < order.callback < PPB and 1 <= order.extreme <= INTEGER_MAX):
        return False
    return order.price == trailing_price(order.side, order.extreme, order.callback)


_ENTRIES: Final = (OrderKind.LIMIT, OrderKind.STOP, OrderKind.MARKET, OrderKind.TWAP)
_EXITS: Final = (OrderKind.STOP, OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP)
