"""``perps market|user|key|stats``: administration by REST, like any other client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import rich_click as click

from tools.output import flat, show_json, show_line, show_record, show_table
from tools.settings import Access, SettingsCommand, SettingsGroup, access_options, json_option, public_access_options
from tools.values import AMOUNT, CURSOR, KEY_ID, MOMENT, NOT_NEGATIVE, TICKER, USER_ID, Whole, rfc3339
from web.answers.field_names import camel

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
LISTED = (
    "ticker",
    "status",
    "name",
    "indexPrice",
    "tickSize",
    "lotSize",
    "markSource",
    "skewScale",
    "maxSkew",
    "maxOpenInterest",
    "maxLeverage",
    "minOrderSize",
    "takerFee",
    "liquidationFee",
    "maintenanceRate",
    "referralShare",
)
"""What a listing is told with: its parameters, chosen ones and the venue's."""

MARKET_STATS = {
    "ticker": "ticker",
    "status": "status",
    "positions": "positions",
    "margin": "margin",
    "skew": "skew",
    "house": "house",
    "insurance": "insurance",
    "offset": "offset",
    "reason": "reason",
}
USER_COLUMNS = {
    "user": "userId",
    "balance": "balance",
    "in margin": "margin",
    "open": "openPositions",
    "lifetime pnl": "lifetimePnL",
    "fees": "totalFees",
    "referrer": "referrer",
}
KEY_COLUMNS = {
    "key id": "keyId",
    "user": "userId",
    "scopes": "scopes",
    "label": "label",
    "created": "createdAt",
    "expires": "expiresAt",
    "revoked": "revokedAt",
}

limit_option = click.option("--limit", type=Whole(1, 500), default=100, show_default=True, help="At most so many.")
cursor_option = click.option("--cursor", type=CURSOR, help="Where to go on: as the page before has told.")


@click.group(cls=SettingsGroup)
def market() -> None:
    """List, create and switch markets."""


@market.command("list")
@public_access_options
@json_option
def list_markets(access: Access, as_json: bool) -> None:
    """Every market, as it stands."""
    answer = _ask(access, lambda venue: venue.markets())
    if as_json:
        show_json(answer)
    else:
        _show_rows(json.loads(answer)["markets"], MARKET_COLUMNS)


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
@click.option("--max-leverage", type=Whole(1, 1000), help="The most an order may ask for.")
@click.option("--min-order-size", type=AMOUNT, help="Smallest order, USD.")
@click.option("--maker-fee", type=NOT_NEGATIVE, help="Part of the notional.")
@click.option("--taker-fee", type=NOT_NEGATIVE, help="Part of the notional.")
@click.option("--referral-share", type=NOT_NEGATIVE, help="The referrer's part of a fee.")
@click.option("--maintenance-rate", type=AMOUNT, help="Equity at or below this part of the notional is liquidated.")
@click.option("--liquidation-fee", type=NOT_NEGATIVE, help="Part of the notional.")
@click.option("--house-deposit", type=NOT_NEGATIVE, help="Money the house starts with.")
@click.option("--house-credit-limit", help="How far below 0 the house may go: an amount, or none.")
@click.option("--max-price-age", type=AMOUNT, help="Seconds after which a price is too old to trade at.")
@access_options
@json_option
def create_market(ticker: str, access: Access, as_json: bool, **parameters: str | int | None) -> None:
    """List a market. What is left out, the venue chooses to suit the price."""
    body = {"ticker": ticker, **{camel(name): value for name, value in parameters.items()}}
    answer = _ask(access, lambda venue: venue.create_market(body))
    if as_json:
        show_json(answer)
    else:
        made = json.loads(answer)["market"]
        show_record({name: made[name] for name in LISTED if name in made})


@market.command("mode")
@click.argument("ticker", type=TICKER)
@click.argument("mode", type=click.Choice(["enabled", "reduce_only", "halted"]))
@access_options
@json_option
def set_mode(ticker: str, mode: str, access: Access, as_json: bool) -> None:
    """Enable a market, let it only reduce, or halt it."""
    answer = _ask(access, lambda venue: venue.set_mode(ticker, mode))
    if as_json:
        show_json(answer)
    else:
        _show_rows([json.loads(answer)["market"]], MARKET_COLUMNS)


@click.group(cls=SettingsGroup)
def user() -> None:
    """List and create users, move their money, look at their wallets."""


@user.command("list")
@limit_option
@cursor_option
@access_options
@json_option
def list_users(limit: int, cursor: str | None, access: Access, as_json: bool) -> None:
    """Users with what they have, the newest first."""
    _show_page(_ask(access, lambda venue: venue.users(limit, cursor)), "users", USER_COLUMNS, as_json=as_json)


@user.command("create")
@click.argument("user_id", type=USER_ID)
@click.option("--deposit", type=AMOUNT, help="A first deposit.")
@click.option("--referrer", type=USER_ID, help="Who brought them here, and gets a part of their fees.")
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
    """A user's wallet, deposits and results."""
    _show(_ask(access, lambda venue: venue.get(f"/api/users/{user_id}/balance")), as_json=as_json)


@click.group(cls=SettingsGroup)
def key() -> None:
    """List, create and revoke API keys."""


@key.command("list")
@limit_option
@cursor_option
@access_options
@json_option
def list_keys(limit: int, cursor: str | None, access: Access, as_json: bool) -> None:
    """Every key ever made but the administrator's own, the newest first: whose it is, what it may, never the key."""
    _show_page(_ask(access, lambda venue: venue.keys(limit, cursor)), "keys", KEY_COLUMNS, as_json=as_json)


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
    """Make a key. The key itself is shown this once."""
    expiry = None if expires_at is None else rfc3339(expires_at)
    answer = _ask(access, lambda venue: venue.make_key(scopes, user=user_id, label=label, expires_at=expiry))
    _show(answer, as_json=as_json)


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
    answer = _ask(access, lambda venue: venue.get("/api/admin/stats"))
    if as_json:
        show_json(answer)
        return
    figures = json.loads(answer)
    markets = figures.pop("markets", [])
    show_record(figures)
    if markets:
        click.echo()
        _show_rows(markets, MARKET_STATS)


def _ask(access: Access, question: Callable[[Venue], Awaitable[bytes]]) -> bytes:
    """Put one question to the venue; the JSON of its answer."""
    from tools.client import Venue

    async def ask() -> bytes:
        async with Venue(access.url, access.key, key_from=access.key_from) as venue:
            return await question(venue)

    return asyncio.run(ask())


def _show(answer: bytes, *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
    elif answer.strip():
        show_record(json.loads(answer))


def _show_page(answer: bytes, name: str, columns: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    page = json.loads(answer)
    _show_rows(page[name], columns)
    if page["nextCursor"] is not None:
        show_line(f"there are more: --cursor {page['nextCursor']}", err=True)


def _show_rows(records: Sequence[Mapping[str, object]], columns: Mapping[str, str]) -> None:
    """Records as a table: ``columns`` says which of their values, by dotted name."""
    rows = [dict(flat(record)) for record in records]
    show_table(list(columns), [[row.get(name, "-") for name in columns.values()] for row in rows])
