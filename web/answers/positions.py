"""Positions as the API shows them: open, just closed or past; and the answers to an open, a close and a quote."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, cast

from msgspec import UNSET, UnsetType

from perps.commands import Side
from perps.effects import Changed, Traded, TradeKind
from perps.events import (
    CloseReason,
    PositionChanged,
    PositionIncreased,
    PositionOpened,
    PositionReduced,
    TransferKind,
)
from perps.events import Fill as DomainFill
from perps.journal import Entry
from perps.market.position import Position as DomainPosition
from perps.market.position import (
    bankruptcy_price,
    equity,
    funding_since_entry,
    liquidation_price,
    position_id,
    split_position_id,
)
from perps.market.reach import largest_open
from perps.market.state import Market
from perps.params import MarketParams
from perps.query_rows import STATUS_OPEN, PositionRecord
from perps.units import FundingIndex, Lots, Micros, Millis, Ticks
from perps.wire.margin import MarginChanged
from perps.wire.trading import Closed, Opened, Position, Quoted
from perps.wire.triggers import TriggersSet
from web.answers import decimals
from web.answers.markets import trading_range
from web.answers.rows import own_event
from web.answers.times import rfc3339
from web.answers.trades import fee, fill

Past = Literal["closed", "liquidated"]


class Valued(NamedTuple):
    """A position as shown, with the numbers that a list adds up: its pnl (unrealised or realised) and its funding."""

    shown: Position
    pnl: int
    funding: int


def open_position(position: DomainPosition, params: MarketParams, mark: Ticks, index: FundingIndex) -> Position:
    """A position while it is open, valued at ``mark``."""
    return _valued(position, params, mark, index).shown


def _valued(position: DomainPosition, params: MarketParams, mark: Ticks, index: FundingIndex) -> Valued:
    tick = params.tick_size
    pnl = equity(position, mark, params.unit, index) - position.margin
    funding = funding_since_entry(position, params, index)
    shown = Position(
        id=position_id(params.ticker, position.number),
        user_id=position.user,
        ticker=params.ticker,
        organization_id=params.organization_id,
        side=Side.LONG if position.lots > 0 else Side.SHORT,
        quantity=decimals.quantity(abs(position.lots), params.lot_size),
        size=decimals.money(position.entry_cost),
        entry_price=decimals.average_price(position.entry_cost, position.lots, params),
        mark_price=decimals.price(mark, tick),
        leverage=position.leverage,
        margin=decimals.money(position.margin),
        liquidation_price=decimals.price(liquidation_price(position, params, index), tick),
        bankruptcy_price=decimals.price(bankruptcy_price(position, params, index), tick),
        unrealized_pnl=decimals.money(pnl),
        unrealized_pnl_percent=decimals.share(100 * pnl, position.margin, 4),
        funding_paid=decimals.money(funding),
        take_profit=decimals.price_or_none(position.take_profit, params.tick_size),
        stop_loss=decimals.price_or_none(position.stop_loss, params.tick_size),
        status="open",
        opened_at=rfc3339(position.opened_at),
        closed_at=None,
    )
    return Valued(shown, pnl, funding)


def valued(position: DomainPosition, market: Market) -> Valued:
    """An open position at the market's present mark."""
    return _valued(position, market.params, market.mark, market.funding_index)


def recorded(record: PositionRecord, market: Market) -> Valued:
    """A position from the query tables: at the present mark if it is open, with its exit if it is past."""
    if record.status != STATUS_OPEN:
        return Valued(past_position(record, market.params), record.realized_pnl, record.funding_paid)
    parts = split_position_id(record.id)
    position = DomainPosition(
        number=parts[1] if parts else 0,
        user=record.user_id,
        lots=Lots(record.lots),
        cash=Micros(record.cash),
        margin=Micros(record.margin),
        leverage=record.leverage,
        entry_cost=Micros(record.entry_cost),
        funding_paid=Micros(record.funding_paid),
        opened_at=Millis(record.opened_at),
        take_profit=None if record.take_profit is None else Ticks(record.take_profit),
        stop_loss=None if record.stop_loss is None else Ticks(record.stop_loss),
    )
    return valued(position, market)


class Reduction(Protocol):
    """What made a position smaller: an event, or the effect that readers see of it."""

    @property
    def position(self) -> DomainPosition:
        """As it stands now."""
        ...

    @property
    def fill(self) -> DomainFill:
        """What was closed."""
        ...

    @property
    def pnl(self) -> Micros:
        """Realised, before fees."""
        ...

    @property
    def margin_released(self) -> Micros:
        """The closed part's margin."""
        ...

    @property
    def entry_released(self) -> Micros:
        """|C| that was paid for it."""
        ...


def traded_position(trade: Traded, params: MarketParams, at: int) -> Position:
    """A position as a trade at ``at`` left it, at the prices of that moment. A function of its journal row alone."""
    if trade.adds:
        return open_position(trade.position, params, trade.fill.mark_price, trade.fill.funding_index)
    return reduced_position(trade, params, at, was_liquidated=trade.kind is TradeKind.LIQUIDATION)


def changed_position(changed: Changed | PositionChanged, params: MarketParams) -> Position:
    """A position as a change that was no trade left it, at the prices of that moment."""
    return open_position(changed.position, params, changed.mark_price, changed.funding_index)


def reduced_position(reduction: Reduction, params: MarketParams, at: int, *, was_liquidated: bool) -> Position:
    """What a reduction left of a position; if nothing, the part that was closed last. With its exit."""
    filled = reduction.fill
    if reduction.position.lots:
        shown = open_position(reduction.position, params, filled.mark_price, filled.funding_index)
    else:
        shown = _closed_position(reduction, params, at, "liquidated" if was_liquidated else "closed")
    shown.exit_price = decimals.average_price(filled.cost, filled.lots, params)
    shown.realized_pnl = decimals.money(reduction.pnl)
    return shown


def _closed_position(reduction: Reduction, params: MarketParams, at: int, status: Past) -> Position:
    """A position as the reduction that ended it left it: the sizes are those of what was closed last."""
    position, filled = reduction.position, reduction.fill
    return Position(
        id=position_id(params.ticker, position.number),
        user_id=position.user,
        ticker=params.ticker,
        organization_id=params.organization_id,
        side=Side.LONG if filled.lots < 0 else Side.SHORT,
        quantity=decimals.quantity(abs(filled.lots), params.lot_size),
        size=decimals.money(reduction.entry_released),
        entry_price=decimals.average_price(reduction.entry_released, filled.lots, params),
        mark_price=decimals.price(filled.mark_price, params.tick_size),
        leverage=position.leverage,
        margin=decimals.money(reduction.margin_released),
        liquidation_price=None,
        bankruptcy_price=None,
        unrealized_pnl="0.00",
        unrealized_pnl_percent="0.00",
        funding_paid=decimals.money(position.funding_paid),
        take_profit=decimals.price_or_none(position.take_profit, params.tick_size),
        stop_loss=decimals.price_or_none(position.stop_loss, params.tick_size),
        status=status,
        opened_at=rfc3339(position.opened_at),
        closed_at=rfc3339(at),
    )


def past_position(record: PositionRecord, params: MarketParams) -> Position:
    """A position from the query tables, with its exit: all that was entered and all that was closed."""
    exit_price = decimals.average_price(record.exited_cost, record.exited_lots, params)
    return Position(
        id=record.id,
        user_id=record.user_id,
        ticker=record.ticker,
        organization_id=params.organization_id,
        side=Side.LONG if record.entered_lots > 0 else Side.SHORT,
        quantity=decimals.quantity(abs(record.entered_lots), params.lot_size),
        size=decimals.money(record.entered_cost),
        entry_price=decimals.average_price(record.entered_cost, record.entered_lots, params),
        mark_price=exit_price,
        leverage=record.leverage,
        margin="0.00",
        liquidation_price=None,
        bankruptcy_price=None,
        unrealized_pnl="0.00",
        unrealized_pnl_percent="0.00",
        funding_paid=decimals.money(record.funding_paid),
        take_profit=decimals.price_or_none(record.take_profit, params.tick_size),
        stop_loss=decimals.price_or_none(record.stop_loss, params.tick_size),
        status=cast(Past, record.status),
        opened_at=rfc3339(record.opened_at),
        closed_at=None if record.closed_at is None else rfc3339(record.closed_at),
        exit_price=exit_price,
        realized_pnl=decimals.money(record.realized_pnl),
    )


def margin_of(event: PositionOpened | PositionIncreased) -> Micros:
    """What has been paid into the margin for the lots of an open."""
    return event.position.margin if isinstance(event, PositionOpened) else event.margin_added


def opened(entry: Entry, params: MarketParams) -> Opened:
    """The answer to an open. A function of its journal row alone, so a repeated command gets the same one."""
    row, event = entry.row, own_event(entry, PositionOpened, PositionIncreased)
    filled = event.fill
    return Opened(
        position=open_position(event.position, params, filled.mark_price, filled.funding_index),
        fill=fill(filled, params),
        margin_paid=decimals.money(margin_of(event)),
        fee=fee(event.fee, event.referral),
        new_balance=decimals.money(row.user_balance or 0),
        client_order_id=row.client_order_id,
        offset=row.offset,
        warning=stop_warning(event.position, params, filled.funding_index),
    )


def triggers_set(entry: Entry, params: MarketParams) -> TriggersSet:
    """The answer to new exits. A function of its journal row alone."""
    row, event = entry.row, own_event(entry, PositionChanged)
    return TriggersSet(
        position=open_position(event.position, params, event.mark_price, event.funding_index),
        client_order_id=row.client_order_id,
        offset=row.offset,
        warning=stop_warning(event.position, params, event.funding_index),
    )


def stop_warning(
    position: DomainPosition, params: MarketParams, index: FundingIndex
) -> Literal["stop_beyond_liquidation"] | UnsetType:
    """Whether the mark reaches the liquidation price no later than the stop-loss."""
    stop = position.stop_loss
    if stop is None:
        return UNSET
    due = liquidation_price(position, params, index)
    is_beyond = stop <= due if position.lots > 0 else stop >= due
    return "stop_beyond_liquidation" if is_beyond else UNSET


def reduced(entry: Entry, params: MarketParams) -> Closed:
    """The answer to a close. A function of its journal row alone."""
    row, event = entry.row, own_event(entry, PositionReduced)
    was_liquidated = event.reason is CloseReason.LIQUIDATION
    return Closed(
        position=reduced_position(event, params, row.at, was_liquidated=was_liquidated),
        fill=fill(event.fill, params),
        gross_settlement=decimals.money(event.settlement),
        net_settlement=decimals.money(event.settlement - event.fee),
        margin_returned=decimals.money(min(event.margin_released, max(event.margin_released + event.pnl, 0))),
        pnl=decimals.money(event.pnl),
        bad_debt=decimals.money(event.bad_debt),
        fee=fee(event.fee, event.referral),
        was_liquidated=was_liquidated,
        new_balance=decimals.money(row.user_balance or 0),
        client_order_id=row.client_order_id,
        offset=row.offset,
    )


def margin_changed(entry: Entry, params: MarketParams) -> MarginChanged:
    """The answer to margin in or out. A function of its journal row alone."""
    row, event = entry.row, own_event(entry, PositionChanged)
    moved = sum(-move.amount if move.kind is TransferKind.MARGIN_RETURN else move.amount for move in event.transfers)
    return MarginChanged(
        position=changed_position(event, params),
        amount=decimals.money(moved),
        new_balance=decimals.money(row.user_balance or 0),
        client_order_id=row.client_order_id,
        offset=row.offset,
    )


def quoted(event: PositionOpened | PositionIncreased, market: Market, offset: int) -> Quoted:
    """What an open would do, from the event it would make, and what else would fit."""
    params, position, filled, margin = market.params, event.position, event.fill, margin_of(event)
    mark, index, tick = filled.mark_price, filled.funding_index, params.tick_size
    return Quoted(
        fill=fill(filled, params),
        margin_required=decimals.money(margin),
        fee=fee(event.fee, event.referral),
        total_required=decimals.money(margin + event.fee),
        entry_price=decimals.average_price(position.entry_cost, position.lots, params),
        equity=decimals.money(equity(position, mark, params.unit, index)),
        liquidation_price=decimals.price(liquidation_price(position, params, index), tick),
        bankruptcy_price=decimals.price(bankruptcy_price(position, params, index), tick),
        offset=offset,
        largest_size=decimals.money(largest_open(market, 1 if position.lots > 0 else -1)),
        trading_range=trading_range(params),
        execution=params.execution,
        max_leverage=params.leverage_of(position.lots),
        maintenance_rate=decimals.text(params.rate_of(position.lots), 9, 0),
        warning=stop_warning(position, params, index),
    )
