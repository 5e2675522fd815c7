"""What a listing and a change of parameters take, and what a listing answers besides the market."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from perps.params import Execution, MarkSource, Preset
from perps.wire.base import Answer, Body, Limit, Number, Quantity, Text, Ticker, by_default, no_limit

Share = Annotated[Number, Meta(description="A share from 0 to 1, at most 9 decimals.", examples=["0.001"])]


Lots = Annotated[Number, Meta(description="Base units, a multiple of the lot size.", examples=["1000"])]


class TierBody(Body):
    """What holds for positions up to a size. The whole position is at the rate of its tier."""

    max_quantity: Annotated[Lots, Meta(description="The largest position of the tier, base units.")]
    maintenance_rate: Share
    max_leverage: Annotated[int, Meta(ge=1, le=1_000_000)]


Tiers = Annotated[list[TierBody], Meta(max_length=32)]


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
    maker_fee: Annotated[
        Share | None,
        Meta(description="What lots pay that bring the skew nearer to 0; at most, and by default, `takerFee`."),
    ] = None
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
    price_band: Annotated[
        Limit | None,
        Meta(
            description="A price further from the index, as a share of it, is held until confirmed, "
            'or "none", which is the default.'
        ),
    ] = None
    price_confirmations: Annotated[
        int, Meta(ge=1, le=100, description="How often its source must say a held price, the first time included.")
    ] = 3
    max_positions_per_user: Annotated[
        Annotated[int, Meta(ge=1, le=2**53)] | None, Meta(description="The most open positions of one user. Null: any.")
    ] = None
    max_notional_per_user: Annotated[
        Limit, Meta(description='The most notional of one user, both sides added up, US dollars, or "none".')
    ] = no_limit()
    execution: Annotated[
        Execution | None, Meta(description="At which price orders fill: the last one (the default), or the next.")
    ] = None
    pending_limit: Annotated[
        Number, Meta(description="With `next_price`: seconds after which an order without a price ends.")
    ] = by_default("30")
    clock_skew: Annotated[
        Number,
        Meta(description="With `next_price`: seconds, at most 5, that a feed's clock may be off from the venue's."),
    ] = by_default("0.2")
    tiers: Annotated[
        Tiers | None,
        Meta(
            description="Maintenance rate and highest leverage by the size of a position, the smallest first; the last "
            "one covers `maxOpenInterest`. By default every size has the same."
        ),
    ] = None
    partial_liquidation: Annotated[
        Limit,
        Meta(
            description="A position of at least this notional, US dollars, is liquidated in part, if that makes it "
            'sound; or "none".'
        ),
    ] = no_limit()
    liquidation_buffer: Annotated[
        Share, Meta(description="What such a part leaves has more than 1 + this times its maintenance.")
    ] = by_default("0.25")
    deleveraging: Annotated[
        bool,
        Meta(
            description="Whether winners must leave before the house owes more than it has and `houseCreditLimit`, "
            "which it needs."
        ),
    ] = False


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
    charges_maker_fee: Annotated[
        bool | None, Meta(description="Of a market that was listed before there was a maker's fee: true charges it.")
    ] = None
    max_positions_per_user: Limit | None = None
    max_notional_per_user: Limit | None = None
    max_step: Limit | None = None
    execution: Annotated[Execution | None, Meta(description="Only while no order waits for the next price.")] = None
    pending_limit: Number | None = None
    clock_skew: Number | None = None
    tiers: Annotated[Tiers | None, Meta(description="All of them anew; an empty list: none.")] = None
    partial_liquidation: Limit | None = None
    liquidation_buffer: Share | None = None
    deleveraging: Annotated[bool | None, Meta(description="True needs a `houseCreditLimit`.")] = None
    force: Annotated[
        bool, Meta(description="Also if standing positions become liquidatable by it: they are liquidated.")
    ] = False


class Largest(Answer):
    """The largest caps that the listing rules would take, each with all else as it is."""

    max_skew: Quantity
    max_open_interest: Quantity


class Warned(Answer):
    """Something that a new market's parameters leave open."""

    code: Literal["max_step_undeclared", "gap_risk", "executes_at_last_price"]
    message: Annotated[str, Meta(description="For people; it may change.")]
