"""Users and their money."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from perps.events import TransferKind
from perps.wire.base import Answer, Body, ClientOrderId, Cursor, Money, Number, Offset, Time, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.lists import Page
from perps.wire.operation import COMMAND, Operation

ME: Final = "me"
"""In the path of a user's own data: the user of the key. No user can be called so."""


class Wallet(Answer):
    """A user's money."""

    balance: Annotated[Money, Meta(description="The wallet.")]
    held: Annotated[Money, Meta(description="What resting orders keep. It has left the wallet.")]
    available: Annotated[Money, Meta(description="What can be spent: the wallet.")]
    total: Annotated[Money, Meta(description="`balance` and `held` together.")]
    margin: Annotated[Money, Meta(description="The money in open positions.")]
    total_deposited: Money
    total_withdrawn: Money
    lifetime_pnl: Annotated[Money, Meta(description="Realised, before fees.")]
    total_fees: Money


class Balance(Wallet):
    """A user's money, as of an offset."""

    offset: Offset


class User(Wallet):
    """A user in the administrator's list."""

    user_id: UserId
    referrer: UserId | None
    open_positions: int


class Users(Answer):
    """Every user, the newest first."""

    users: list[User]
    offset: Offset
    next_cursor: Cursor | None


class UserBody(Body):
    """A user to create."""

    user_id: UserId
    deposit: Annotated[Number | None, Meta(description="A first deposit, US dollars.", examples=["1000"])] = None
    referrer: Annotated[UserId | None, Meta(description="Who gets a share of this user's fees.")] = None


class UserCreated(Balance):
    """A user who exists now."""

    user_id: UserId
    referrer: UserId | None


class AmountBody(Body):
    """Money to put into a wallet, or to take out."""

    amount: Annotated[Number, Meta(description="US dollars, more than 0.", examples=["50"])]
    client_order_id: ClientOrderId | None = None


class Paid(Answer):
    """Money that has entered or left a wallet."""

    user_id: UserId
    amount: Money
    new_balance: Money
    client_order_id: str | None
    offset: Offset


class Transaction(Answer):
    """One movement of a wallet: out is negative."""

    id: str
    type: TransferKind
    amount: Money
    balance_before: Money
    balance_after: Money
    related_id: Annotated[str | None, Meta(description="The position that the money moved for.")]
    at: Time


class Transactions(Answer):
    """What changed a wallet, newest first."""

    transactions: list[Transaction]
    next_cursor: Cursor | None


BALANCE: Final = Operation(
    name="getBalance",
    tag="Users",
    method="GET",
    path="/api/users/{userId}/balance",
    summary="A user's wallet, margin and lifetime sums",
    scope="read",
    own=True,
    answers={200: Balance},
    refusals=(Code.USER_NOT_FOUND,),
)
TRANSACTIONS: Final = Operation(
    name="listTransactions",
    tag="Users",
    method="GET",
    path="/api/users/{userId}/transactions",
    summary="What changed a user's wallet, newest first",
    scope="read",
    own=True,
    query=Page,
    answers={200: Transactions},
    refusals=(Code.USER_NOT_FOUND, Code.RATE_LIMITED),
)
CREATE_USER: Final = Operation(
    name="createUser",
    tag="Administration",
    method="POST",
    path="/api/admin/users",
    summary="Create a user, with a first deposit and a referrer if wanted",
    scope="admin",
    body=UserBody,
    answers={201: UserCreated},
    links={name: {"userId": "/userId"} for name in ("getBalance", "deposit", "withdraw", "listPositions")},
    refusals=(Code.USER_NOT_FOUND, Code.USER_EXISTS, Code.PARAMETERS_INCONSISTENT, *COMMAND),
)
LIST_USERS: Final = Operation(
    name="listUsers",
    tag="Administration",
    method="GET",
    path="/api/admin/users",
    summary="Every user, the newest first",
    scope="admin",
    query=Page,
    answers={200: Users},
)
DEPOSIT: Final = Operation(
    name="deposit",
    tag="Administration",
    method="POST",
    path="/api/admin/users/{userId}/deposit",
    summary="Put money into a user's wallet",
    scope="admin",
    body=AmountBody,
    answers={200: Paid},
    refusals=(Code.USER_NOT_FOUND, Code.CLIENT_ORDER_ID_REUSED, *COMMAND),
)
WITHDRAW: Final = Operation(
    name="withdraw",
    tag="Administration",
    method="POST",
    path="/api/admin/users/{userId}/withdraw",
    summary="Take money out of a user's wallet",
    scope="admin",
    body=AmountBody,
    answers={200: Paid},
    refusals=(Code.USER_NOT_FOUND, Code.CLIENT_ORDER_ID_REUSED, Code.INSUFFICIENT_FUNDS, *COMMAND),
)
