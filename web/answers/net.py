"""Answers to a trade of the net position, and net positions."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec.structs import replace

from perps.commands import Side
from perps.events import CloseReason, Events, PositionIncreased, PositionOpened, PositionReduced, own_place
from perps.journal import Entry
from perps.market.position import Position, equity
from perps.params import MarketParams
from perps.units import FundingIndex, Lots, Micros, Ticks
from perps.wire.net import NetClose, NetOpen, NetPosition, NetTraded
from web.answers import decimals
from web.answers.positions import margin_of, open_position, reduced_position
from web.answers.trades import fee, fill


def own_trades(events: Events) -> tuple[list[PositionReduced], PositionOpened | PositionIncreased | None]:
    """What a trade did itself: its closes and its open. What that led to has another reason, or an order."""
    closes: list[PositionReduced] = []
    for event in events[own_place(events) :]:
        if isinstance(event, PositionReduced) and event.reason is CloseReason.OWNER and event.order is None:
            closes.append(event)
        elif isinstance(event, PositionOpened | PositionIncreased) and event.order is None:
            return closes, event
        else:
            break
    return closes, None


def net_traded(entry: Entry, params: MarketParams) -> NetTraded:
    """The answer to a trade. A function of its journal row alone, so a repeated command gets the same one."""
    row = entry.row
    closes, begun = own_trades(entry.events)
    parts = closes if begun is None else [*closes, begun]
    first, last = parts[0].fill, parts[-1].fill
    lots, cost = sum(part.fill.lots for part in parts), sum(part.fill.cost for part in parts)
    whole = replace(first, lots=Lots(lots), cost=Micros(cost), quote_after=last.quote_after)
    added = None if begun is None else _opened(begun, params)
    return NetTraded(
        fill=fill(whole, params),
        closed=[_closed(close, params, row.at) for close in closes],
        opened=added if isinstance(begun, PositionOpened) else None,
        increased=added if isinstance(begun, PositionIncreased) else None,
        pnl=decimals.money(sum(close.pnl for close in closes)),
        bad_debt=decimals.money(sum(close.bad_debt for close in closes)),
        net_settlement=decimals.money(sum(close.settlement - close.fee for close in closes)),
        margin_paid=decimals.money(0 if begun is None else margin_of(begun)),
        fee=fee(sum(part.fee for part in parts), sum(part.referral for part in parts)),
        new_balance=decimals.money(row.user_balance or 0),
        client_order_id=row.client_order_id,
        offset=row.offset,
    )


def _closed(event: PositionReduced, params: MarketParams, at: int) -> NetClose:
    return NetClose(
        position=reduced_position(event, params, at, was_liquidated=False),
        fill=fill(event.fill, params),
        gross_settlement=decimals.money(event.settlement),
        net_settlement=decimals.money(event.settlement - event.fee),
        margin_returned=decimals.money(min(event.margin_released, max(event.margin_released + event.pnl, 0))),
        pnl=decimals.money(event.pnl),
        bad_debt=decimals.money(event.bad_debt),
        fee=fee(event.fee, event.referral),
    )


def _opened(event: PositionOpened | PositionIncreased, params: MarketParams) -> NetOpen:
    return NetOpen(
        position=open_position(event.position, params, event.fill.mark_price, event.fill.funding_index),
        fill=fill(event.fill, params),
        margin_paid=decimals.money(margin_of(event)),
        fee=fee(event.fee, event.referral),
    )


class Valuation(NamedTuple):
    """What a market's positions are valued by: all of one moment."""

    params: MarketParams
    mark: Ticks
    funding: FundingIndex


class Netted:
    """The positions of a user in one market, added up one after the other."""

    __slots__ = ("_count", "_entered", "_lots", "_margin", "_pnl", "_valuation")

    def __init__(self, valuation: Valuation) -> None:
        self._valuation = valuation
        self._count = self._margin = self._pnl = 0
        self._lots = {Side.LONG: 0, Side.SHORT: 0}
        self._entered = {Side.LONG: 0, Side.SHORT: 0}

    def add(self, position: Position) -> None:
        """One more of them."""
        params, mark, index = self._valuation
        side = Side.LONG if position.lots > 0 else Side.SHORT
        self._count += 1
        self._lots[side] += abs(position.lots)
        self._entered[side] += position.entry_cost
        self._margin += position.margin
        self._pnl += equity(position, mark, params.unit, index) - position.margin

    def shown(self) -> NetPosition:
        """All of them as one."""
        params, mark, lots = self._valuation.params, self._valuation.mark, self._lots
        net, size = lots[Side.LONG] - lots[Side.SHORT], params.lot_size
        side = Side.LONG if net > 0 else Side.SHORT
        named: Literal["long", "short", "flat"] = "flat" if not net else "long" if net > 0 else "short"
        return NetPosition(
            ticker=params.ticker,
            side=named,
            quantity=decimals.quantity(abs(net), size),
            long_quantity=decimals.quantity(lots[Side.LONG], size),
            short_quantity=decimals.quantity(lots[Side.SHORT], size),
            entry_price=decimals.average_price(self._entered[side], lots[side], params) if net else None,
            mark_price=decimals.price(mark, params.tick_size),
            margin=decimals.money(self._margin),
            unrealized_pnl=decimals.money(self._pnl),
            unrealized_pnl_percent=decimals.share(100 * self._pnl, self._margin, 4),
            positions=self._count,
        )
