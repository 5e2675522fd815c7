"""``perps trade trail``: leave a position once the price comes back from its best."""

from __future__ import annotations

from typing import Final

import rich_click as click

from perps.wire.orders.placing import PLACE, QUOTE, OrderQuoted, Placed
from tools.admin.answers import show_as, show_rows
from tools.argument_types import AMOUNT, MOMENT, POSITION_ID
from tools.settings import Access, SettingsCommand, json_option
from tools.times import rfc3339
from tools.trade.access import trader_options
from tools.trade.positions import id_option

PLACED: Final = {
    "order": "order.id",
    "position": "order.positionId",
    "side": "order.side",
    "callback": "order.callback",
    "best": "order.extremePrice",
    "leaves-at": "order.price",
    "share": "order.percentage",
    "status": "order.status",
}
QUOTED: Final = {
    "mark": "markPrice",
    "leaves-at": "triggerPrice",
    "pnl": "expected.pnl",
    "fee": "expected.fee.amount",
    "brings": "expected.netSettlement",
    "warnings": "warnings",
}


@click.command("trail", cls=SettingsCommand)
@click.argument("position_id", metavar="POSITION", type=POSITION_ID)
@click.argument("callback", type=AMOUNT)
@click.option("--percentage", type=AMOUNT, help="A share of the position: 0.5 is half.  [default: 1, all of it]")
@click.option("--acceptable-price", type=AMOUNT, help="The worst average price that you accept, USD.")
@click.option("--expires-at", type=MOMENT, help="ISO 8601; UTC if it names no zone.  [default: never]")
@id_option
@click.option("--dry-run", is_flag=True, help="Only say where it would lie and what it would bring. Nothing is placed.")
@trader_options
@json_option
def trail_position(
    expires_at: int | None,
    dry_run: bool,
    access: Access,
    as_json: bool,
    **order: str | int | None,
) -> None:
    """Leave POSITION once the mark price comes back from its best by CALLBACK: 0.02 is 2 %.

    perps trade trail BTC-PERP-1 0.02

    It is an order: perps trade orders shows how far it has followed the price, perps trade cancel takes it back.
    """
    expiry = None if expires_at is None else rfc3339(expires_at)
    fields = {**order, "type": "trailing_stop", "expires_at": expiry}
    if dry_run:
        show_as(access, QUOTE, OrderQuoted, lambda told: show_rows([told], QUOTED), as_json=as_json, **fields)
        return
    show_as(access, PLACE, Placed, lambda told: show_rows([told], PLACED), as_json=as_json, **fields)
