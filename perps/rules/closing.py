"""Closing a position, or a part of it: every check, the money it moves, and what a reduction does."""

from typing import Final, NamedTuple

from perps.commands import ClosePosition
from perps.effects import Effects, Traded, TradeKind
from perps.events import CloseReason, Fill, PositionReduced, Transfer, TransferKind, Transfers
from perps.market.order import Order
from perps.market.position import (
    Position,
    equity,
    funding_base,
    funding_owed,
    is_liquidatable,
    maintenance,
    position_id,
)
from perps.market.state import Market
from perps.money.accounts import house_account, insurance_account, margin_account, user_account
from perps.params import MarketParams
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import (
    beyond_limit,
    fee_legs,
    fill_of,
    filled,
    find,
    number_of,
    reject,
    shut,
    trading_fee,
    usable,
)
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import PPB, Lots, Micros, Ppb, div_ceil, div_floor


class ToClose(NamedTuple):
    """A position and how many lots of it are to be closed, unsigned."""

    position: Position
    size: int


def to_close(market: Market, command: ClosePosition, given: Given) -> ToClose | Rejected:
    """What a close asks for: floor(|q|·share/10⁹) lots, at least one; or as many as are asked for, or as their
    notional allows, and at most all.
    """
    if not 0 < command.share <= PPB:
        return reject(RejectCode.VALIDATION_ERROR, rule="0 < share ≤ 1", share_ppb=command.share)
    if min(command.lots, command.size) < 0 or (command.lots and command.size):
        return reject(RejectCode.VALIDATION_ERROR, rule="a close is by share, by quantity or by size, above 0")
    found = find(market, command.position_id, None if command.any_owner else command.user)
    found = usable(found, shut(market, given, opening=False))
    if isinstance(found, Rejected):
        return found
    count = _count(market, found, command)
    if not count:
        smallest = abs(market.cost(-1 if found.lots > 0 else 1))
        return reject(RejectCode.POSITION_SIZE_TOO_SMALL, size_micros=command.size, one_lot_micros=smallest)
    return ToClose(found, count)


def decide_close(market: Market, command: ClosePosition, given: Given) -> tuple[PositionReduced] | Rejected:
    """Close a part of a position, or all of it."""
    asked = to_close(market, command, given)
    if isinstance(asked, Rejected):
        return asked
    reduced = close_lots(market, asked.position, asked.size)
    if isinstance(reduced, Rejected):
        return reduced
    return beyond_limit(market, reduced.fill, command) or (reduced,)


def close_lots(market: Market, position: Position, count: int) -> PositionReduced | Rejected:
    """Close ``count`` lots (unsigned) for their owner: the house must be able to pay, and the rest must be sound."""
    reduced = reduce(market, position, count, CloseReason.OWNER)
    unpaid = house_cannot_pay(market, reduced)
    if unpaid:
        return unpaid
    if leaves_it_endangered(market, reduced):
        rest, (mark, scale) = reduced.position, market.exact_mark(market.skew + reduced.fill.lots)
        return reject(
            RejectCode.WOULD_BE_LIQUIDATED,
            equity_micros=equity(rest, mark, market.params.unit, market.funding_index, scale),
            maintenance_micros=maintenance(rest.lots, mark, market.params, scale),
        )
    return reduced


def leaves_it_endangered(market: Market, reduced: PositionReduced) -> bool:
    """Whether what is left of a position would be liquidated at once, or has not even paid for the part that left."""
    rest = reduced.position
    if not rest.lots:
        return False
    mark, scale = market.exact_mark(market.skew + reduced.fill.lots)
    return bool(reduced.bad_debt) or is_liquidatable(rest, mark, market.params, market.funding_index, scale)


def close_of(market: Market, order: Order) -> ClosePosition:
    """The close that an exit or a pending order asks for."""
    by_size = not order.share and not order.lots
    return ClosePosition(
        ticker=market.ticker,
        user=order.user,
        position_id=position_id(market.ticker, order.position or 0),
        share=order.share or Ppb(PPB),
        lots=order.lots,
        size=order.size if by_size else Micros(0),
        acceptable_price=order.acceptable_price,
        acceptable_price_pico=order.acceptable_price_pico,
    )


def reduce(
    market: Market,
    position: Position,
    count: int,
    reason: CloseReason,
    fill: Fill | None = None,
    *,
    is_endangered: bool = False,
    is_kept: bool = False,
) -> PositionReduced:
    """Close ``count`` lots (unsigned, 1 … |q|) of a position at the present quote: sizes, money and the rest.

    ``fill``: the trade, if it is not at the present quote.

    Qc = floor(Q·c/q); settlement = Qc − ceil(c·F/10⁹) − C(−c); mc = floor(m·c/q); pnl = settlement − mc.
    Funding paid counts from the entry: ceil(c·F/10⁹) − floor(b·c/q), b = ``funding_base``; the entry cost is split so
    that the rest's base is what is left of b.
    A settlement below 0 is bad debt: the insurance pays what it has, the house goes without the remainder.
    The fee, of the trade or of the liquidation, is at most the settlement, so an owner is never billed for leaving.
    Both are charged on the exit notional |C|, and a listing keeps liquidation fee ≥ taker fee ≥ maker fee: a
    liquidation never pays better. A settlement of the market and deleveraging have no fee.
    ``is_endangered``: the position is due for liquidation, so it pays that fee whatever its reason to leave.
    ``is_kept``: what the part fetches, less the fee, stays in the position: Q += kept, m += kept. It must leave no bad
    debt.
    """
    params, index = market.params, market.funding_index
    size = abs(position.lots)
    closed = count if position.lots > 0 else -count
    fill = fill_of(market, Lots(-closed)) if fill is None else fill
    cash = div_floor(position.cash * count, size)
    margin = Micros(div_floor(position.margin * count, size))
    based = div_floor(funding_base(position, params, index) * count, size)
    entry = based + margin - cash if closed > 0 else cash - margin - based
    entry = position.entry_cost if count == size else min(max(entry, 0), position.entry_cost)
    owed = funding_owed(closed, index)
    payout = cash - owed - fill.cost
    funding = Micros(owed - based)
    settlement, bad_debt = Micros(max(payout, 0)), Micros(max(-payout, 0))
    pnl = Micros(payout - margin)
    is_liquidated = is_endangered or reason is CloseReason.LIQUIDATION
    fee = min(_fee(market, fill, reason, is_liquidated=is_liquidated), settlement)
    referral, legs = (
        (Micros(0), _liquidation_fee_leg(position.user, fee, params))
        if is_liquidated
        else fee_legs(position.user, position.referrer, fee, params)
    )
    kept = Micros(settlement - fee if is_kept else 0)
    rest = Position(
        number=position.number,
        user=position.user,
        lots=Lots(position.lots - closed),
        cash=Micros(position.cash - cash + kept),
        margin=Micros(position.margin - margin + kept),
        leverage=position.leverage,
        entry_cost=Micros(position.entry_cost - entry),
        funding_paid=Micros(position.funding_paid + funding),
        opened_at=position.opened_at,
        referrer=position.referrer,
        take_profit=position.take_profit,
        stop_loss=position.stop_loss,
        exits_at=position.exits_at,
    )
    if is_kept:
        transfers = _kept_legs(params.ticker, pnl, fee)
    else:
        settled = _settlement_legs(market, position.user, margin=margin, pnl=pnl, bad_debt=bad_debt)
        transfers = (*settled, *legs)
    return PositionReduced(
        position=rest,
        fill=fill,
        reason=reason,
        margin_released=margin,
        entry_released=Micros(entry),
        pnl=pnl,
        funding=funding,
        settlement=settlement,
        fee=fee,
        referral=referral,
        bad_debt=bad_debt,
        transfers=transfers,
        kept=kept,
    )


_KINDS: Final = {
    CloseReason.LIQUIDATION: TradeKind.LIQUIDATION,
    CloseReason.SETTLEMENT: TradeKind.SETTLEMENT,
    CloseReason.DELEVERAGE: TradeKind.DELEVERAGE,
}


def gain(market: Market, position: Position) -> int:
    """What closing a whole position now would bring beyond its margin, micros: ``pnl`` of ``reduce``; < 0: a loss."""
    lots = position.lots
    return position.cash - funding_owed(lots, market.funding_index) - market.cost(-lots) - position.margin


def gain_of_part(market: Market, position: Position, count: int) -> int:
    """``pnl`` of ``reduce`` of ``count`` lots (unsigned, 1 … |q|), without the trade around it."""
    size, closed = abs(position.lots), count if position.lots > 0 else -count
    cash, margin = div_floor(position.cash * count, size), div_floor(position.margin * count, size)
    return cash - funding_owed(closed, market.funding_index) - market.cost(-closed) - margin


def can_be_paid(market: Market, amount: int) -> bool:
    """Whether the house can pay a gain of ``amount`` micros and stay within its credit. A loss costs it nothing."""
    return amount <= 0 or amount <= market.can_pay


def house_cannot_pay(market: Market, reduced: PositionReduced) -> Rejected | None:
    """Refuse a gain that would take the house below its credit limit. Nobody else is concerned: losers still leave."""
    if can_be_paid(market, reduced.pnl):
        return None
    return reject(
        RejectCode.HOUSE_CANNOT_PAY,
        house_micros=market.house,
        payout_micros=reduced.pnl,
        credit_limit_micros=market.params.house_credit,
    )


def apply_reduced(market: Market, event: PositionReduced) -> None:
    """What is left of a position stands, if anything is; else the orders about it end next."""
    position = event.position
    market.leave(market.positions[position.number])
    if position.lots:
        market.enter(position)
    market.take_money(event.transfers)
    if event.order is not None:
        market.orders.remove(event.order.number)
    if not position.lots:
        market.orders.orphan(position.number)


def project_reduced(event: PositionReduced) -> Effects:
    """A trade that made a position smaller, or ended it."""
    return (
        Traded(
            _KINDS.get(event.reason, TradeKind.CLOSE),
            event.position,
            event.fill,
            False,
            event.fee,
            event.referral,
            event.pnl,
            event.funding,
            event.bad_debt,
            event.margin_released,
            event.entry_released,
            event.reason if event.reason in _EXITS else None,
            number_of(event.order),
        ),
        *filled(event.order, event.position, event.fill),
    )


_EXITS: Final = (CloseReason.TAKE_PROFIT, CloseReason.STOP_LOSS, CloseReason.TRAILING_STOP)

COMMANDS: tuple[CommandRule, ...] = ()
"""A close is decided by ``perps/rules/orders/next_price.py``."""
EVENTS = (EventRule(PositionReduced, apply_reduced, project_reduced),)


def _count(market: Market, position: Position, command: ClosePosition) -> int:
    """How many lots to close, unsigned; 0 when ``size`` does not pay for one."""
    held = abs(position.lots)
    if command.lots:
        return min(command.lots, held)
    if not command.size:
        return max(1, div_floor(held * command.share, PPB))
    return min(market.most_lots(command.size, -1 if position.lots > 0 else 1), held)


def _fee(market: Market, fill: Fill, reason: CloseReason, *, is_liquidated: bool) -> Micros:
    """What a fill that reduces is charged, before it is applied, whatever the settlement is."""
    if is_liquidated:
        return Micros(div_ceil(abs(fill.cost) * market.params.liquidation_fee, PPB))
    if reason in (CloseReason.SETTLEMENT, CloseReason.DELEVERAGE):
        return Micros(0)
    return trading_fee(market, fill, market.params.taker_fee)


def _liquidation_fee_leg(user: str, fee: Micros, params: MarketParams) -> Transfers:
    if not fee:
        return ()
    insurance = insurance_account(params.ticker)
    return (Transfer(user_account(user), insurance, fee, TransferKind.LIQUIDATION_FEE),)


def _settlement_legs(market: Market, user: str, *, margin: Micros, pnl: Micros, bad_debt: Micros) -> Transfers:
    """margin → user what is left of it · margin → house a loss · house → user a gain · insurance → house bad debt."""
    ticker = market.ticker
    wallet, posted, house = user_account(user), margin_account(ticker), house_account(ticker)
    returned = min(margin, max(margin + pnl, 0))
    covered = min(bad_debt, max(market.insurance, 0))
    moves = (
        (posted, wallet, returned, TransferKind.MARGIN_RETURN),
        (posted, house, margin - returned, TransferKind.LOSS),
        (house, wallet, max(pnl, 0), TransferKind.PROFIT),
        (insurance_account(ticker), house, covered, TransferKind.BAD_DEBT),
    )
    return tuple(Transfer(source, target, Micros(amount), kind) for source, target, amount, kind in moves if amount)


def _kept_legs(ticker: str, pnl: Micros, fee: Micros) -> Transfers:
    """margin → house a loss, or house → margin a gain · margin → insurance the fee. The wallet has no part in it."""
    posted, house = margin_account(ticker), house_account(ticker)
    moves = (
        (posted, house, -pnl, TransferKind.LOSS),
        (house, posted, pnl, TransferKind.PROFIT),
        (posted, insurance_account(ticker), fee, TransferKind.LIQUIDATION_FEE),
    )
    return tuple(Transfer(source, target, Micros(amount), kind) for source, target, amount, kind in moves if amount > 0)
