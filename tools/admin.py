"""``perps market|user|key|stats``: administration by REST, like any other client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import rich_click as click

from tools.options import Access, SettingsCommand, SettingsGroup, access_options, json_option, url_option
from tools.output import flat, show_record, show_table
from tools.values import AMOUNT, KEY_ID, MOMENT, NOT_NEGATIVE, TICKER, USER_ID, rfc3339

if TYPE_CHECKING:
    from tools.client import Venue

SCOPES = ("read", "trade", "price", "admin")
MARKET_COLUMNS = {
    "ticker": "ticker",
    "status": "status",
    "index": "indexPrice",
    "mark": "markPrice",
    "24h %": "changePercent24h",
    "OI long": "openInterest.long",
    "OI short": "openInterest.short",
    "name": "name",
}


@click.group(cls=SettingsGroup)
def market() -> None:
    """List, create and switch markets."""


@market.command("list")
@url_option
@json_option
def list_markets(url: str, as_json: bool) -> None:
    """Every market, as it stands."""
    answer = _ask(Access(url, None), lambda venue: venue.markets())
    if as_json:
        click.echo(answer)
        return
    markets = [dict(flat(view)) for view in json.loads(answer)["markets"]]
    show_table(list(MARKET_COLUMNS), [[view.get(name, "") for name in MARKET_COLUMNS.values()] for view in markets])


@market.command("create")
@click.argument("ticker", type=TICKER)
@click.option("--organization-id", required=True, help="Whose market it is.")
@click.option("--name", required=True, help="What to call it.")
@click.option("--price", type=AMOUNT, required=True, help="The first index price.")
@click.option("--tick-size", type=AMOUNT, help="Smallest step of a price.")
@click.option("--lot-size", type=AMOUNT, help="Smallest step of a quantity, base units.")
@click.option("--mark-source", type=click.Choice(["index", "quote"]), help="The price for margin and liquidation.")
@click.option("--skew-scale", type=AMOUNT, help="Skew that moves the quote by 100 %, base units.")
@click.option("--max-skew", type=AMOUNT, help="Largest skew, base units.")
@click.option("--max-open-interest", type=AMOUNT, help="Largest open interest a side, base units.")
@click.option("--max-leverage", type=click.IntRange(1, 1000))
@click.option("--min-order-size", type=AMOUNT, help="Smallest order, USD.")
@click.option("--maker-fee", type=NOT_NEGATIVE, help="Part of the notional.")
@click.option("--taker-fee", type=NOT_NEGATIVE, help="Part of the notional.")
@click.option("--referral-share", type=NOT_NEGATIVE, help="The referrer's part of a fee.")
@click.option("--maintenance-rate", type=AMOUNT, help="Equity at or below this part of the notional is liquidated.")
@click.option("--liquidation-fee", type=NOT_NEGATIVE, help="Part of the notional.")
@click.option("--house-deposit", type=NOT_NEGATIVE, help="Money the house starts with.")
@click.option("--house-credit-limit", help="How far below 0 the house may go: an amount, or none.")
@access_options
@json_option
def create_market(ticker: str, access: Access, as_json: bool, **parameters: str | int | None) -> None:
    """List a market. What is left out, the venue chooses to suit the price."""
    body = {"ticker": ticker, **{_camel(name): value for name, value in parameters.items()}}
    _show(_ask(access, lambda venue: venue.create_market(body)), as_json=as_json)


@market.command("mode")
@click.argument("ticker", type=TICKER)
@click.argument("mode", type=click.Choice(["enabled", "reduce_only", "halted"]))
@access_options
@json_option
def set_mode(ticker: str, mode: str, access: Access, as_json: bool) -> None:
    """Enable a market, let it only reduce, or halt it."""
    _show(_ask(access, lambda venue: venue.set_mode(ticker, mode)), as_json=as_json)


@click.group(cls=SettingsGroup)
def user() -> None:
    """Create users, move their money, look at their wallets."""


@user.command("create")
@click.argument("user_id", type=USER_ID)
@click.option("--deposit", type=AMOUNT, help="A first deposit.")
@click.option("--referrer", type=USER_ID, help="Who brought him.")
@access_options
@json_option
def create_user(user_id: str, deposit: str | None, referrer: str | None, access: Access, as_json: bool) -> None:
    """Create a user."""
    answer = _ask(access, lambda venue: venue.create_user(user_id, deposit=deposit, referrer=referrer))
    _show(answer, as_json=as_json)


@user.command("deposit")
@click.argument("user_id", type=USER_ID)
@click.argument("amount", type=AMOUNT)
@click.option("--client-order-id", help="The same id again does nothing twice.")
@access_options
@json_option
def deposit_money(user_id: str, amount: str, client_order_id: str | None, access: Access, as_json: bool) -> None:
    """Money in from outside."""
    answer = _ask(access, lambda venue: venue.deposit(user_id, amount, client_order_id=client_order_id))
    _show(answer, as_json=as_json)


@user.command("withdraw")
@click.argument("user_id", type=USER_ID)
@click.argument("amount", type=AMOUNT)
@click.option("--client-order-id", help="The same id again does nothing twice.")
@access_options
@json_option
def withdraw_money(user_id: str, amount: str, client_order_id: str | None, access: Access, as_json: bool) -> None:
    """Money out."""
    answer = _ask(access, lambda venue: venue.withdraw(user_id, amount, client_order_id=client_order_id))
    _show(answer, as_json=as_json)


@user.command("balance")
@click.argument("user_id", type=USER_ID)
@access_options
@json_option
def balance(user_id: str, access: Access, as_json: bool) -> None:
    """A user's wallet and what he has made."""
    _show(_ask(access, lambda venue: venue.get(f"/api/users/{user_id}/balance")), as_json=as_json)


@click.group(cls=SettingsGroup)
def key() -> None:
    """Create and revoke API keys."""


@key.command("create")
@click.option("--user-id", type=USER_ID, help="Bind it to one user.")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, help="Once per scope.")
@click.option("--label", help="What it is for.")
@click.option("--expires-at", type=MOMENT, help="ISO 8601; UTC unless it says otherwise.")
@access_options
@json_option
def create_key(
    user_id: str | None,
    scopes: tuple[str, ...],
    label: str | None,
    expires_at: int | None,
    access: Access,
    as_json: bool,
) -> None:
    """Make a key. It is shown this once."""
    expiry = None if expires_at is None else rfc3339(expires_at)

    async def make(venue: Venue) -> bytes:
        made = await venue.create_key(scopes, user=user_id, label=label, expires_at=expiry)
        return json.dumps({"keyId": made.key_id, "key": made.key}).encode()

    _show(_ask(access, make), as_json=as_json)


@key.command("revoke")
@click.argument("key_id", type=KEY_ID)
@access_options
@json_option
def revoke_key(key_id: str, access: Access, as_json: bool) -> None:
    """End a key."""
    _show(_ask(access, lambda venue: venue.revoke_key(key_id)), as_json=as_json)


@click.command(cls=SettingsCommand)
@access_options
@json_option
def stats(access: Access, as_json: bool) -> None:
    """The venue's own numbers."""
    _show(_ask(access, lambda venue: venue.get("/api/admin/stats")), as_json=as_json)


def _ask(access: Access, question: Callable[[Venue], Awaitable[bytes]]) -> bytes:
    """Put one question to the venue; the JSON of its answer."""
    from tools.client import Venue

    async def ask() -> bytes:
        async with Venue(access.url, access.key) as venue:
            return await question(venue)

    return asyncio.run(ask())


def _show(answer: bytes, *, as_json: bool) -> None:
    if as_json:
        click.echo(answer)
    elif answer.strip():
        show_record(json.loads(answer))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
