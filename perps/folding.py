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
later version makes of trades. The way back is SQL, the views of migration 0007.
"""

from collections.abc import Sequence
from typing import Any, Final

from perps.effects import Traded, TradeKind
from perps.events import Transfer, TransferKind
from perps.journal import Row
from perps.money.accounts import FEES, house_account, insurance_account, margin_account, user_account
from perps.money.ledger import Leg
from perps.query_rows import FillRecord, StoredFill
from perps.units import Micros

Inside = tuple[Any, ...]
"""The columns that ``StoredFill`` has beyond ``FillRecord``, in order."""

APART: Final[Inside] = (None,) * (len(StoredFill.__struct_fields__) - len(FillRecord.__struct_fields__))
"""Of a fill whose legs and position are stored by themselves."""


def folded(row: Row, trade: Traded, legs: Sequence[Leg], first: int) -> Inside:
    """What a fill holds of its trade's money; ``APART`` when the legs are not exactly those of the pattern.

    ``first``: which transfer of the row is the first of ``legs``.
    """
    position, ticker = trade.position, row.stream
    margin = covered = Micros(0)
    referrer: str | None = None
    balances: dict[str, int] = {}
    for leg in legs:
        transfer = leg.transfer
        balances[transfer.source] = leg.source_balance
        balances[transfer.target] = leg.target_balance
        kind = transfer.kind
        if kind is TransferKind.MARGIN or kind is TransferKind.MARGIN_RETURN:
            margin = transfer.amount
        elif kind is TransferKind.BAD_DEBT:
            covered = transfer.amount
        elif kind is TransferKind.REFERRAL:
            referrer = position.referrer
    if referrer == position.user:
        return APART  # the account in the end does not say what it held before each leg
    if [leg.transfer for leg in legs] != _pattern(ticker, trade, margin, covered, referrer):
        return APART
    begins, balance = _begins_so(row, trade, margin), balances.get
    return (
        first,
        position.leverage if begins else None,
        position.cash if begins else None,
        margin,
        covered or None,
        balance(user_account(position.user)),
        balance(margin_account(ticker)),
        balance(house_account(ticker)),
        balance(insurance_account(ticker)),
        balance(FEES),
        referrer,
        None if referrer is None else balance(user_account(referrer)),
    )


def says_position(inside: Inside) -> bool:
    """Whether the position that begins with a fill follows from the fill."""
    return inside[_LEVERAGE] is not None


_LEVERAGE: Final = StoredFill.__struct_fields__.index("leverage") - len(FillRecord.__struct_fields__)


def _begins_so(row: Row, trade: Traded, margin: int) -> bool:
    """Whether a position begins with this trade, and is in all what follows from the fill."""
    position, fill = trade.position, trade.fill
    return (
        trade.is_new
        and trade.adds
        and trade.pnl == 0
        and position.lots == fill.lots != 0
        and position.margin == margin
        and position.entry_cost == abs(fill.cost)
        and position.funding_paid == 0
        and position.opened_at == row.at
    )


def _pattern(ticker: str, trade: Traded, margin: Micros, covered: Micros, referrer: str | None) -> list[Transfer]:
    """The transfers of a trade of this margin and covered debt, if it moves money as trades do."""
    wallet, posted = user_account(trade.position.user), margin_account(ticker)
    fee, referral = Micros(trade.fee - trade.referral), trade.referral
    moves: list[Transfer] = []
    if margin and trade.adds:
        moves.append(Transfer(wallet, posted, margin, TransferKind.MARGIN))
    elif margin:
        moves.append(Transfer(posted, wallet, margin, TransferKind.MARGIN_RETURN))
    if trade.pnl or trade.bad_debt or covered:
        house, pnl = house_account(ticker), trade.pnl
        loss = Micros(max(-pnl, 0) - trade.bad_debt)
        if loss:
            moves.append(Transfer(posted, house, loss, TransferKind.LOSS))
        if pnl > 0:
            moves.append(Transfer(house, wallet, pnl, TransferKind.PROFIT))
        if covered:
            moves.append(Transfer(insurance_account(ticker), house, covered, TransferKind.BAD_DEBT))
    if fee and trade.kind is TradeKind.LIQUIDATION:
        moves.append(Transfer(wallet, insurance_account(ticker), fee, TransferKind.LIQUIDATION_FEE))
    elif fee:
        moves.append(Transfer(wallet, FEES, fee, TransferKind.FEE))
    if referral:
        moves.append(Transfer(wallet, user_account(referrer or ""), referral, TransferKind.REFERRAL))
    return moves
