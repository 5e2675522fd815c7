"""Users and their money as the API shows them."""

from __future__ import annotations

from perps.query_rows import LegRecord
from web.answers import Json, decimals
from web.answers.times import rfc3339
from web.readside.model import ReadModel


def balance(model: ReadModel, user: str) -> Json:
    """``GET /api/users/{userId}/balance``. The caller has seen that the user exists."""
    view = model.users[user]
    wallet = model.wallet(user)
    return {
        "balance": decimals.money(wallet),
        "held": "0.00",
        "available": decimals.money(wallet),
        "margin": decimals.money(sum(position.margin for position in view.positions.values())),
        "totalDeposited": decimals.money(view.deposited),
        "totalWithdrawn": decimals.money(view.withdrawn),
        "lifetimePnL": decimals.money(view.pnl),
        "totalFees": decimals.money(view.fees),
        "offset": model.offset,
    }


def user(model: ReadModel, name: str) -> Json:
    """A user in the administrator's list. The caller has seen that the user exists."""
    view = model.users[name]
    figures = balance(model, name)
    del figures["offset"]
    return {"userId": name, "referrer": view.referrer, **figures, "openPositions": len(view.positions)}


def transaction(record: LegRecord, account: str) -> Json:
    """One movement of a wallet, as its owner sees it: out is negative."""
    outgoing = record.source == account
    after = record.source_balance if outgoing else record.target_balance
    amount = -record.amount if outgoing else record.amount
    return {
        "id": f"{record.offset}-{record.n}",
        "type": record.kind,
        "amount": decimals.money(amount),
        "balanceBefore": decimals.money(after - amount),
        "balanceAfter": decimals.money(after),
        "relatedId": record.position_id,
        "at": rfc3339(record.at),
    }
