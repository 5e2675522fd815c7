"""Opening a position, or adding to one: every check, and what that does."""

from msgspec.structs import replace

from perps.commands import OpenPosition, Side, signed
from perps.effects import Effects, Traded, TradeKind
from perps.events import Fill, PositionIncreased, PositionOpened, Transfer, TransferKind
from perps.market.position import Position, equity, is_liquidatable, maintenance
from perps.market.reach import largest_open, reach
from perps.market.state import Market
from perps.market.triggers import valid_exits
from perps.money.accounts import margin_account, user_account
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import (
    TERMS_RULE,
    beyond_limit,
    fee_legs,
    fill_of,
    filled,
    find,
    leverage_too_high,
    number_of,
    reject,
    shut,
    trading_fee,
    would_trigger,
)
from perps.rules.margin import apply_changed
from perps.rules.rule import CommandRule, EventRule, Given
from perps.rules.triggers import EXITS_RULE, is_young
from perps.units import PPB, Lots, Micros, Ppb, div_ceil, div_floor


def decide_open(
    market: Market, command: OpenPosition, given: Given
) -> tuple[PositionOpened | PositionIncreased] | Rejected:
    """Take at most ``command.size``, paid from what the ledger set aside for it: a new position, or more of one.

    What is added to a position passes the checks of an open, pays its own margin in full and is on the same side; the
    position as a whole must be sound behind it.
    """
    outcome = open_at(market, command, given, market.params.taker_fee)
    return outcome if isinstance(outcome, Rejected) else (outcome,)


def open_at(
    market: Market, command: OpenPosition, given: Given, fee_rate: Ppb, count: int | None = None
) -> PositionOpened | PositionIncreased | Rejected:
    """As ``decide_open``, at a fee of ``fee_rate``. ``count``: so many lots, unsigned; None: all that ``size`` buys."""
    params = market.params
    if command.leverage < 1 or command.size < 1:
        return reject(RejectCode.VALIDATION_ERROR, rule=TERMS_RULE)
    if command.take_profit is not None or command.stop_loss is not None:
        if not valid_exits(command.take_profit, command.stop_loss):
            return reject(RejectCode.VALIDATION_ERROR, rule=EXITS_RULE)
        if command.position is not None:
            return reject(RejectCode.VALIDATION_ERROR, rule="takeProfit and stopLoss are for a new position")
    grown = None if command.position is None else _grown(market, command)
    if isinstance(grown, Rejected) and grown.code is not RejectCode.POSITION_CLOSED:
        return grown
    closed_doors = shut(market, given, opening=True)
    if closed_doors:
        return closed_doors
    if isinstance(grown, Rejected):
        return grown
    if command.size < params.min_order_size:
        return reject(
            RejectCode.POSITION_SIZE_TOO_SMALL,
            size_micros=command.size,
            min_order_size_micros=params.min_order_size,
        )
    skew, sign = market.skew, 1 if command.side is Side.LONG else -1
    if count is None:
        count = market.most_lots(command.size, sign)
    lots = Lots(sign * count)
    refused = _check_size(market, command, lots, Lots(0) if grown is None else grown.lots)
    refused = refused or _check_user(market, command.user, lots, is_new=grown is None)
    if refused:
        return refused
    fill = fill_of(market, lots)
    margin = Micros(div_ceil(abs(fill.cost), command.leverage))
    added = _new(market, command, given, fill, margin)
    position = added if grown is None else _sum(grown, added)
    if position.has_exits and not is_young(market, position):
        triggered = would_trigger(position, fill.mark_price)
        if triggered:
            return triggered
    mark, scale = market.exact_mark(skew + lots)
    if is_liquidatable(position, mark, params, market.funding_index, scale):
        return reject(
            RejectCode.WOULD_BE_LIQUIDATED,
            equity_micros=equity(position, mark, params.unit, market.funding_index, scale),
            maintenance_micros=maintenance(position.lots, mark, params, scale),
        )
    if command.acceptable_price is not None or command.max_slippage_bps is not None:
        beyond = beyond_limit(market, fill, command)
        if beyond:
            return beyond
    fee = trading_fee(market, fill, fee_rate)
    if margin + fee > given.held:
        return reject(RejectCode.INSUFFICIENT_FUNDS, required_micros=margin + fee, available_micros=given.held)
    referral, legs = fee_legs(command.user, given.referrer, fee, params)
    post = Transfer(user_account(command.user), margin_account(params.ticker), margin, TransferKind.MARGIN)
    if grown is None:
        return PositionOpened(position, fill, fee, referral, (post, *legs))
    return PositionIncreased(position, fill, margin, fee, referral, (post, *legs))


def apply_opened(market: Market, event: PositionOpened) -> None:
    """A new position stands; the order that was filled rests no more, but for a TWAP with slices left."""
    market.enter(event.position)
    if event.order is not None:
        market.orders.fill(event.order, market.params)
    market.next_number = event.position.number + 1


def project_opened(event: PositionOpened) -> Effects:
    """A trade that began a position."""
    traded = Traded(
        TradeKind.OPEN, event.position, event.fill, True, event.fee, event.referral, order=number_of(event.order)
    )
    return (traded, *filled(event.order, event.position, event.fill))


def project_increased(event: PositionIncreased) -> Effects:
    """A trade that made a position larger: an open, to everybody but its owner."""
    traded = Traded(
        TradeKind.OPEN, event.position, event.fill, False, event.fee, event.referral, order=number_of(event.order)
    )
    return (traded, *filled(event.order, event.position, event.fill))


COMMANDS: tuple[CommandRule, ...] = ()
"""An open is decided by ``perps/rules/orders/next_price.py``."""
EVENTS = (
    EventRule(PositionOpened, apply_opened, project_opened),
    EventRule(PositionIncreased, apply_changed, project_increased),
)


def _grown(market: Market, command: OpenPosition) -> Position | Rejected:
    """The position that is to be made larger: its owner's, and on the side of what is added."""
    grown = find(market, str(command.position), command.user)
    if isinstance(grown, Position) and (grown.lots > 0) is not (command.side is Side.LONG):
        rule = "an order that adds to a position has its side; to make it smaller, close a part of it"
        return reject(RejectCode.VALIDATION_ERROR, rule=rule, position=str(command.position))
    return grown


def _new(market: Market, command: OpenPosition, given: Given, fill: Fill, margin: Micros) -> Position:
    """A position of what is filled. Its funding counts from now."""
    return Position(
        number=market.next_number,
        user=command.user,
        lots=fill.lots,
        cash=Micros(margin + _funding_owed_floor(fill.lots, market) - fill.cost),
        margin=margin,
        leverage=command.leverage,
        entry_cost=Micros(abs(fill.cost)),
        funding_paid=Micros(0),
        opened_at=given.at,
        referrer=given.referrer,
        take_profit=command.take_profit,
        stop_loss=command.stop_loss,
    )


def _sum(grown: Position, added: Position) -> Position:
    """A position and what is added to it: every number of money and size is the sum, everything else is as it was."""
    return replace(
        grown,
        lots=Lots(grown.lots + added.lots),
        cash=Micros(grown.cash + added.cash),
        margin=Micros(grown.margin + added.margin),
        entry_cost=Micros(grown.entry_cost + added.entry_cost),
    )


def _check_size(market: Market, command: OpenPosition, lots: Lots, held: Lots) -> Rejected | None:
    """Size (``held``: what the position has already), leverage, skew and open interest, in that order."""
    params, sign = market.params, 1 if lots > 0 else -1
    if lots == 0:
        smallest = abs(market.cost(signed(command.side, 1)))
        return reject(RejectCode.POSITION_SIZE_TOO_SMALL, size_micros=command.size, one_lot_micros=smallest)
    if abs(held + lots) > params.max_open_interest:
        return reject(
            RejectCode.POSITION_SIZE_TOO_LARGE,
            quantity_lots=abs(held + lots),
            max_open_interest_lots=params.max_open_interest,
            largest_size_micros=largest_open(market, sign),
        )
    if command.leverage > (params.leverage_of(held + lots) if params.tiers else params.max_leverage):
        return leverage_too_high(market, command.leverage, lots, held)
    skew, after = market.skew, market.skew + lots
    if abs(after) > params.max_skew and abs(after) >= abs(skew):
        return reject(
            RejectCode.MAX_SKEW_EXCEEDED,
            skew_lots=after,
            max_skew_lots=params.max_skew,
            largest_size_micros=largest_open(market, sign),
            trading_range_ppb=reach(params).by_opens,
        )
    side = market.long_lots if lots > 0 else market.short_lots
    if side + abs(lots) > params.max_open_interest:
        return reject(
            RejectCode.OPEN_INTEREST_EXCEEDED,
            open_interest_lots=side + abs(lots),
            max_open_interest_lots=params.max_open_interest,
            largest_size_micros=largest_open(market, sign),
        )
    return None


def _check_user(market: Market, user: str, lots: Lots, *, is_new: bool) -> Rejected | None:
    """How many positions one user may have in the market, then how much notional, at the index price."""
    params, (count, held) = market.params, market.held.get(user, (0, 0))
    most, positions = params.max_positions_per_user, count + is_new
    if most is not None and is_new and positions > most:
        return reject(RejectCode.USER_LIMIT_EXCEEDED, positions=positions, max_positions_per_user=most)
    limit, worth = params.max_notional_per_user, (held + abs(lots)) * market.index_price * market.unit
    if limit is not None and worth > limit:
        return reject(RejectCode.USER_LIMIT_EXCEEDED, notional_micros=worth, max_notional_per_user_micros=limit)
    return None


def _funding_owed_floor(lots: Lots, market: Market) -> int:
    """floor(d·F/10⁹): what a fill of ``lots`` adds to cash so that funding counts from now. Against the trader."""
    return div_floor(lots * market.funding_index, PPB)
