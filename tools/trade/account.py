"""``perps trade balance|history``."""

from __future__ import annotations

from typing import Final

import rich_click as click

from perps.wire.history import USER_TRADES, UserTrades
from perps.wire.users import BALANCE, ME
from tools.admin.answers import cursor_option, limit_option, show_answer, show_list
from tools.settings import Access, SettingsCommand, json_option
from tools.trade.access import trader_options

COLUMNS: Final = {
    "at": "at",
    "ticker": "ticker",
    "position": "positionId",
    "kind": "kind",
    "side": "side",
    "quantity": "quantity",
    "price": "price",
    "size": "size",
    "pnl": "realizedPnL",
    "funding": "funding",
    "fee": "fee.amount",
    "reason": "reason",
}


@click.command("balance", cls=SettingsCommand)
@trader_options
@json_option
def show_balance(access: Access, as_json: bool) -> None:
    """Show your money: what is free, what orders keep, what is in positions."""
    show_answer(access, BALANCE, as_json=as_json, user_id=ME)


@click.command("history", cls=SettingsCommand)
@limit_option
@cursor_option
@trader_options
@json_option
def list_trades(access: Access, as_json: bool, **query: str | int | None) -> None:
    """Show your trades, newest first."""
    show_list(access, USER_TRADES, UserTrades, lambda page: page.trades, COLUMNS, as_json=as_json, user_id=ME, **query)
