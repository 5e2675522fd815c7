"""Opening a position: every check, and what an opening does."""

from perps.commands import OpenPosition, Side, signed
from perps.effects import Effects, Traded, TradeKind
from perps.events import PositionOpened, Transfer, TransferKind
from perps.market.position import Position, equity, is_liquidatable, maintenance
from perps.market.pricing import most_lots
from perps.market.reach import largest_open, reach
from perps.market.state import Market
from perps.money.accounts import margin_account, user_account
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import beyond_limit, fee_legs, fill_of, reject, shut
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import PPB, Lots, Micros, div_ceil, div_floor


def decide_open(market: Market, command: OpenPosition, given: Given) -> tuple[PositionOpened] | Rejected:
    """Open a position of at most ``command.size``, paid from what the ledger set aside for it."""
    params = market.params
    if command.leverage < 1 or command.size < 1:
        return reject(RejectCode.VALIDATION_ERROR, rule="size and leverage are at least 1")
    closed_doors = shut(market, given, opening=True)
    if closed_doors:
        return closed_doors
    if command.size < params.min_order_size:
        return reject(
            RejectCode.POSITION_SIZE_TOO_SMALL,
            size_micros=command.size,
            min_order_size_micros=params.min_order_size,
        )
    sign = 1 if command.side is Side.LONG else -1
    count = most_lots(
        command.size,
        sign,
        index_price=market.index_price,
        unit=market.unit,
        skew=market.skew,
        skew_scale=params.skew_scale,
    )
    lots = signed(command.side, count)
    refused = _check_size(market, command, lots)
    if refused:
        return refused
    fill = fill_of(market, lots)
    margin = Micros(div_ceil(abs(fill.cost), command.leverage))
    position = Position(
        number=market.next_number,
        user=command.user,
        lots=lots,
        cash=Micros(margin + _funding_owed_floor(lots, market) - fill.cost),
        margin=margin,
        leverage=command.leverage,
        entry_cost=Micros(abs(fill.cost)),
        funding_paid=Micros(0),
        opened_at=given.at,
        referrer=given.referrer,
    )
    mark, scale = market.exact_mark(market.skew + lots)
    if is_liquidatable(position, mark, params, market.funding_index, scale):
        return reject(
            RejectCode.WOULD_BE_LIQUIDATED,
            equity_micros=equity(position, fill.mark_price, params.unit, market.funding_index),
            maintenance_micros=maintenance(lots, fill.mark_price, params),
        )
    beyond = beyond_limit(market, fill, command)
    if beyond:
        return beyond
    fee = Micros(div_ceil(abs(fill.cost) * params.taker_fee, PPB))
    if margin + fee > given.held:
        return reject(RejectCode.INSUFFICIENT_FUNDS, required_micros=margin + fee, available_micros=given.held)
    referral, legs = fee_legs(command.user, given.referrer, fee, params)
    post = Transfer(user_account(command.user), margin_account(params.ticker), margin, TransferKind.MARGIN)
    return (PositionOpened(position, fill, fee, referral, (post, *legs)),)


def apply_opened(market: Market, event: PositionOpened) -> None:
    """A new position stands."""
    market.enter(event.position)
    market.next_number = event.position.number + 1


def project_opened(event: PositionOpened) -> Effects:
    """A trade that began a position."""
    return (Traded(TradeKind.OPEN, event.position, event.fill, True, event.fee, event.referral),)


COMMANDS = (CommandRule(OpenPosition, decide_open),)
EVENTS = (EventRule(PositionOpened, apply_opened, project_opened),)


def _check_size(market: Market, command: OpenPosition, lots: Lots) -> Rejected | None:
    """Size, leverage, skew and open interest, in that order."""
    params, sign = market.params, 1 if lots > 0 else -1
    if lots == 0:
        smallest = abs(market.cost(signed(command.side, 1)))
        return reject(RejectCode.POSITION_SIZE_TOO_SMALL, size_micros=command.size, one_lot_micros=smallest)
    if abs(lots) > params.max_open_interest:
        return reject(
            RejectCode.POSITION_SIZE_TOO_LARGE,
            quantity_lots=abs(lots),
            max_open_interest_lots=params.max_open_interest,
            largest_size_micros=largest_open(market, sign),
        )
    if command.leverage > params.max_leverage:
        return reject(RejectCode.LEVERAGE_TOO_HIGH, leverage=command.leverage, max_leverage=params.max_leverage)
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


def _funding_owed_floor(lots: Lots, market: Market) -> int:
    """floor(d·F/10⁹): what a fill of ``lots`` adds to cash so that funding counts from now. Against the trader."""
    return div_floor(lots * market.funding_index, PPB)
