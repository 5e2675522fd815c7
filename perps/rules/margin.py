"""The owner of a position pays margin into it, or takes some out."""

from msgspec.structs import replace

from perps.commands import ChangeMargin
from perps.effects import Changed, Effects
from perps.events import PositionChanged, PositionIncreased, Transfer, TransferKind
from perps.market.position import Position, equity, initial_margin, maintenance, withdrawable
from perps.market.state import Market
from perps.money.accounts import margin_account, user_account
from perps.params import Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.checks import filled, find, reject, shut, usable
from perps.rules.rule import CommandRule, EventRule, Given
from perps.units import AMOUNT_MAX, Micros


def decide_margin(market: Market, command: ChangeMargin, given: Given) -> tuple[PositionChanged] | Rejected:
    """Move ``amount`` between the owner's wallet and a position's margin: Q += amount, m += amount.

    In: always, but in a halted market. Out: only where an open would be let through (mode, age of the price), and at
    most ``withdrawable``. Entry, gain and what funding counts from stay as they are; the liquidation price moves.
    """
    amount = command.amount
    if not 0 < abs(amount) <= AMOUNT_MAX:
        return reject(RejectCode.VALIDATION_ERROR, rule="amount is not 0, and at most 10^12 either way")
    found = find(market, command.position_id, command.user)
    found = usable(found, _shut(market) if amount > 0 else shut(market, given, opening=True))
    if isinstance(found, Rejected):
        return found
    mark, scale = market.exact_mark(market.skew)
    if amount < 0 and -amount > withdrawable(found, mark, market.params, market.funding_index, scale):
        return _too_little(market, found, Micros(-amount))
    if amount > given.held:
        return reject(RejectCode.INSUFFICIENT_FUNDS, required_micros=amount, available_micros=given.held)
    changed = replace(found, cash=Micros(found.cash + amount), margin=Micros(found.margin + amount))
    wallet, posted = user_account(found.user), margin_account(market.ticker)
    if amount > 0:
        move = Transfer(wallet, posted, amount, TransferKind.MARGIN)
    else:
        move = Transfer(posted, wallet, Micros(-amount), TransferKind.MARGIN_RETURN)
    return (PositionChanged(changed, (move,), market.mark, market.funding_index),)


def apply_changed(market: Market, event: PositionChanged | PositionIncreased) -> None:
    """The position stands as it is now."""
    market.leave(market.positions[event.position.number])
    market.enter(event.position)
    if event.order is not None:
        market.orders.fill(event.order, market.params)


def project_changed(event: PositionChanged) -> Effects:
    """A position that is not what it was."""
    changed = Changed(event.position, event.mark_price, event.funding_index)
    return (changed, *filled(event.order, event.position))


COMMANDS: tuple[CommandRule, ...] = ()
"""Margin is decided by ``perps/rules/orders/next_price.py``."""
EVENTS = (EventRule(PositionChanged, apply_changed, project_changed),)


def _shut(market: Market) -> Rejected | None:
    """Whether the market is halted: nothing else keeps margin out."""
    if market.mode is not Mode.HALTED:
        return None
    return reject(RejectCode.MARKET_HALTED, mode=market.mode, reason=market.mode_reason)


def _too_little(market: Market, position: Position, amount: Micros) -> Rejected:
    """The refusal of what would leave too little: what was asked for, what could go, and what that follows from."""
    mark, scale = market.exact_mark(market.skew)
    params, index = market.params, market.funding_index
    return reject(
        RejectCode.INSUFFICIENT_MARGIN,
        required_micros=amount,
        available_micros=max(0, withdrawable(position, mark, params, index, scale)),
        margin_micros=position.margin,
        equity_micros=equity(position, mark, params.unit, index, scale),
        initial_margin_micros=initial_margin(position.lots, mark, params, scale),
        maintenance_micros=maintenance(position.lots, mark, params, scale),
    )
