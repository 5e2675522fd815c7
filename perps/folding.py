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
    wallet, posted = user_account(fill.user_id), margin_account(ticker)
    loss, profit = max(-fill.pnl, 0) - fill.bad_debt, max(fill.pnl, 0)
    referral, fee = fill.referral, fill.fee - fill.referral
    in_wallet, in_margin = fill.wallet_balance or 0, (fill.margin_balance or 0) + loss
    after_fee = in_wallet + referral
    after_profit = after_fee + fee
    after_margin = after_profit - profit
    legs: list[LegRecord] = []

    def add(kind: str, source: str, target: str, amount: int, left: int, reached: int) -> None:
        n = first + len(legs)
        legs.append(LegRecord(offset, n, at, kind, source, target, amount, left, reached, position))

    offset, at, first, position = fill.offset, fill.at, fill.leg, fill.position_id
    if margin and fill.kind == OPEN:
        add(_MARGIN, wallet, posted, margin, after_margin, in_margin)
    elif margin:
        add(_MARGIN_RETURN, posted, wallet, margin, in_margin, after_margin)
    if loss or profit or paid:
        house, in_house = house_account(ticker), fill.house_balance or 0
        if loss:
            add(_LOSS, posted, house, loss, in_margin - loss, in_house + profit - paid)
        if profit:
            add(_PROFIT, house, wallet, profit, in_house - paid, after_profit)
        if paid:
            charged = fee if fill.kind == LIQUIDATION else 0
            insured = (fill.insurance_balance or 0) - charged
            add(_BAD_DEBT, insurance_account(ticker), house, paid, insured, in_house)
    if fee and fill.kind == LIQUIDATION:
        add(_LIQUIDATION_FEE, wallet, insurance_account(ticker), fee, after_fee, fill.insurance_balance or 0)
    elif fee:
        add(_FEE, wallet, FEES, fee, after_fee, fill.fees_balance or 0)
    if referral:
        add(_REFERRAL, wallet, user_account(fill.referrer or ""), referral, in_wallet, fill.referrer_balance or 0)
    return legs


_MARGIN, _MARGIN_RETURN, _LOSS, _PROFIT, _BAD_DEBT, _LIQUIDATION_FEE, _FEE, _REFERRAL = (
    kind.value
    for kind in (
        TransferKind.MARGIN,
        TransferKind.MARGIN_RETURN,
        TransferKind.LOSS,
        TransferKind.PROFIT,
        TransferKind.BAD_DEBT,
        TransferKind.LIQUIDATION_FEE,
        TransferKind.FEE,
        TransferKind.REFERRAL,
    )
)


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
