"""Markets: their state, their parameters, and what administrators do with them."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from msgspec import Meta

from perps.commands import HouseAccount, PriceSource
from perps.params import MarkSource
from perps.wire.base import (
    ALLOWED,
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

SettableMode = Literal["enabled", "reduce_only", "halted"]
MarketStatus = Literal["enabled", "reduce_only", "halted", "settled", "unavailable"]


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


class HeldPrice(Answer):
    """A price beyond `priceBand`, which waits to be confirmed. Nothing trades meanwhile."""

    price: Price
    source: PriceSource
    count: Annotated[int, Meta(description="How often it has been said, of `priceConfirmations`.")]
    until: Annotated[Time, Meta(description="It is dropped then, unless it is confirmed before.")]


class Parameters(Answer):
    """What a market's rules are."""

    ticker: Ticker
    organization_id: str
    name: str
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
    funding_velocity: Annotated[Rate, Meta(description="By how much the daily rate grows in a day, at `maxSkew`.")]
    max_funding_rate: Annotated[Rate, Meta(description="The daily rate goes no further, either way. 0: no funding.")]
    max_price_age: Annotated[str | None, Meta(description="Seconds after which a price is too old. Null: it never is.")]
    price_band: Annotated[Rate | None, Meta(description="A price further from the index is held. Null: none is.")]
    price_confirmations: Annotated[int, Meta(description="How often a held price must be said to be taken.")]


class Market(Parameters, kw_only=True):
    """One market: its state, its last 24 hours, its parameters."""

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
    price_at: Time
    held_price: Annotated[HeldPrice | None, Meta(description="A price that waits to be confirmed.")]


class MarketList(Answer):
    """Every market, as of one offset."""

    markets: list[Market]
    count: int
    offset: Offset


class MarketAnswer(Answer):
    """One market."""

    market: Market
    offset: Offset


Share = Annotated[Number, Meta(description="A share from 0 to 1, at most 9 decimals.", examples=["0.001"])]


Lots = Annotated[Number, Meta(description="Base units, a multiple of the lot size.", examples=["1000"])]


class MarketBody(Body):
    """A market to list. Only the first four fields are required."""

    ticker: Ticker
    organization_id: Text
    name: Text
    price: Annotated[Number, Meta(description="The first index price.", examples=["10000"])]
    tick_size: Annotated[Number, Meta(description="The smallest step of a price.")] = by_default("0.01")
    lot_size: Annotated[Number, Meta(description="The smallest step of a quantity.")] = by_default("0.0001")
    mark_source: Annotated[MarkSource, Meta(description="The price for margin and liquidation.")] = MarkSource.INDEX
    skew_scale: Annotated[
        Lots | None, Meta(description="The skew that moves the quote by 100 %. By default 10¹⁰ USD of it.")
    ] = None
    max_skew: Annotated[Lots | None, Meta(description="By default 1/1000 of `skewScale`.")] = None
    max_open_interest: Annotated[Lots | None, Meta(description="On each side. By default 1/500 of `skewScale`.")] = None
    max_leverage: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    min_order_size: Annotated[Number, Meta(description="The smallest `size` of an open, before rounding to lots.")] = (
        by_default("10")
    )
    maker_fee: Annotated[Share, Meta(description="Stored and not charged yet.")] = by_default("0.001")
    taker_fee: Share = by_default("0.001")
    referral_share: Annotated[Share, Meta(description="The referrer's share of a fee.")] = by_default("0.5")
    maintenance_rate: Annotated[Share | None, Meta(description="By default 1/(2·`maxLeverage`).")] = None
    liquidation_fee: Share = by_default("0.002")
    house_deposit: Annotated[Number, Meta(description="What the house begins with, US dollars.")] = by_default("0")
    house_credit_limit: Annotated[
        Limit, Meta(description='How far below 0 the house may go, US dollars, or "none".')
    ] = no_limit()
    max_price_age: Annotated[
        Limit, Meta(description='Seconds after which a price is too old to trade at, or "none".')
    ] = no_limit()
    funding_velocity: Annotated[
        Number | None,
        Meta(
            description="By how much the daily funding rate grows in a day, at `maxSkew`. "
            "By default 3·`maxFundingRate`."
        ),
    ] = None
    max_funding_rate: Annotated[
        Share, Meta(description="The daily funding rate goes no further, either way. 0: no funding.")
    ] = by_default("0")
    price_band: Annotated[
        Limit, Meta(description='A price further from the index, as a share of it, is held until confirmed, or "none".')
    ] = no_limit()
    price_confirmations: Annotated[
        int, Meta(ge=1, le=100, description="How often its source must say a held price, the first time included.")
    ] = 3


class ChangesBody(Body):
    """Parameters to change. What is left out, or null, stays as it is."""

    organization_id: Text | None = None
    name: Text | None = None
    skew_scale: Annotated[Lots | None, Meta(description="Only while nobody holds a position.")] = None
    max_skew: Lots | None = None
    max_open_interest: Lots | None = None
    max_leverage: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    min_order_size: Number | None = None
    maker_fee: Share | None = None
    taker_fee: Share | None = None
    referral_share: Share | None = None
    maintenance_rate: Share | None = None
    liquidation_fee: Share | None = None
    house_credit_limit: Limit | None = None
    max_price_age: Limit | None = None
    funding_velocity: Number | None = None
    max_funding_rate: Share | None = None
    price_band: Limit | None = None
    price_confirmations: Annotated[int, Meta(ge=1, le=100)] | None = None
    force: Annotated[
        bool, Meta(description="Also if standing positions become liquidatable by it: they are liquidated.")
    ] = False


class ModeBody(Body):
    """What a market is to let through."""

    mode: Annotated[SettableMode, Meta(extra={ALLOWED: get_args(SettableMode)})]


class Settled(Answer):
    """A market in which everybody leaves at one price."""

    market: Market
    price: Annotated[Price, Meta(description="What everybody gets for a base unit, rounded down to 8 decimals.")]
    positions: Annotated[int, Meta(description="How many are closed. The row has at most 256; others follow it.")]
    offset: Offset


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
    "≤ maintenanceRate`. `details` of a refusal name the `rule` and the numbers that it compared.",
    scope="admin",
    body=MarketBody,
    answers={201: MarketAnswer},
    links={
        name: {"ticker": "/market/ticker"}
        for name in ("getMarket", "setPrice", "setMode", "fundMarket", "updateMarket", "settleMarket")
    },
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
UPDATE: Final = Operation(
    name="updateMarket",
    tag="Administration",
    method="PATCH",
    path="/api/admin/markets/{ticker}",
    summary="Change some of a market's parameters",
    description="They must then keep the listing rules at the present price. `ticker`, `tickSize`, `lotSize`, "
    "`markSource` and `houseDeposit` never change; `skewScale` only while nobody holds a position. `maxOpenInterest` "
    "and `maxSkew` do not go below what is open. If positions would become liquidatable: 422 `would_be_liquidated`, "
    "unless `force` is true.",
    scope="admin",
    body=ChangesBody,
    answers={200: MarketAnswer},
    refusals=(Code.MARKET_NOT_FOUND, Code.PARAMETERS_INCONSISTENT, Code.WOULD_BE_LIQUIDATED, *COMMAND),
)
SETTLE: Final = Operation(
    name="settleMarket",
    tag="Administration",
    method="POST",
    path="/api/admin/markets/{ticker}/settle",
    summary="Close every position of a halted market at one price, and end it",
    description="The price is `indexPrice` · (1 + `skew` / (2 · `skewScale`)): what all together would get by leaving. "
    "There is no fee. Refused while the house cannot pay what the winners get; `details` say what is `missing`.",
    scope="admin",
    answers={200: Settled},
    refusals=(
        Code.MARKET_NOT_FOUND,
        Code.MARKET_NOT_HALTED,
        Code.PRICE_UNCONFIRMED,
        Code.HOUSE_CANNOT_PAY,
        *COMMAND,
    ),
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
    refusals=(
        Code.MARKET_NOT_FOUND,
        Code.CLIENT_ORDER_ID_REUSED,
        Code.PRICE_STALE,
        Code.PRICE_UNCONFIRMED,
        Code.INSUFFICIENT_FUNDS,
        *COMMAND,
    ),
)
