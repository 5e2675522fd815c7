"""A trade of a user's net position: it closes the other side, oldest first, then opens or adds with what is left.

All of it is one row: several events, each as a close or an open alone would have made it at that point. It is refused
as a whole if any part is. What the closes bring pays for the margin of the open behind them, too: both are durable, or
neither is.
"""

from copy import copy
from typing import Final, NamedTuple

from msgspec.structs import replace

from perps.commands import OpenPosition, Side, TradeNet
from perps.events import PositionIncreased, PositionOpened, PositionReduced
from perps.market.position import Position, position_id
from perps.market.state import Market
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import TERMS_RULE, beyond_limit, fill_of, first_of, reject, shut
from perps.rules.closing import close_lots
from perps.rules.opening import open_at
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import Lots, Micros

NET_CLOSES_MAX: Final = 100
"""Positions that one trade closes."""

WAITS: Final = (
    "a market that executes at the next price nets nothing: close your position, then open; "
    "both wait for the same price and are done at it in that order"
)

NetEvents = tuple[PositionReduced | PositionOpened | PositionIncreased, ...]


def decide_trade(market: Market, command: TradeNet, given: Given) -> NetEvents | Rejected:
    """Close, oldest first, what the user has on the other side; open, or add to the oldest, with what is left.

    The bound of the price holds for the average of the whole trade.
    """
    if market.params.executes_later:
        return reject(RejectCode.VALIDATION_ERROR, rule=WAITS)
    if command.leverage < 1 or command.size < 1:
        return reject(RejectCode.VALIDATION_ERROR, rule=TERMS_RULE)
    sign, others = (1, Side.SHORT) if command.side is Side.LONG else (-1, Side.LONG)
    opposite = _own(market, command.user, others)
    if command.reduce_only and not opposite:
        rule = f"reduceOnly needs a position to reduce, and you have no {others} position here"
        return reject(RejectCode.POSITION_NOT_FOUND, rule=rule)
    count = market.most_lots(command.size, sign)
    held = sum(abs(position.lots) for position in opposite)
    rest = 0 if command.reduce_only else max(count - held, 0)
    closed_doors = shut(market, given, opening=rest > 0 or not opposite)
    if closed_doors:
        return closed_doors
    if not count:
        smallest = abs(market.cost(sign))
        return reject(RejectCode.POSITION_SIZE_TOO_SMALL, size_micros=command.size, one_lot_micros=smallest)
    closed = _close(market, opposite, min(count, held))
    if isinstance(closed, Rejected):
        return closed
    opened = _open(closed, command, given, rest) if rest else ()
    lots, cost = sign * rest, closed.behind.cost(sign * rest)
    for event in closed.events:
        lots, cost = lots + event.fill.lots, Micros(cost + event.fill.cost)
    fill = replace(fill_of(market, Lots(lots)), cost=cost)
    beyond = beyond_limit(market, fill, command)
    if isinstance(opened, Rejected):
        return first_of(opened, beyond) or opened
    return beyond or (*closed.events, *opened)


COMMANDS = (CommandRule(TradeNet, decide_trade),)
EVENTS: tuple[EventRule, ...] = ()
"""What a trade does is told by the events of closes and opens."""


class _Closed(NamedTuple):
    """Closes of one row, and what they lead to."""

    events: tuple[PositionReduced, ...]
    behind: Market
    """The market as it is behind them: its sums alone. It must not be changed."""
    brought: Micros
    """What they pay into the wallet, less their fees."""


def _own(market: Market, user: str, side: Side) -> list[Position]:
    """A user's positions on a side, oldest first."""
    own = [market.positions[number] for number in sorted(market.own.get(user, ()))]
    return [position for position in own if (position.lots > 0) is (side is Side.LONG)]


def _close(market: Market, positions: list[Position], count: int) -> _Closed | Rejected:
    """Close ``count`` lots of these positions, one after the other."""
    events: list[PositionReduced] = []
    brought = 0
    for position in positions[:NET_CLOSES_MAX]:
        size = min(count, abs(position.lots))
        if not size:
            break
        event = close_lots(market, position, size)
        if isinstance(event, Rejected):
            return event
        events.append(event)
        count, brought = count - size, brought + event.settlement - event.fee
        market = _behind(market, event)
    if count:
        rule = f"a trade closes at most {NET_CLOSES_MAX} positions: trade less at a time, or close some by themselves"
        room = sum(abs(position.lots) for position in positions[:NET_CLOSES_MAX])
        return reject(RejectCode.USER_LIMIT_EXCEEDED, rule=rule, largest_quantity_lots=room)
    return _Closed(tuple(events), market, Micros(brought))


def _behind(market: Market, event: PositionReduced) -> Market:
    """The market behind a reduction, as far as a decision about the same user looks at it."""
    behind, user, lots = copy(market), event.subject, event.fill.lots
    if lots > 0:
        behind.short_lots = Lots(market.short_lots - lots)
    else:
        behind.long_lots = Lots(market.long_lots + lots)
    positions, held = market.held[user]
    behind.held = {user: (positions - (not event.position.lots), held - abs(lots))}
    behind.take_money(event.transfers)
    return behind


def _open(
    closed: _Closed, command: TradeNet, given: Given, count: int
) -> tuple[PositionOpened | PositionIncreased] | Rejected:
    """Open ``count`` lots, or add them to the oldest position on their side, paid from what the closes brought, too."""
    market = closed.behind
    grown = _own(market, command.user, command.side)
    asked = OpenPosition(
        ticker=command.ticker,
        user=command.user,
        side=command.side,
        size=command.size,
        leverage=command.leverage,
        position=position_id(market.ticker, grown[0].number) if grown else None,
    )
    given = replace(given, held=Micros(given.held + closed.brought))
    opened = open_at(market, asked, given, market.params.taker_fee, count)
    return opened if isinstance(opened, Rejected) else (opened,)
