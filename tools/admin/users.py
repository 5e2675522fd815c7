"""``perps user``: list users, create them, move their money, and look at their wallets."""

from __future__ import annotations

from typing import Final

import rich_click as click

from perps.wire.results import EQUITY, LEADERBOARD, EquityHistory, Leaderboard
from perps.wire.users import BALANCE, CREATE_USER, DEPOSIT, LIST_USERS, WITHDRAW, Users
from tools.admin.answers import cursor_option, limit_option, show_answer, show_list
from tools.argument_types import AMOUNT, USER_ID
from tools.settings import Access, SettingsGroup, access_options, json_option

COLUMNS: Final = {
    "user": "userId",
    "balance": "balance",
    "in margin": "margin",
    "open": "openPositions",
    "lifetime pnl": "lifetimePnL",
    "fees": "totalFees",
    "referrer": "referrer",
}
LEADER_COLUMNS: Final = {
    "rank": "rank",
    "user": "userId",
    "gain": "gain",
    "realized pnl": "realizedPnL",
    "volume": "volume",
    "equity": "equity",
}
POINT_COLUMNS: Final = {"at": "at", "equity": "equity", "paid in": "paidIn"}
ID_HELP: Final = "Makes it safe to repeat: the same id moves the money once.  [default: a new id]"


@click.group(cls=SettingsGroup)
def user() -> None:
    """List users, create them, and move their money."""


@user.command("list")
@limit_option
@cursor_option
@access_options
@json_option
def list_users(limit: int, cursor: str | None, access: Access, as_json: bool) -> None:
    """Show users with their money and results, newest first."""
    given = {"limit": limit, "cursor": cursor}
    show_list(access, LIST_USERS, Users, lambda page: page.users, COLUMNS, as_json=as_json, **given)


@user.command("create")
@click.argument("user_id", type=USER_ID)
@click.option("--deposit", type=AMOUNT, help="A first deposit, USD.")
@click.option("--referrer", type=USER_ID, help="The user who referred this one and gets a share of the fees.")
@access_options
@json_option
def create_user(user_id: str, deposit: str | None, referrer: str | None, access: Access, as_json: bool) -> None:
    """Create a user."""
    show_answer(access, CREATE_USER, as_json=as_json, user_id=user_id, deposit=deposit, referrer=referrer)


@user.command("deposit")
@click.argument("user_id", type=USER_ID)
@click.argument("amount", type=AMOUNT)
@click.option("--client-order-id", help=ID_HELP)
@access_options
@json_option
def deposit_money(user_id: str, amount: str, client_order_id: str | None, access: Access, as_json: bool) -> None:
    """Add money (USD) to a user's wallet, from outside the venue."""
    given = {"user_id": user_id, "amount": amount, "client_order_id": client_order_id}
    show_answer(access, DEPOSIT, as_json=as_json, **given)


@user.command("withdraw")
@click.argument("user_id", type=USER_ID)
@click.argument("amount", type=AMOUNT)
@click.option("--client-order-id", help=ID_HELP)
@access_options
@json_option
def withdraw_money(user_id: str, amount: str, client_order_id: str | None, access: Access, as_json: bool) -> None:
    """Take money (USD) from a user's wallet, out of the venue."""
    given = {"user_id": user_id, "amount": amount, "client_order_id": client_order_id}
    show_answer(access, WITHDRAW, as_json=as_json, **given)


@user.command("balance")
@click.argument("user_id", type=USER_ID)
@access_options
@json_option
def balance(user_id: str, access: Access, as_json: bool) -> None:
    """Show a user's wallet, deposits and results."""
    show_answer(access, BALANCE, as_json=as_json, user_id=user_id)


window_option = click.option(
    "--window", type=click.Choice(["24h", "7d", "all"]), default="all", show_default=True, help="How far back."
)


@user.command("equity")
@click.argument("user_id", type=USER_ID)
@window_option
@limit_option
@cursor_option
@access_options
@json_option
def equity(user_id: str, window: str, limit: int, cursor: str | None, access: Access, as_json: bool) -> None:
    """Show what a user had over time, newest first, beside what was paid in."""
    given = {"user_id": user_id, "window": window, "limit": limit, "cursor": cursor}
    show_list(access, EQUITY, EquityHistory, lambda page: page.points, POINT_COLUMNS, as_json=as_json, **given)


@user.command("leaderboard")
@click.option(
    "--by",
    type=click.Choice(["lifetimePnL", "equity", "volume"]),
    default="lifetimePnL",
    show_default=True,
    help="By realized PnL, by what the equity has gained, or by volume.",
)
@window_option
@limit_option
@cursor_option
@access_options
@json_option
def leaderboard(by: str, window: str, limit: int, cursor: str | None, access: Access, as_json: bool) -> None:
    """Show who does best, the best first."""
    given = {"by": by, "window": window, "limit": limit, "cursor": cursor}
    show_list(access, LEADERBOARD, Leaderboard, lambda page: page.leaders, LEADER_COLUMNS, as_json=as_json, **given)
