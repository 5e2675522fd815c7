"""``perps trade order|orders|cancel``: orders that wait for their price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import rich_click as click
from msgspec import Struct

from perps.wire.orders.cancelling import CANCEL, CANCEL_ALL, OrdersCancelled
from perps.wire.orders.placing import PLACE, Placed
from perps.wire.orders.reading import LIST, OrderAnswer, Orders
from tools.admin.answers import cursor_option, limit_option, show_as, show_list, show_rows
from tools.argument_types import AMOUNT, MOMENT, POSITION_ID, TICKER
from tools.settings import Access, SettingsCommand, json_option
from tools.times import rfc3339
from tools.trade.access import trader_options
from tools.trade.positions import SIDE, id_option, leverage_option, price_options, with_options

COLUMNS: Final = {
    "order": "id",
    "ticker": "ticker",
    "type": "type",
    "side": "side",
    "size": "size",
    "price": "price",
    "leverage": "leverage",
    "reserve": "reserve",
    "status": "status",
    "reason": "reason",
    "position": "positionId",
    "expires": "expiresAt",
    "filled": "twap.filled",
    "next": "twap.nextAt",
}


@click.command("order", cls=SettingsCommand)
@click.argument("ticker", type=TICKER)
@click.argument("type", type=click.Choice(["limit", "stop"]))
@click.argument("side", type=SIDE)
@click.argument("size", type=AMOUNT)
@click.argument("price", type=AMOUNT)
@leverage_option
@with_options(*price_options)
@click.option("--acceptable-price", type=AMOUNT, help="Of a stop: the worst average price that you accept, USD.")
@click.option("--expires-at", type=MOMENT, help="ISO 8601; UTC if it names no zone.  [default: never]")
@id_option
@trader_options
@json_option
def place_order(expires_at: int | None, access: Access, as_json: bool, **order: str | int | None) -> None:
    """Let an order for SIZE US dollars wait for PRICE.

    perps trade order BTC-PERP limit long 1000 59000 --leverage 10

    A limit waits for a better price than now, a stop for a worse one.
    """
    expiry = None if expires_at is None else rfc3339(expires_at)
    show_as(
        access,
        PLACE,
        Placed,
        lambda told: show_rows([told.order], COLUMNS),
        as_json=as_json,
        expires_at=expiry,
        **order,
    )


@click.command("orders", cls=SettingsCommand)
@click.option("--status", type=click.Choice(["open", "closed", "all"]), default="open", show_default=True)
@click.option("--ticker", type=TICKER, help="Those of this market.")
@limit_option
@cursor_option
@trader_options
@json_option
def list_orders(access: Access, as_json: bool, **query: str | int | None) -> None:
    """Show your orders, those placed last first."""
    show_list(access, LIST, Orders, lambda page: page.orders, COLUMNS, as_json=as_json, **query)


@click.command("cancel", cls=SettingsCommand)
@click.argument("order_id", metavar="ORDER", type=POSITION_ID, required=False)
@click.option("--all", "is_all", is_flag=True, help="Every order that waits.")
@click.option("--ticker", type=TICKER, help="With --all: those of this market.")
@trader_options
@json_option
def cancel_order(order_id: str | None, is_all: bool, ticker: str | None, access: Access, as_json: bool) -> None:
    """Cancel an order that waits for its price.

    perps trade orders shows their ids.
    """
    if is_all == (order_id is not None):
        raise click.UsageError("name an order, or say --all")
    if ticker is not None and not is_all:
        raise click.UsageError("--ticker goes with --all")
    if is_all:
        show_as(access, CANCEL_ALL, OrdersCancelled, lambda told: _show(told.orders), as_json=as_json, ticker=ticker)
    else:
        show_as(access, CANCEL, OrderAnswer, lambda told: _show([told.order]), as_json=as_json, order_id=order_id)


def _show(orders: Sequence[Struct]) -> None:
    show_rows(orders, COLUMNS)
