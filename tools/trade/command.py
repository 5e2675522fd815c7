"""``perps trade``: trade from the command line."""

from __future__ import annotations

import rich_click as click

from tools.settings import SettingsGroup
from tools.trade.account import list_trades, show_balance
from tools.trade.orders import cancel_order, list_orders, place_order
from tools.trade.positions import close_position, list_positions, open_position, trade_net
from tools.trade.trailing import trail_position
from tools.trade.twap import place_twap


@click.group(cls=SettingsGroup)
def trade() -> None:
    """Trade: positions, orders, your balance.

    The key is in PERPS_KEY, in a file that --key-file names, or in the data directory, where --as alice takes
    alice.key.
    """


for _command in (
    open_position,
    close_position,
    trade_net,
    list_positions,
    place_order,
    trail_position,
    place_twap,
    list_orders,
    cancel_order,
    show_balance,
    list_trades,
):
    trade.add_command(_command)
