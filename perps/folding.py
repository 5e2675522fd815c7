"""The money of a trade, and the position it begins, inside its fill: one record instead of up to six.

A trade moves money in one pattern. In this order, and without those of 0:

    margin     wallet → margin account, or back when the trade makes a position smaller
    loss       margin account → house        max(−pnl, 0) − bad debt
    profit     house → wallet                max(pnl, 0)
    bad debt   insurance → house             what the insurance covers of it
    fee        wallet → fees, or → insurance for a liquidation: fee − referral
    referral   wallet → referrer

So its legs follow from the margin, the covered debt and the fill's own fields; and the balance after each leg from what
each account held in the end. ``folded`` compares: an event that moved anything else keeps its legs apart, whatever a
later version makes of trades. ``legs_of`` is the way back. The way back to a position is SQL, in migration 0007.
"""

from collections.abc import Sequence
from typing import Any, Final

from perps.effects import Traded, TradeKind
from perps.events import TransferKind
from perps.journal import Row
from perps.money.accounts import FEES, house_account, insurance_account, margin_account, user_account
from perps.money.ledger import Leg
from perps.query_rows import LIQUIDATION, OPEN, FillRecord, LegRecord, StoredFill

Move = tuple[str, str, int, TransferKind]
"""A transfer's fields."""

Inside = tuple[Any, ...]
"""The columns that ``StoredFill`` has beyond ``FillRecord``, in order."""

APART: Final[Inside] = (None,) * (len(StoredFill.__struct_fields__) - len(FillRecord.__struct_fields__))
"""Of a fill whose legs and position are stored by themselves."""


def folded(row: Row, trade: Traded, legs: Sequence[Leg], first: int) -> Inside:
    """What a fill holds of its trade's money; ``APART`` when the legs are not exactly those of the pattern.

    ``first``: which transfer of the row is the first of ``legs``.
    """
    position, ticker = trade.position, row.stream
    wallet, posted = user_account(position.user), margin_account(ticker)
    margin = covered = 0
    referrer: str | None = None
    balances: dict[str, int] = {}
    moves: list[Move] = []
    for leg in legs:
        transfer = leg.transfer
        source, target, amount, kind = transfer.source, transfer.target, transfer.amount, transfer.kind
        moves.append((source, target, amount, kind))
        balances[source] = leg.source_balance
        balances[target] = leg.target_balance
        if kind is TransferKind.MARGIN or kind is TransferKind.MARGIN_RETURN:
            margin = amount
        elif kind is TransferKind.BAD_DEBT:
            covered = amount
        elif kind is TransferKind.REFERRAL:
            referrer = position.referrer
    adds = trade.kind is TradeKind.OPEN
    if moves != _pattern(ticker, trade, wallet, posted, margin, covered, referrer):
        return APART
    if referrer == position.user or (adds and (trade.pnl or trade.bad_debt or covered)):
        return APART  # of the one an account in the end says no leg's balance; the other no open does
    balance = balances.get
    begins = adds and trade.is_new and _begins_so(row, trade, margin)
    return (
        first,
        position.leverage if begins else None,
        position.cash if begins else None,
        margin,
        covered or None,
        balance(wallet),
        balance(posted),
        balance(house_account(ticker)) if not adds else None,
        balance(insurance_account(ticker)) if not adds else None,
        balance(FEES),
        referrer,
        None if referrer is None else balance(user_account(referrer)),
    )


def legs_of(fill: StoredFill) -> list[LegRecord]:
    """The legs that follow from a fill, in order; none if they are stored by themselves.

    A balance after a leg is what its account held in the end, less what the later legs did.
    """
    if fill.leg is None:
        return []
    ticker, margin, paid = fill.ticker, fill.margin or 0, fill.covered or 0
    wallet, posted, house = user_account(fill.user_id), margin_account(ticker), house_account(ticker)
    loss, profit = max(-fill.pnl, 0) - fill.bad_debt, max(fill.pnl, 0)
    referral, fee = fill.referral, fill.fee - fill.referral
    in_wallet, in_margin, in_house, in_insurance, in_fees, of_referrer = (
        balance or 0
        for balance in (
            fill.wallet_balance,
            fill.margin_balance,
            fill.house_balance,
            fill.insurance_balance,
            fill.fees_balance,
            fill.referrer_balance,
        )
    )
    after_margin = in_wallet - profit + fee + referral
    if fill.kind == OPEN:
        first = (TransferKind.MARGIN, wallet, posted, margin, after_margin, in_margin + loss)
    else:
        first = (TransferKind.MARGIN_RETURN, posted, wallet, margin, in_margin + loss, after_margin)
    insurance = insurance_account(ticker)
    if fill.kind == LIQUIDATION:
        charge = (TransferKind.LIQUIDATION_FEE, wallet, insurance, fee, in_wallet + referral, in_insurance)
        before_fee = in_insurance - fee
    else:
        charge = (TransferKind.FEE, wallet, FEES, fee, in_wallet + referral, in_fees)
        before_fee = in_insurance
    moves = (
        first,
        (TransferKind.LOSS, posted, house, loss, in_margin, in_house + profit - paid),
        (TransferKind.PROFIT, house, wallet, profit, in_house - paid, in_wallet + fee + referral),
        (TransferKind.BAD_DEBT, insurance, house, paid, before_fee, in_house),
        charge,
        (TransferKind.REFERRAL, wallet, user_account(fill.referrer or ""), referral, in_wallet, of_referrer),
    )
    return [
        LegRecord(fill.offset, n, fill.at, kind.value, source, target, amount, left, reached, fill.position_id)
        for n, (kind, source, target, amount, left, reached) in enumerate((m for m in moves if m[3]), fill.leg)
    ]


def says_position(inside: Inside) -> bool:
    """Whether the position that begins with a fill follows from the fill."""
    return inside[_LEVERAGE] is not None


_LEVERAGE: Final = StoredFill.__struct_fields__.index("leverage") - len(FillRecord.__struct_fields__)


def _begins_so(row: Row, trade: Traded, margin: int) -> bool:
    """Whether the position that begins with a trade is in all what follows from the fill."""
    position, fill = trade.position, trade.fill
    return (
        position.lots == fill.lots != 0
        and position.margin == margin
        and position.entry_cost == abs(fill.cost)
        and position.funding_paid == 0
        and position.opened_at == row.at
        and not position.has_exits
    )


def _pattern(
    ticker: str, trade: Traded, wallet: str, posted: str, margin: int, covered: int, referrer: str | None
) -> list[Move]:
    """The moves of a trade of this margin and covered debt, if it moves money as trades do."""
    moves: list[Move] = []
    if margin:
        if trade.adds:
            moves.append((wallet, posted, margin, TransferKind.MARGIN))
        else:
            moves.append((posted, wallet, margin, TransferKind.MARGIN_RETURN))
    if trade.pnl or trade.bad_debt or covered:
        house, loss = house_account(ticker), max(-trade.pnl, 0) - trade.bad_debt
        if loss:
            moves.append((posted, house, loss, TransferKind.LOSS))
        if trade.pnl > 0:
            moves.append((house, wallet, trade.pnl, TransferKind.PROFIT))
        if covered:
            moves.append((insurance_account(ticker), house, covered, TransferKind.BAD_DEBT))
    fee = trade.fee - trade.referral
    if fee:
        if trade.kind is TradeKind.LIQUIDATION:
            moves.append((wallet, insurance_account(ticker), fee, TransferKind.LIQUIDATION_FEE))
        else:
            moves.append((wallet, FEES, fee, TransferKind.FEE))
    if trade.referral:
        moves.append((wallet, user_account(referrer or ""), trade.referral, TransferKind.REFERRAL))
    return moves
