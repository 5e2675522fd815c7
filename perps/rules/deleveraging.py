"""Deleveraging: before a house owes more than it has, those who have gained most with the least at stake must leave.

Only a market with ``deleveraging`` does it, behind a price. H (``Market.can_pay``) is what the house can pay, R
(``Market.liability``) what all traders gain together if all leave now. From R ≥ 0.85·H on, positions with a gain on the
side of the skew are closed until R ≤ 0.77·H: the highest rank first, each whole, the last in part. They leave along
the curve, at the quote that a close would get, and pay no fee. At the mark they would be paid for a quote that they
have moved themselves.

It may take several rows. What they share is in the state (``Market.deleveraging``), so a crash between two of them
changes nothing: the sweep at the start goes on where it ended.
"""

import heapq
from collections.abc import Iterator
from typing import Final

from perps.effects import Effects
from perps.events import CloseReason, DeleveragingChanged, PositionReduced
from perps.market.deleveraging import Deleveraging
from perps.market.position import Position, equity, is_liquidatable, notional
from perps.market.state import Market
from perps.rules.checks import CLOSED
from perps.rules.closing import can_be_paid, gain, gain_of_part, leaves_it_endangered, reduce
from perps.rules.rule import CommandRule, EventRule
from perps.units import div_floor

BEGINS: Final = 85
ENDS: Final = 77
"""Of what the house can pay, per cent."""


def begins(market: Market) -> bool:
    """Whether somebody may have to leave at this new price: R ≥ 0.85·H, O(1)."""
    can_pay = market.can_pay
    return can_pay > 0 and market.liability * 100 >= can_pay * BEGINS


def is_near(market: Market) -> bool:
    """Whether R > 0.77·H in a market that deleverages: from 0.85·H on somebody must leave."""
    return market.params.deleveraging and _is_over(market)


def deleveraging(market: Market, *, at_new_price: bool) -> Iterator[DeleveragingChanged | PositionReduced]:
    """That it begins, who leaves, that it ends. The caller applies each event before it asks for the next.

    Nothing if nobody can leave. One that a crash has interrupted goes on by the ranks that it began with, or by those
    at a new price if one has come.
    """
    if market.mode in CLOSED:
        return
    under_way = market.deleveraging
    if under_way is None or at_new_price:
        begun = Deleveraging(market.index_price, market.skew, market.funding_index, market.liability, market.can_pay)
    else:
        begun = under_way
    for reduced in _leaving(market, begun):
        if market.deleveraging != begun:
            yield DeleveragingChanged(begun)
        yield reduced
    if market.deleveraging is not None:
        yield DeleveragingChanged(None)


def _leaving(market: Market, begun: Deleveraging) -> Iterator[PositionReduced]:
    """Who leaves next, until R is within bounds or nobody is left who can. Without a skew no side has to."""
    if not market.params.deleveraging or not begun.skew or not _is_over(market):
        return
    ranked = _ranked(market, begun)
    while ranked and _is_over(market):
        position = heapq.heappop(ranked).position
        whole = gain(market, position)
        if whole <= 0 or _is_due(market, position):
            continue
        reduced = _least(market, position, whole)
        if reduced is not None:
            yield reduced


class _Rank:
    """A position by pnl·notional/(margin·equity), by cross-multiplication. The highest is the least, so it is first in
    a heap; of equals the oldest.
    """

    __slots__ = ("over", "position", "under")

    def __init__(self, position: Position, over: int, under: int) -> None:
        self.position, self.over, self.under = position, over, under

    def __lt__(self, other: "_Rank") -> bool:
        mine, theirs = self.over * other.under, other.over * self.under
        return mine > theirs or (mine == theirs and self.position.number < other.position.number)


def _ranked(market: Market, begun: Deleveraging) -> list[_Rank]:
    """A heap of the positions on the side of the skew that had gained when it began, at the mark of then.

    Not of those who gain nothing by leaving now: when others leave before them, they gain less. Nobody while R ≥ H, if
    each gains more than H: no part of it is enough, as R and H fall by the same. So a crowd that cannot leave costs one
    sum each. Somebody who gains more than H is ranked where others can leave before him: then he may gain less.
    """
    mark, scale = market.exact_mark(begun.skew)
    is_long, unit, index = begun.skew > 0, market.unit, begun.funding_index
    side = (each for each in market.positions.values() if (each.lots > 0) is is_long)
    gains = [(amount, each) for each in side if (amount := gain(market, each)) > 0]
    can_pay = market.can_pay
    if market.liability >= can_pay and all(amount > can_pay for amount, _ in gains):
        return []
    ranked = []
    for _, position in gains:
        worth, margin = equity(position, mark, unit, index, scale), position.margin
        if worth > margin > 0:
            size = div_floor(notional(position.lots, mark, unit), scale)
            ranked.append(_Rank(position, (worth - margin) * size, margin * worth))
    heapq.heapify(ranked)
    return ranked


def _is_due(market: Market, position: Position) -> bool:
    """Whether it is left to the liquidation, which comes next."""
    mark, scale = market.exact_mark(market.skew)
    return is_liquidatable(position, mark, market.params, market.funding_index, scale)


def _is_over(market: Market, paid: int = 0) -> bool:
    """Whether R > 0.77·H, once ``paid`` micros have been paid out; not if there is nothing to pay with."""
    can_pay = market.can_pay - paid
    return can_pay > 0 and (market.liability - paid) * 100 > can_pay * ENDS


def _least(market: Market, position: Position, whole: int) -> PositionReduced | None:
    """All of it leaves, if that is not too much or a part would endanger the rest; otherwise as few lots as bisection
    finds. None if the house cannot pay for it, or if no part is enough (R ≥ H). ``whole``: what all of it gains,
    micros.
    """
    size = abs(position.lots)
    if market.liability >= market.can_pay and not can_be_paid(market, whole):
        return None
    if can_be_paid(market, whole) and _is_over(market, whole):
        return reduce(market, position, size, CloseReason.DELEVERAGE)
    low, high = 0, size  # low is not enough, high is, or is too much
    while high - low > 1:
        middle = (low + high) >> 1
        if _is_over(market, gain_of_part(market, position, middle)):
            low = middle
        else:
            high = middle
    part = reduce(market, position, high, CloseReason.DELEVERAGE)
    if leaves_it_endangered(market, part):
        part = reduce(market, position, size, CloseReason.DELEVERAGE)
    return part if can_be_paid(market, part.pnl) else None


def apply_deleveraging(market: Market, event: DeleveragingChanged) -> None:
    """It is under way from here on, or it is no more."""
    market.deleveraging = event.deleveraging


def project_deleveraging(_: DeleveragingChanged) -> Effects:
    """Readers see the trades."""
    return ()


COMMANDS: tuple[CommandRule, ...] = ()
EVENTS = (EventRule(DeleveragingChanged, apply_deleveraging, project_deleveraging),)
