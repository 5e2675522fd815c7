"""``perps market``: list markets, create them, and change their price, their parameters and their mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import rich_click as click
from msgspec import to_builtins

from perps.commands import PriceSource
from perps.params import Execution, Preset
from perps.wire.listing import ChangesBody
from perps.wire.markets import (
    LIST_MARKET,
    LIST_MARKETS,
    SET_MODE,
    SETTLE,
    UPDATE,
    Listed,
    MarketAnswer,
    MarketList,
    Settled,
)
from perps.wire.prices import SET_PRICE, PriceAnswer
from tools.admin.answers import Record, show_as, show_rows
from tools.argument_types import AMOUNT, NOT_NEGATIVE, TICKER, TIER, Whole
from tools.check.command import check_market
from tools.output import flat, show_json, show_line, show_record
from tools.settings import Access, SettingsGroup, access_options, json_option, public_access_options

if TYPE_CHECKING:
    from tools.check.results import Result

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
    "makerFee",
    "liquidationFee",
    "maintenanceRate",
    "referralShare",
    "maxFundingRate",
    "fundingVelocity",
    "maxPositionsPerUser",
    "maxNotionalPerUser",
    "maxPriceAge",
    "priceBand",
    "priceConfirmations",
    "chargesMakerFee",
    "maxStep",
    "execution",
    "pendingLimit",
    "clockSkew",
    "partialLiquidation",
    "liquidationBuffer",
    "deleveraging",
    "tradingRange.byOpens",
    "tradingRange.byCloses",
    "largest.maxSkew",
    "largest.maxOpenInterest",
)
"""What is shown of a new market: its parameters, those that were given and those that the venue chose; how far trading
moves its price, and the largest caps that would fit.
"""


def _show_settled(done: Settled) -> None:
    market = done.market
    show_record({"ticker": market.ticker, "status": market.status})
    show_record({"price": done.price, "positions": done.positions})


def _show_parameters(made: MarketAnswer) -> None:
    answer = to_builtins(made)
    record = dict(flat({**answer["market"], "largest": answer.get("largest", {})}))
    show_record({name: record[name] for name in PARAMETERS if name in record})


def _tiers(given: tuple[Record | None, ...]) -> list[Record] | None:
    """All tiers; None if there are none on the command line, and an empty list if it says so."""
    return [tier for tier in given if tier is not None] if given else None


@click.group(cls=SettingsGroup)
def market() -> None:
    """List, create, price, change and settle markets."""


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
@click.option("--price", type=AMOUNT, required=True, help="The first index price, USD.")
@click.option(
    "--preset",
    type=click.Choice([preset.value for preset in Preset]),
    help="A market that fits together: one that follows a feed, a lively one of a game, a wilder one, or one with the "
    "leverage and maintenance that Binance gives a coin by size.",
)
@click.option("--depth", type=AMOUNT, help="The notional that moves the quote by 100 %, USD. Instead of --skew-scale.")
@click.option("--organization-id", help="The organization that the market belongs to.  [default: the ticker]")
@click.option("--name", help="The market's name for people.  [default: the ticker]")
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
@click.option(
    "--maker-fee",
    type=NOT_NEGATIVE,
    help="The fee of lots that bring the skew nearer to 0, as a fraction.",
)
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
@click.option("--max-positions-per-user", type=Whole(1, 2**53), help="The most open positions of one user.")
@click.option("--max-notional-per-user", type=AMOUNT, help="The most notional of one user, USD.")
@click.option(
    "--max-step",
    type=AMOUNT,
    help="The largest move that you expect from one price to the next, as a fraction; at most 1/max-leverage.",
)
@click.option(
    "--execution",
    type=click.Choice([execution.value for execution in Execution]),
    help="Whether orders fill at the last price, or at the first one after them.  [default: immediate]",
)
@click.option(
    "--pending-limit", type=AMOUNT, help="With next_price: an order without a price ends after so many seconds."
)
@click.option("--clock-skew", type=NOT_NEGATIVE, help="With next_price: seconds that a feed may be off, up to 5.")
@click.option(
    "--tier",
    "tiers",
    type=TIER,
    multiple=True,
    callback=lambda _, __, given: _tiers(given),
    help="A size tier as maxQuantity:maintenanceRate:maxLeverage: 10:0.005:100. Repeat it, the smallest first; "
    "none: there are no tiers.",
)
@click.option(
    "--partial-liquidation",
    help="A position of at least this notional, USD, is liquidated in part; or none.",
)
@click.option(
    "--liquidation-buffer",
    type=AMOUNT,
    help="What a liquidation in part leaves has more than 1 + this times its maintenance.",
)
@click.option(
    "--deleveraging",
    type=bool,
    help="true: winners must leave before the house owes more than it can pay. Needs --house-credit-limit.",
)
@click.option("--no-check", is_flag=True, help="Do not play adversaries in a copy of the new market.")
@access_options
@json_option
def create_market(
    ticker: str, no_check: bool, access: Access, as_json: bool, **parameters: str | int | bool | None
) -> None:
    """Create a market.

    A ticker, a price and a preset are a whole one. The venue chooses every parameter that you leave out, to suit the
    price.

    Then adversaries play in a copy of the market, in this process, for about 2 s, and stderr warns of each that earns.
    With --json they are the list "check". The market is listed whatever they earn.
    """

    def check(shown: object) -> Sequence[Result] | None:
        from tools.check.new import check_new

        credit = parameters.get("house_credit_limit")
        return check_new(ticker, shown, None if credit is None else str(credit))

    def show(made: Listed) -> None:
        _show_parameters(made)
        for warning in made.warnings:
            show_line(f"warning: {warning.message}", err=True)
        if not no_check:
            from tools.check.new import warn

            warn(check(to_builtins(made.market)) or (), ticker)

    if as_json and not no_check:
        show_as(
            access,
            LIST_MARKET,
            Record,
            lambda made: show_json({**made, "check": check(made.get("market"))}),
            as_json=False,
            ticker=ticker,
            **parameters,
        )
    else:
        show_as(access, LIST_MARKET, Listed, show, as_json=as_json, ticker=ticker, **parameters)


@market.command("price")
@click.argument("ticker", type=TICKER)
@click.option("--price", type=AMOUNT, help="The new index price, USD.")
@click.option("--change", help="Or move it by a fraction of itself: 0.03 is 3 % up; -0.03 divides it by 1.03.")
@click.option(
    "--source", type=click.Choice([source.value for source in PriceSource]), help="Who says so.  [default: system]"
)
@click.option("--at", help="The source's own time, RFC 3339: a feed's price in a market with next_price needs it.")
@click.option("--reason", help="Why, for the history and the streams: a headline, for example.")
@access_options
@json_option
def set_price(ticker: str, access: Access, as_json: bool, **given: str | None) -> None:
    """Set a market's index price, or change it by a fraction.

    A change is at most 1/max-leverage either way.
    """

    def show(changed: PriceAnswer) -> None:
        row = {**to_builtins(changed.market), "liquidations": changed.liquidations}
        show_rows([row], {**COLUMNS, "liquidated": "liquidations"})

    show_as(access, SET_PRICE, PriceAnswer, show, as_json=as_json, ticker=ticker, **given)


@market.command("change")
@click.argument("ticker", type=TICKER)
@click.option("--organization-id", help="The organization that the market belongs to.")
@click.option("--name", help="The market's name for people.")
@click.option("--max-price-age", help="Trading stops when the price is older than this many seconds, or none.")
@click.option("--charges-maker-fee", type=bool, help="Of a market of version 0.1.0: true charges a maker's fee.")
@click.option("--max-positions-per-user", help="The most open positions of one user, or none.")
@click.option("--max-notional-per-user", help="The most notional of one user, USD, or none.")
@click.option(
    "--max-step", help="The largest move that you expect from one price to the next, as a fraction of it, or none."
)
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


market.add_command(check_market)
