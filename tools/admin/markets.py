"""``perps market``: list markets, create them, and change their parameters and their mode."""

from __future__ import annotations

from typing import Final

import rich_click as click
from msgspec import to_builtins

from perps.wire.markets import (
    LIST_MARKET,
    LIST_MARKETS,
    SET_MODE,
    SETTLE,
    UPDATE,
    ChangesBody,
    MarketAnswer,
    MarketList,
    Settled,
)
from tools.admin.answers import show_as, show_rows
from tools.argument_types import AMOUNT, NOT_NEGATIVE, TICKER, Whole
from tools.output import show_record
from tools.settings import Access, SettingsGroup, access_options, json_option, public_access_options

COLUMNS: Final = {
    "ticker": "ticker",
    "status": "status",
    "index": "indexPrice",
    "mark": "markPrice",
    "24h %": "changePercent24h",
    "OI long": "openInterest.long",
    "OI short": "openInterest.short",
    "name": "name",
}
PARAMETERS: Final = (
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
    "maxFundingRate",
    "fundingVelocity",
    "maxPriceAge",
    "priceBand",
    "priceConfirmations",
)
"""What is shown of a new market: its parameters, those that were given and those that the venue chose."""


def _show_settled(done: Settled) -> None:
    market = done.market
    show_record({"ticker": market.ticker, "status": market.status})
    show_record({"price": done.price, "positions": done.positions})


def _show_parameters(made: MarketAnswer) -> None:
    market = to_builtins(made.market)
    show_record({name: market[name] for name in PARAMETERS if name in market})


@click.group(cls=SettingsGroup)
def market() -> None:
    """List markets, create them, and change their parameters and their mode."""


@market.command("list")
@public_access_options
@json_option
def list_markets(access: Access, as_json: bool) -> None:
    """Show every market with its prices and open interest.

    This needs no key.
    """
    show_as(access, LIST_MARKETS, MarketList, lambda found: show_rows(found.markets, COLUMNS), as_json=as_json)


@market.command("create")
@click.argument("ticker", type=TICKER)
@click.option("--organization-id", required=True, help="The organization that the market belongs to.")
@click.option("--name", required=True, help="The market's name for people.")
@click.option("--price", type=AMOUNT, required=True, help="The first index price, USD.")
@click.option("--tick-size", type=AMOUNT, help="The smallest step of a price, USD.")
@click.option("--lot-size", type=AMOUNT, help="The smallest step of a quantity, base units.")
@click.option(
    "--mark-source", type=click.Choice(["index", "quote"]), help="Which price decides margin and liquidation."
)
@click.option("--skew-scale", type=AMOUNT, help="The skew that moves the quote by 100 %, base units.")
@click.option("--max-skew", type=AMOUNT, help="The largest skew, base units.")
@click.option("--max-open-interest", type=AMOUNT, help="The largest open interest of each side, base units.")
@click.option("--max-leverage", type=Whole(1, 1000), help="The highest leverage of an order.")
@click.option("--min-order-size", type=AMOUNT, help="The smallest order, USD.")
@click.option("--maker-fee", type=NOT_NEGATIVE, help="The maker's fee, as a fraction of the notional: 0.001 is 0.1 %.")
@click.option("--taker-fee", type=NOT_NEGATIVE, help="The taker's fee, as a fraction of the notional.")
@click.option("--referral-share", type=NOT_NEGATIVE, help="The referrer's share of a fee, as a fraction.")
@click.option(
    "--maintenance-rate",
    type=AMOUNT,
    help="A position is liquidated when its equity falls to this fraction of its notional.",
)
@click.option("--liquidation-fee", type=NOT_NEGATIVE, help="The fee of a liquidation, as a fraction of the notional.")
@click.option("--house-deposit", type=NOT_NEGATIVE, help="The money that the house starts with, USD.")
@click.option("--house-credit-limit", help="How far below 0 the house may go: an amount in USD, or none.")
@click.option("--max-price-age", type=AMOUNT, help="Trading stops when the price is older than this many seconds.")
@click.option(
    "--price-band", help="A price further from the last one than this fraction of it is held until confirmed, or none."
)
@click.option("--price-confirmations", type=Whole(1, 100), help="How often a held price must be said to be taken.")
@click.option(
    "--max-funding-rate",
    type=NOT_NEGATIVE,
    help="The highest daily funding rate, as a fraction of the notional; 0: no funding.",
)
@click.option(
    "--funding-velocity", type=NOT_NEGATIVE, help="By how much the daily funding rate grows in a day at the most skew."
)
@access_options
@json_option
def create_market(ticker: str, access: Access, as_json: bool, **parameters: str | int | None) -> None:
    """Create a market.

    The venue chooses every parameter that you leave out, to suit the price.
    """

    show_as(access, LIST_MARKET, MarketAnswer, _show_parameters, as_json=as_json, ticker=ticker, **parameters)


@market.command("change")
@click.argument("ticker", type=TICKER)
@click.option("--organization-id", help="The organization that the market belongs to.")
@click.option("--name", help="The market's name for people.")
@click.option("--max-price-age", help="Trading stops when the price is older than this many seconds, or none.")
@click.option("--force", is_flag=True, default=None, help="Also if positions become liquidatable: they are liquidated.")
@access_options
@json_option
def change_market(ticker: str, access: Access, as_json: bool, **parameters: str | int | bool | None) -> None:
    """Change parameters of a market.

    What you leave out stays as it is. Prices, sizes and the mark source of a market never change.
    """
    if all(value is None for name, value in parameters.items() if name != "force"):
        raise click.UsageError("name at least one parameter to change")
    show_as(access, UPDATE, MarketAnswer, _show_parameters, as_json=as_json, ticker=ticker, **parameters)


_OWN: Final = {option.name for option in change_market.params}
_CHANGE: Final = set(ChangesBody.__struct_fields__)
change_market.params += [each for each in create_market.params if each.name in _CHANGE and each.name not in _OWN]


@market.command("settle")
@click.argument("ticker", type=TICKER)
@access_options
@json_option
def settle_market(ticker: str, access: Access, as_json: bool) -> None:
    """Close every position of a halted market at one price, and end it.

    It cannot be undone.
    """
    show_as(access, SETTLE, Settled, _show_settled, as_json=as_json, ticker=ticker)


@market.command("mode")
@click.argument("ticker", type=TICKER)
@click.argument("mode", type=click.Choice(["enabled", "reduce_only", "halted"]))
@access_options
@json_option
def set_mode(ticker: str, mode: str, access: Access, as_json: bool) -> None:
    """Allow all trading, only smaller positions, or none.

    In enabled mode everything is allowed. In reduce_only mode positions may only shrink. In halted mode nobody trades.
    """

    def show(changed: MarketAnswer) -> None:
        show_rows([changed.market], COLUMNS)

    show_as(access, SET_MODE, MarketAnswer, show, as_json=as_json, ticker=ticker, mode=mode)
