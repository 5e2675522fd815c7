"""Closing a position, or a part of it: every check, the money it moves, and what a reduction does."""

from perps.commands import ClosePosition
from perps.effects import Effects, Traded, TradeKind
from perps.events import CloseReason, PositionReduced, Transfer, TransferKind, Transfers
from perps.market.position import (
    Position,
    equity,
    funding_base,
    funding_owed,
    is_liquidatable,
    maintenance,
    position_id,
    split_position_id,
)
from perps.market.state import Market
from perps.money.accounts import house_account, insurance_account, margin_account, user_account
from perps.params import MarketParams
from perps.refusals import Fact, RejectCode, Rejected
from perps.rules.checks import beyond_limit, fee_legs, fill_of, reject, shut
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import PPB, Lots, Micros, div_ceil, div_floor


def decide_close(market: Market, command: ClosePosition, given: Given) -> tuple[PositionReduced] | Rejected:
    """Close ``share`` of a position: floor(|q|·share/10⁹) lots, at least one."""
    if not 0 < command.share <= PPB:
        return reject(RejectCode.VALIDATION_ERROR, rule="0 < share ≤ 1", share_ppb=command.share)
    found = _find(market, command)
    if isinstance(found, Rejected) and found.code is not RejectCode.POSITION_CLOSED:
        return found
    closed_doors = shut(market, given, opening=False)
    if closed_doors:
        return closed_doors
    if isinstance(found, Rejected):
        return found
    count = max(1, div_floor(abs(found.lots) * command.share, PPB))
    reduced = reduce(market, found, count, CloseReason.OWNER)
    rest = reduced.position
    mark, scale = market.exact_mark(market.skew + reduced.fill.lots)
    if rest.lots and (reduced.bad_debt or is_liquidatable(rest, mark, market.params, market.funding_index, scale)):
        return reject(
            RejectCode.WOULD_BE_LIQUIDATED,
            equity_micros=equity(rest, reduced.fill.mark_price, market.params.unit, market.funding_index),
            maintenance_micros=maintenance(rest.lots, reduced.fill.mark_price, market.params),
        )
    beyond = beyond_limit(market, reduced.fill, command)
    return beyond or house_cannot_pay(market, reduced) or (reduced,)


def reduce(market: Market, position: Position, count: int, reason: CloseReason) -> PositionReduced:
    """Close ``count`` lots (unsigned, 1 … |q|) of a position at the present quote: sizes, money and the rest.

    Qc = floor(Q·c/q); settlement = Qc − ceil(c·F/10⁹) − C(−c); mc = floor(m·c/q); pnl = settlement − mc.
    Funding paid counts from the entry: ceil(c·F/10⁹) − floor(b·c/q), b = ``funding_base``; the entry cost is split so
    that the rest's base is what is left of b.
    A settlement below 0 is bad debt: the insurance pays what it has, the house goes without the remainder.
    The fee, taker or liquidation, is at most the settlement, so an owner is never billed for leaving. Both are
    charged on the exit notional |C|, and a listing keeps liquidation fee ≥ taker fee: a liquidation never pays better.
    """
    params, index = market.params, market.funding_index
    size = abs(position.lots)
    closed = count if position.lots > 0 else -count
    fill = fill_of(market, Lots(-closed))
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
    rate = params.taker_fee if reason is CloseReason.OWNER else params.liquidation_fee
    fee = Micros(min(div_ceil(abs(fill.cost) * rate, PPB), settlement))
    referral, legs = (
        fee_legs(position.user, position.referrer, fee, params)
        if reason is CloseReason.OWNER
        else (Micros(0), _liquidation_fee_leg(position.user, fee, params))
    )
    rest = Position(
        number=position.number,
        user=position.user,
        lots=Lots(position.lots - closed),
        cash=Micros(position.cash - cash),
        margin=Micros(position.margin - margin),
        leverage=position.leverage,
        entry_cost=Micros(position.entry_cost - entry),
        funding_paid=Micros(position.funding_paid + funding),
        opened_at=position.opened_at,
        referrer=position.referrer,
    )
    settled = _settlement_legs(market, position.user, margin=margin, pnl=pnl, bad_debt=bad_debt)
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
        transfers=(*settled, *legs),
    )


def house_cannot_pay(market: Market, reduced: PositionReduced) -> Rejected | None:
    """A refusal that halts the market, when a gain would take the house below its credit limit."""
    limit = market.params.house_credit
    if reduced.pnl <= 0 or market.house - reduced.pnl >= -limit:
        return None
    facts: dict[str, Fact] = {
        "reason": "house_empty",
        "house_micros": market.house,
        "payout_micros": reduced.pnl,
        "credit_limit_micros": limit,
    }
    return Rejected(code=RejectCode.MARKET_HALTED, facts=facts, halt="house_empty")


def apply_reduced(market: Market, event: PositionReduced) -> None:
    """What is left of a position stands, if anything is."""
    position = event.position
    market.leave(market.positions[position.number])
    if position.lots:
        market.enter(position)
    market.take_money(event.transfers)


def project_reduced(event: PositionReduced) -> Effects:
    """A trade that made a position smaller, or ended it."""
    kind = TradeKind.LIQUIDATION if event.reason is CloseReason.LIQUIDATION else TradeKind.CLOSE
    return (
        Traded(
            kind,
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
        ),
    )


COMMANDS = (CommandRule(ClosePosition, decide_close),)
EVENTS = (EventRule(PositionReduced, apply_reduced, project_reduced),)


def _find(market: Market, command: ClosePosition) -> Position | Rejected:
    parts = split_position_id(command.position_id)
    number = parts[1] if parts and command.position_id == position_id(market.ticker, parts[1]) else 0
    position = market.positions.get(number)
    if position is not None:
        if position.user != command.user and not command.any_owner:
            return reject(RejectCode.FORBIDDEN, position=command.position_id)
        return position
    if 0 < number < market.next_number:
        return reject(RejectCode.POSITION_CLOSED, position=command.position_id)
    return reject(RejectCode.POSITION_NOT_FOUND, position=command.position_id)


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
