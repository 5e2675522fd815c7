"""Markets: their state, their parameters, and what administrators do with them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from perps.commands import HouseAccount
from perps.params import MarkSource, Mode, Preset
from perps.wire.base import (
    Answer,
    Body,
    ClientOrderId,
    Limit,
    Money,
    Number,
    Offset,
    Percent,
    Price,
    Quantity,
    Rate,
    Step,
    Text,
    Ticker,
    Time,
    by_default,
    no_limit,
)
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import COMMAND, NOTHING, Operation

MarketStatus = Literal["enabled", "reduce_only", "halted", "unavailable"]


class OpenInterest(Answer):
    """All open positions of each side, in base units."""

    long: Quantity
    short: Quantity


class FundingRate(Answer):
    """What longs pay and shorts receive, as shares of the notional at the index price. Below 0 shorts pay."""

    rate: Annotated[Rate, Meta(description="Now, per hour.")]
    predicted_rate: Annotated[Rate, Meta(description="In the whole present hour, if nobody trades until its end.")]
    next_funding_time: Annotated[Time, Meta(description="The end of the present hour.")]
    annualized: Annotated[Rate, Meta(description="`rate` for 365 days.")]
    velocity: Annotated[Rate, Meta(description="By how much `rate` grows in an hour, at the present skew.")]


class TradingRange(Answer):
    """How far trading alone can move the quote from the index, either way, as a fraction of the index."""

    by_opens: Annotated[Rate, Meta(description="The smaller of `maxSkew` and `maxOpenInterest`, over `skewScale`.")]
    by_closes: Annotated[
        Rate, Meta(description="`maxOpenInterest`/`skewScale`: one side is full and the other has left.")
    ]


class Market(Answer):
    """One market: its state, its last 24 hours, its parameters."""

    ticker: Ticker
    organization_id: str
    name: str
    status: Annotated[MarketStatus, Meta(description="`unavailable` while the venue rebuilds the market.")]
    current_price: Annotated[Price, Meta(description="The quote: the price of the next small trade.")]
    index_price: Annotated[Price, Meta(description="Comes from outside.")]
    mark_price: Annotated[Price, Meta(description="Decides margin and liquidation.")]
    change_24h: Price
    change_percent_24h: Percent
    high_24h: Price
    low_24h: Price
    volume_24h: Money
    open_interest: OpenInterest
    skew: Annotated[Quantity, Meta(description="The long open interest less the short one.")]
    funding_rate: FundingRate
    mark_source: MarkSource
    skew_scale: Quantity
    max_skew: Quantity
    max_open_interest: Quantity
    max_leverage: int
    min_order_size: Money
    tick_size: Step
    lot_size: Step
    taker_fee: Rate
    maintenance_rate: Rate
    liquidation_fee: Rate
    referral_share: Rate
    price_at: Time
    funding_velocity: Annotated[Rate, Meta(description="By how much the daily rate grows in a day, at `maxSkew`.")]
    max_funding_rate: Annotated[Rate, Meta(description="The daily rate goes no further, either way. 0: no funding.")]
    trading_range: TradingRange
    max_step: Annotated[
        Rate | None, Meta(description="The largest move from one price to the next that its listing expects.")
    ]
    exact_mark: Annotated[
        bool,
        Meta(description="With `markSource` quote: liquidations go by the exact quote, not by `markPrice`, its tick."),
    ]


class Largest(Answer):
    """The largest caps that the listing rules would take, each with all else as it is."""

    max_skew: Quantity
    max_open_interest: Quantity


class MarketList(Answer):
    """Every market, as of one offset."""

    markets: list[Market]
    count: int
    offset: Offset


class MarketAnswer(Answer):
    """One market."""

    market: Market
    offset: Offset


class Warned(Answer):
    """Something that a new market's parameters leave open."""

    code: Literal["max_step_undeclared", "gap_risk", "executes_at_last_price"]
    message: Annotated[str, Meta(description="For people; it may change.")]


class Listed(MarketAnswer):
    """A new market."""

    largest: Largest
    warnings: Annotated[list[Warned], Meta(description="What somebody could make use of. The market is listed.")]


Share = Annotated[Number, Meta(description="A share from 0 to 1, at most 9 decimals.", examples=["0.001"])]


Lots = Annotated[Number, Meta(description="Base units, a multiple of the lot size.", examples=["1000"])]


class MarketBody(Body):
    """A market to list. Only ticker and price are required; any field that is given wins over its preset."""

    ticker: Ticker
    price: Annotated[Number, Meta(description="The first index price.", examples=["10000"])]
    organization_id: Annotated[Text | None, Meta(description="By default the ticker.")] = None
    name: Annotated[Text | None, Meta(description="By default the ticker.")] = None
    preset: Annotated[
        Preset | None, Meta(description="A market that fits together. What it has is in `docs/api.md`.")
    ] = None
    depth: Annotated[
        Number | None,
        Meta(description="The notional that moves the quote by 100 %, US dollars. Instead of `skewScale`."),
    ] = None
    tick_size: Annotated[
        Number | None, Meta(description="The smallest step of a price. By default it suits the price.")
    ] = None
    lot_size: Annotated[
        Number | None, Meta(description="The smallest step of a quantity. By default it suits the tick.")
    ] = None
    mark_source: Annotated[
        MarkSource | None, Meta(description="The price for margin and liquidation. By default `index`.")
    ] = None
    skew_scale: Annotated[
        Lots | None, Meta(description="The skew that moves the quote by 100 %. By default `depth` at `price`.")
    ] = None
    max_skew: Annotated[Lots | None, Meta(description="By default 1/1000 of `skewScale`.")] = None
    max_open_interest: Annotated[Lots | None, Meta(description="On each side. By default 1/500 of `skewScale`.")] = None
    max_leverage: Annotated[Annotated[int, Meta(ge=1, le=1_000_000)] | None, Meta(description="By default 100.")] = None
    min_order_size: Annotated[Number, Meta(description="The smallest `size` of an open, before rounding to lots.")] = (
        by_default("10")
    )
    maker_fee: Annotated[Share, Meta(description="Stored and not charged yet.")] = by_default("0.001")
    taker_fee: Annotated[Share | None, Meta(description="By default 0.001.")] = None
    referral_share: Annotated[Share, Meta(description="The referrer's share of a fee.")] = by_default("0.5")
    maintenance_rate: Annotated[Share | None, Meta(description="By default 1/(2·`maxLeverage`).")] = None
    liquidation_fee: Annotated[Share | None, Meta(description="By default 0.002.")] = None
    house_deposit: Annotated[Number, Meta(description="What the house begins with, US dollars.")] = by_default("0")
    house_credit_limit: Annotated[
        Limit, Meta(description='How far below 0 the house may go, US dollars, or "none".')
    ] = no_limit()
    max_price_age: Annotated[
        Limit | None,
        Meta(description='Seconds after which a price is too old to trade at, or "none", which is the default.'),
    ] = None
    funding_velocity: Annotated[
        Number | None,
        Meta(
            description="By how much the daily funding rate grows in a day, at `maxSkew`. "
            "By default 3·`maxFundingRate`."
        ),
    ] = None
    max_funding_rate: Annotated[
        Share | None,
        Meta(description="The daily funding rate goes no further, either way. 0, the default: no funding."),
    ] = None
    max_step: Annotated[
        Share | None,
        Meta(description="The largest move that you expect from one price to the next. At most 1/`maxLeverage`."),
    ] = None


class ModeBody(Body):
    """What a market is to let through."""

    mode: Mode


class FundBody(Body):
    """Money from outside for a market, or out of it."""

    account: HouseAccount
    amount: Annotated[Number, Meta(description="US dollars, not 0. Below 0 takes money out.", examples=["5000"])]
    client_order_id: ClientOrderId | None = None


class Funded(Answer):
    """Money that has entered or left a market's account."""

    ticker: Ticker
    account: HouseAccount
    amount: Money
    new_balance: Money
    client_order_id: str | None
    offset: Offset


LIST_MARKETS: Final = Operation(
    name="listMarkets",
    tag="Market data",
    method="GET",
    path="/api/markets/perps",
    summary="Every market, as of one offset",
    answers={200: MarketList, 304: NOTHING},
)
GET_MARKET: Final = Operation(
    name="getMarket",
    tag="Market data",
    method="GET",
    path="/api/markets/perps/{ticker}",
    summary="One market",
    answers={200: MarketAnswer, 304: NOTHING},
    refusals=(Code.MARKET_NOT_FOUND,),
)
LIST_MARKET: Final = Operation(
    name="listMarket",
    tag="Administration",
    method="POST",
    path="/api/admin/markets",
    summary="List a market",
    description="The rule that people meet most often: the cost of leaving must fit into the maintenance margin. "
    "`liquidationFee + takerFee + (maxOpenInterest + max(2·maxSkew, maxOpenInterest)) / (2·skewScale) "
    "≤ maintenanceRate`. `details` of a refusal name the `rule`, the numbers that it compared and, where a cap is too "
    "large, the largest that fits.",
    scope="admin",
    body=MarketBody,
    answers={201: Listed},
    links={name: {"ticker": "/market/ticker"} for name in ("getMarket", "setPrice", "setMode", "fundMarket")},
    refusals=(Code.MARKET_EXISTS, Code.PARAMETERS_INCONSISTENT, *COMMAND),
)
SET_MODE: Final = Operation(
    name="setMode",
    tag="Administration",
    method="POST",
    path="/api/admin/markets/{ticker}/mode",
    summary="Enable a market, let it only reduce, or halt it",
    description="`reduce_only` takes closes and no opens. `halted` takes neither and liquidates nobody; it still takes "
    "prices, and positions that are due by then are liquidated when the mode changes.",
    scope="admin",
    body=ModeBody,
    answers={200: MarketAnswer},
    refusals=(Code.MARKET_NOT_FOUND, *COMMAND),
)
FUND: Final = Operation(
    name="fundMarket",
    tag="Administration",
    method="POST",
    path="/api/admin/markets/{ticker}/fund",
    summary="Pay money from outside into a market's house or insurance, or take it out",
    description="The insurance keeps at least 0. The house keeps at least 0, and at least what all traders would gain "
    "if they left now. It works in every mode.",
    scope="admin",
    body=FundBody,
    answers={200: Funded},
    refusals=(Code.MARKET_NOT_FOUND, Code.CLIENT_ORDER_ID_REUSED, Code.INSUFFICIENT_FUNDS, *COMMAND),
)
