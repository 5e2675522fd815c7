"""``perps trade twap``: a size that is taken in slices."""

from __future__ import annotations

from typing import Final

import rich_click as click

from perps.params import INTERVAL_MS_MAX, INTERVAL_MS_MIN, SLICES_MAX, SLICES_MIN
from perps.wire.orders.placing import PLACE, QUOTE, OrderQuoted, Placed
from tools.admin.answers import show_as, show_rows
from tools.argument_types import AMOUNT, MOMENT, TICKER, Whole
from tools.settings import Access, SettingsCommand, json_option
from tools.times import rfc3339
from tools.trade.access import trader_options
from tools.trade.orders import COLUMNS
from tools.trade.positions import SIDE, id_option, leverage_option

EVERY_S: Final = Whole(INTERVAL_MS_MIN // 1_000, INTERVAL_MS_MAX // 1_000)
_OF_ORDERS: Final = ("order", "ticker", "side", "size", "leverage", "reserve", "status", "position")
SLICED: Final = {name: COLUMNS[name] for name in _OF_ORDERS} | {
    "done": "twap.done",
    "slices": "twap.slices",
    "filled": "twap.filled",
    "left": "twap.left",
    "next": "twap.nextAt",
}
QUOTED: Final = {
    "reserve": "reserve",
    "maxFee": "maxFee",
    "expected": "expected.status",
    "reason": "expected.reason",
    "price": "expected.fill.price",
    "quantity": "expected.fill.quantity",
    "liquidation": "expected.liquidationPrice",
}


@click.command("twap", cls=SettingsCommand)
@click.argument("ticker", type=TICKER)
@click.argument("side", type=SIDE)
@click.argument("size", type=AMOUNT)
@click.option("--slices", type=Whole(SLICES_MIN, SLICES_MAX), required=True, help="In how many slices.")
@click.option("--every", type=EVERY_S, required=True, help="Seconds from one slice to the next.")
@leverage_option
@click.option(
    "--acceptable-price", type=AMOUNT, help="The worst average price of a slice, USD. One beyond it is skipped."
)
@click.option("--expires-at", type=MOMENT, help="ISO 8601; UTC if it names no zone.  [default: never]")
@id_option
@click.option("--dry-run", is_flag=True, help="Only say what it would take. Nothing is placed.")
@trader_options
@json_option
def place_twap(
    every: int,
    expires_at: int | None,
    access: Access,
    as_json: bool,
    dry_run: bool,
    **order: str | int | None,
) -> None:
    """Take SIZE US dollars in slices: one at once, the others one by one.

    perps trade twap BTC-PERP long 12000 --slices 12 --every 300 --leverage 10

    The first slice opens a position, the later ones add to it. perps trade orders shows how far it is.
    """
    expiry = None if expires_at is None else rfc3339(expires_at)
    fields = {**order, "type": "twap", "interval_ms": 1_000 * every, "expires_at": expiry}
    if dry_run:
        show_as(access, QUOTE, OrderQuoted, lambda told: show_rows([told], QUOTED), as_json=as_json, **fields)
        return
    show_as(access, PLACE, Placed, lambda told: show_rows([told.order], SLICED), as_json=as_json, **fields)
