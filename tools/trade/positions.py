"""``perps trade open|close|net|positions``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import rich_click as click
from msgspec import UNSET, to_builtins

from perps.wire.close_all import CLOSE_ALL, ClosedAll
from perps.wire.net import TRADE, NetTraded
from perps.wire.trading import CLOSE, OPEN, POSITIONS, QUOTE, Closed, Opened, Positions, Quoted
from perps.wire.users import ME
from tools.admin.answers import cursor_option, limit_option, show_as, show_list, show_rows
from tools.argument_types import AMOUNT, POSITION_ID, TICKER, Whole
from tools.output import flat, show_line, show_record
from tools.settings import Access, SettingsCommand, json_option
from tools.trade.access import trader_options

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

SIDE: Final = click.Choice(["long", "short"])
COLUMNS: Final = {
    "position": "id",
    "ticker": "ticker",
    "side": "side",
    "quantity": "quantity",
    "entry": "entryPrice",
    "mark": "markPrice",
    "leverage": "leverage",
    "margin": "margin",
    "liquidation": "liquidationPrice",
    "pnl": "unrealizedPnL",
    "pnl %": "unrealizedPnLPercent",
    "take-profit": "takeProfit",
    "stop-loss": "stopLoss",
    "status": "status",
}
OPENED: Final = (
    "position.id",
    "position.side",
    "position.quantity",
    "fill.price",
    "position.entryPrice",
    "position.liquidationPrice",
    "marginPaid",
    "fee.amount",
    "newBalance",
)
QUOTED: Final = (
    "fill.price",
    "fill.quantity",
    "entryPrice",
    "liquidationPrice",
    "marginRequired",
    "fee.amount",
    "totalRequired",
    "largestSize",
)
NETTED: Final = (
    "fill.price",
    "fill.quantity",
    "opened.position.id",
    "increased.position.id",
    "pnl",
    "marginPaid",
    "fee.amount",
    "newBalance",
)
CLOSED: Final = ("position.id", "position.status", "fill.price", "fill.quantity", "pnl", "fee.amount", "newBalance")

leverage_option = click.option("--leverage", type=Whole(1, 1_000_000), default=1, show_default=True)
price_options = (
    click.option("--take-profit", type=AMOUNT, help="Close it when the mark price has gained to here, USD."),
    click.option("--stop-loss", type=AMOUNT, help="Close it when the mark price has lost to here, USD."),
)
worst_price_options = (
    click.option("--acceptable-price", type=AMOUNT, help="The worst average price that you accept, USD."),
    click.option("--max-slippage-bps", type=Whole(0, 10_000), help="Or how far from the quote, in 1/10,000."),
)
id_option = click.option("--client-order-id", help="An id of your own: sent again with it, it is done once.")


def with_options(*options: Callable[[Any], Any]) -> Callable[[Decorated], Decorated]:
    """Several options at once."""

    def decorated(function: Decorated) -> Decorated:
        for option in reversed(options):
            function = option(function)
        return function

    return decorated


@click.command("open", cls=SettingsCommand)
@click.argument("ticker", type=TICKER)
@click.argument("side", type=SIDE)
@click.argument("size", type=AMOUNT)
@leverage_option
@with_options(*price_options, *worst_price_options)
@click.option("--position", "position_id", type=POSITION_ID, help="Add to this position of yours.")
@id_option
@click.option("--dry-run", is_flag=True, help="Only say what it would cost. Nothing is opened.")
@trader_options
@json_option
def open_position(
    access: Access, as_json: bool, dry_run: bool, client_order_id: str | None, **order: str | int | None
) -> None:
    """Open a position of at most SIZE US dollars, long or short.

    perps trade open BTC-PERP long 1000 --leverage 10
    """
    if dry_run:
        show_as(access, QUOTE, Quoted, lambda told: _show(told, QUOTED), as_json=as_json, **order)
        return
    given = {**order, "client_order_id": client_order_id}
    show_as(access, OPEN, Opened, lambda told: _show(told, OPENED), as_json=as_json, **given)


@click.command("close", cls=SettingsCommand)
@click.argument("position_id", metavar="POSITION", type=POSITION_ID, required=False)
@click.option("--all", "is_all", is_flag=True, help="Every position, each by itself.")
@click.option("--ticker", type=TICKER, help="With --all: those of this market.")
@click.option("--percentage", type=AMOUNT, help="A share: 0.5 is half.  [default: 1, all of it]")
@click.option("--quantity", type=AMOUNT, help="Or so many base units.")
@click.option("--size", type=AMOUNT, help="Or so many US dollars of notional.")
@with_options(*worst_price_options)
@id_option
@trader_options
@json_option
def close_position(
    position_id: str | None, is_all: bool, ticker: str | None, access: Access, as_json: bool, **order: str | int | None
) -> int:
    """Close a position, or a part of it.

    perps trade positions shows their ids.
    """
    if is_all == (position_id is not None):
        raise click.UsageError("name a position, or say --all")
    if ticker is not None and not is_all:
        raise click.UsageError("--ticker goes with --all")
    if not is_all:
        show_as(
            access,
            CLOSE,
            Closed,
            lambda told: _show(told, CLOSED),
            as_json=as_json,
            position_id=position_id,
            **order,
        )
        return 0
    if any(value is not None for value in order.values()):
        raise click.UsageError("--all closes each position whole, at any price; leave the other options out")
    failed: list[str] = []

    def show(done: ClosedAll) -> None:
        for result in done.results:
            if result.error is not UNSET:
                failed.append(f"{result.position_id}: {result.error.code}: {result.error.message}")
        closed = [result.closed for result in done.results if result.closed is not UNSET]
        show_rows(closed, {"position": "position.id", "price": "fill.price", "pnl": "pnl", "balance": "newBalance"})
        if done.remaining:
            failed.append(f"{done.remaining} are still open: say it again")
        for line in failed:
            show_line(f"perps: error: {line}", err=True)

    show_as(access, CLOSE_ALL, ClosedAll, show, as_json=as_json, ticker=ticker)
    return 1 if failed else 0


@click.command("net", cls=SettingsCommand)
@click.argument("ticker", type=TICKER)
@click.argument("side", type=SIDE)
@click.argument("size", type=AMOUNT)
@leverage_option
@click.option("--reduce-only", is_flag=True, default=None, help="Only close: open nothing with what is left.")
@with_options(*worst_price_options)
@id_option
@trader_options
@json_option
def trade_net(access: Access, as_json: bool, **order: str | int | bool | None) -> None:
    """Close the other side first, then open with what is left of SIZE US dollars. All of it, or nothing.

    perps trade net BTC-PERP short 1500 --leverage 10
    """
    show_as(access, TRADE, NetTraded, lambda told: _show(told, NETTED), as_json=as_json, **order)


@click.command("positions", cls=SettingsCommand)
@click.option("--status", type=click.Choice(["open", "closed", "all"]), default="open", show_default=True)
@click.option("--ticker", type=TICKER, help="Those of this market.")
@limit_option
@cursor_option
@trader_options
@json_option
def list_positions(access: Access, as_json: bool, **query: str | int | None) -> None:
    """Show your positions, newest first."""
    show_list(
        access,
        POSITIONS,
        Positions,
        lambda page: page.perpetuals.positions,
        COLUMNS,
        as_json=as_json,
        user_id=ME,
        **query,
    )


def _show(answer: object, names: tuple[str, ...]) -> None:
    """Some values of an answer, and its warning."""
    record = dict(flat(to_builtins(answer)))
    show_record({name: record[name] for name in names if name in record})
    if warning := record.get("warning"):
        hint = "the mark price comes to the liquidation price before the stop-loss" if "stop" in warning else warning
        show_line(f"warning: {hint}", err=True)
