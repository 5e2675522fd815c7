"""Markets: their state, and what administrators do with them. ``listing``: what makes one, and changes it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from msgspec import Meta

from perps.commands import HouseAccount, PriceSource
from perps.params import Execution, MarkSource
from perps.wire.base import (
    ALLOWED,
    Answer,
    Body,
    ClientOrderId,
    Money,
    Number,
    Offset,
    Percent,
    Price,
    Quantity,
    Rate,
    Step,
    Ticker,
    Time,
)
from perps.wire.errors import ErrorCode as Code
from perps.wire.listing import ChangesBody, Largest, MarketBody, Warned
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


class TradingRange(Answer):
    """How far trading alone can move the quote from the index, either way, as a fraction of the index."""

    by_opens: Annotated[Rate, Meta(description="The smaller of `maxSkew` and `maxOpenInterest`, over `skewScale`.")]
    by_closes: Annotated[
        Rate, Meta(description="`maxOpenInterest`/`skewScale`: one side is full and the other has left.")
    ]


class HeldPrice(Answer):
    """A price beyond `priceBand`, which waits to be confirmed. Nothing trades meanwhile."""

    price: Price
    source: PriceSource
    count: Annotated[int, Meta(description="How often it has been said, of `priceConfirmations`.")]
    until: Annotated[Time, Meta(description="It is dropped then, unless it is confirmed before.")]


class Tier(Answer):
    """What holds for positions up to a size. The whole position is at the rate of its tier."""

    max_quantity: Annotated[Quantity, Meta(description="The largest position of the tier.")]
    maintenance_rate: Rate
    max_leverage: int


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
    maker_fee: Annotated[Rate, Meta(description="What lots pay that bring the skew nearer to 0.")]
    maintenance_rate: Rate
    liquidation_fee: Rate
    referral_share: Rate
    funding_velocity: Annotated[Rate, Meta(description="By how much the daily rate grows in a day, at `maxSkew`.")]
    max_funding_rate: Annotated[Rate, Meta(description="The daily rate goes no further, either way. 0: no funding.")]
    max_price_age: Annotated[str | None, Meta(description="Seconds after which a price is too old. Null: it never is.")]
    price_band: Annotated[Rate | None, Meta(description="A price further from the index is held. Null: none is.")]
    price_confirmations: Annotated[int, Meta(description="How often a held price must be said to be taken.")]
    charges_maker_fee: Annotated[
        bool, Meta(description="False: listed before there was a maker's fee, and `makerFee` is `takerFee`.")
    ]
    max_positions_per_user: Annotated[int | None, Meta(description="The most open positions of one user. Null: any.")]
    max_notional_per_user: Annotated[Money | None, Meta(description="The most notional of one user. Null: any.")]
    trading_range: TradingRange
    max_step: Annotated[
        Rate | None, Meta(description="The largest move from one price to the next that its listing expects.")
    ]
    exact_mark: Annotated[
        bool,
        Meta(description="With `markSource` quote: liquidations go by the exact quote, not by `markPrice`, its tick."),
    ]
    execution: Annotated[
        Execution,
        Meta(description="`immediate`: orders fill at the last price. `next_price`: at the one after them."),
    ]
    pending_limit: Annotated[str, Meta(description="With `next_price`: seconds that an order waits for its price.")]
    clock_skew: Annotated[str, Meta(description="With `next_price`: seconds that a feed's clock may be off.")]
    tiers: Annotated[
        list[Tier],
        Meta(
            description="By size, the smallest first. None: `maintenanceRate` and `maxLeverage` hold for every size; "
            "otherwise they are those of the first tier."
        ),
    ]
    partial_liquidation: Annotated[
        Money | None,
        Meta(
            description="A position of at least this notional is liquidated in part, if that makes it sound. "
            "Null: every one as a whole."
        ),
    ]
    liquidation_buffer: Annotated[
        Rate, Meta(description="What such a part leaves has more than 1 + this times its maintenance.")
    ]
    deleveraging: Annotated[
        bool, Meta(description="Whether winners must leave before the house owes more than it can pay.")
    ]


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


class Listed(MarketAnswer):
    """A new market."""

    largest: Largest
    warnings: Annotated[list[Warned], Meta(description="What somebody could make use of. The market is listed.")]


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
    "≤ maintenanceRate`. `details` of a refusal name the `rule`, the numbers that it compared and, where a cap is too "
    "large, the largest that fits.",
    scope="admin",
    body=MarketBody,
    answers={201: Listed},
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
    repeatable=True,
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
    repeatable=True,
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
    repeatable=True,
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
