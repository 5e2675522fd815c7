"""Users and their money as the API shows them."""

from __future__ import annotations

from msgspec.structs import asdict

from perps.events import TransferKind
from perps.journal import Entry
from perps.query_rows import LegRecord
from perps.wire.users import Balance, Paid, Transaction, User, UserCreated, Wallet
from web.answers import decimals
from web.answers.times import rfc3339
from web.readside.model import ReadModel


def wallet(model: ReadModel, user: str) -> Wallet:
    """A user's money. The caller has seen that the user exists."""
    view, held = model.users[user], model.wallet(user)
    return Wallet(
        balance=decimals.money(held),
        held="0.00",
        available=decimals.money(held),
        margin=decimals.money(view.margin),
        total_deposited=decimals.money(view.deposited),
        total_withdrawn=decimals.money(view.withdrawn),
        lifetime_pnl=decimals.money(view.pnl),
        total_fees=decimals.money(view.fees),
    )


def balance(model: ReadModel, user: str) -> Balance:
    """A user's money, as of now. The caller has seen that the user exists."""
    return Balance(**asdict(wallet(model, user)), offset=model.offset)


def created(model: ReadModel, user: str, offset: int) -> UserCreated:
    """A user who exists since row ``offset``."""
    return UserCreated(**asdict(wallet(model, user)), user_id=user, referrer=model.users[user].referrer, offset=offset)


def user(model: ReadModel, name: str) -> User:
    """A user in the administrator's list. The caller has seen that the user exists."""
    view = model.users[name]
    return User(**asdict(wallet(model, name)), user_id=name, referrer=view.referrer, open_positions=len(view.positions))


def paid(entry: Entry, user: str, amount: int) -> Paid:
    """The answer to a deposit or a withdrawal. A function of its journal row alone."""
    row = entry.row
    return Paid(
        user_id=user,
        amount=decimals.money(amount),
        new_balance=decimals.money(row.user_balance or 0),
        client_order_id=row.client_order_id,
        offset=row.offset,
    )


def transaction(record: LegRecord, account: str) -> Transaction:
    """One movement of a wallet, as its owner sees it: out is negative."""
    outgoing = record.source == account
    after = record.source_balance if outgoing else record.target_balance
    amount = -record.amount if outgoing else record.amount
    return Transaction(
        id=f"{record.offset}-{record.n}",
        type=TransferKind(record.kind),
        amount=decimals.money(amount),
        balance_before=decimals.money(after - amount),
        balance_after=decimals.money(after),
        related_id=record.position_id,
        at=rfc3339(record.at),
    )
