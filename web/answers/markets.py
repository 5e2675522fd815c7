"""Markets as the API shows them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeVar, cast

import msgspec
from msgspec import Raw
from msgspec.structs import asdict, replace

from perps.candles import MINUTE_MS
from perps.events import HouseFunded, MarketSettling
from perps.journal import Entry
from perps.market import holding
from perps.market.reach import largest_interest, largest_skew, reach
from perps.market.risks import risks
from perps.params import MarketParams
from perps.wire.base import Answer, encode, pack
from perps.wire.listing import Largest, Warned
from perps.wire.markets import (
    Funded,
    HeldPrice,
    Market,
    MarketStatus,
    OpenInterest,
    Parameters,
    Settled,
    Tier,
    TradingRange,
)
from web.answers import decimals
from web.answers.funding import funding_rate
from web.answers.rows import own_event
from web.answers.times import rfc3339
from web.readside.model import MarketView

AnyAnswer = TypeVar("AnyAnswer", bound=Answer)

PACKED_MAX: Final = 4_096
"""Markets whose MessagePack is kept."""


def market(view: MarketView, now_ms: int) -> Market:
    """A market as committed, and its last 24 hours, as JSON already: it can be encoded, and has no fields to read.

    It is a function of the market's newest row, the minute (the 24 hours move with it) and whether the market is up.
    So it is rendered once for each of these, however many callers ask and however many lists it is on.
    """
    key = (view.offset, now_ms // MINUTE_MS, view.problem is None)
    if view.shown is None or view.shown[0] != key:
        view.shown = (key, encode(_rendered(view, now_ms)))
    return cast(Market, Raw(view.shown[1]))


def packable(answer: AnyAnswer) -> AnyAnswer:
    """An answer with its markets as MessagePack already, instead of JSON. One without markets as it is."""
    one, many = getattr(answer, "market", None), getattr(answer, "markets", None)
    if isinstance(one, Raw):
        return replace(answer, market=Raw(_transcoded(bytes(one))))
    if isinstance(many, list):
        return replace(answer, markets=[Raw(_transcoded(bytes(shown))) for shown in many])
    return answer


@lru_cache(maxsize=PACKED_MAX)
def _transcoded(text: bytes) -> bytes:
    """JSON of the contract as MessagePack: it has no numbers but whole ones."""
    return pack(msgspec.json.decode(text))


def _rendered(view: MarketView, now_ms: int) -> Market:
    state, params = view.market, view.market.params
    tick, lot = params.tick_size, params.lot_size
    quote = state.quote
    day = view.history.day(now_ms, quote)
    return Market(
        **asdict(parameters(params)),
        status=_status(view),
        current_price=decimals.price(quote, tick),
        index_price=decimals.price(state.index_price, tick),
        mark_price=decimals.price(state.mark, tick),
        change_24h=decimals.price(day.last - day.first, tick),
        change_percent_24h=decimals.share(100 * (day.last - day.first), day.first, 4),
        high_24h=decimals.price(day.high, tick),
        low_24h=decimals.price(day.low, tick),
        volume_24h=decimals.money(day.volume),
        open_interest=OpenInterest(
            long=decimals.quantity(state.long_lots, lot), short=decimals.quantity(state.short_lots, lot)
        ),
        skew=decimals.quantity(state.skew, lot),
        funding_rate=funding_rate(state, now_ms, view.price_in_doubt),
        price_at=rfc3339(state.price_at),
        held_price=None if state.held_price is None else held_price(state.held_price, params),
    )


def parameters(params: MarketParams) -> Parameters:
    """A market's rules."""
    lot = params.lot_size
    return Parameters(
        ticker=params.ticker,
        organization_id=params.organization_id,
        name=params.name,
        mark_source=params.mark_source,
        skew_scale=decimals.quantity(params.skew_scale, lot),
        max_skew=decimals.quantity(params.max_skew, lot),
        max_open_interest=decimals.quantity(params.max_open_interest, lot),
        max_leverage=params.max_leverage,
        min_order_size=decimals.money(params.min_order_size),
        tick_size=decimals.pico(params.tick_size),
        lot_size=decimals.pico(lot),
        taker_fee=_rate(params.taker_fee),
        maker_fee=_rate(params.maker_fee if params.charges_maker_fee else params.taker_fee),
        maintenance_rate=_rate(params.maintenance_rate),
        liquidation_fee=_rate(params.liquidation_fee),
        referral_share=_rate(params.referral_share),
        funding_velocity=_rate(params.funding_velocity),
        max_funding_rate=_rate(params.max_funding_rate),
        max_price_age=None if params.max_price_age is None else decimals.text(params.max_price_age, 3, 0),
        price_band=None if params.price_band is None else _rate(params.price_band),
        price_confirmations=params.price_confirmations,
        charges_maker_fee=params.charges_maker_fee,
        max_positions_per_user=params.max_positions_per_user,
        max_notional_per_user=(
            None if params.max_notional_per_user is None else decimals.money(params.max_notional_per_user)
        ),
        trading_range=trading_range(params),
        max_step=None if params.max_step is None else _rate(params.max_step),
        exact_mark=params.exact_mark,
        execution=params.execution,
        pending_limit=decimals.text(params.pending_limit, 3, 0),
        clock_skew=decimals.text(params.clock_skew, 3, 0),
        tiers=[
            Tier(
                max_quantity=decimals.quantity(tier.max_lots, lot),
                maintenance_rate=_rate(tier.maintenance_rate),
                max_leverage=tier.max_leverage,
            )
            for tier in params.tiers
        ],
        partial_liquidation=(
            None if params.partial_liquidation is None else decimals.money(params.partial_liquidation)
        ),
        liquidation_buffer=_rate(params.liquidation_buffer),
        deleveraging=params.deleveraging,
    )


def held_price(held: holding.HeldPrice, params: MarketParams) -> HeldPrice:
    """A price that waits."""
    return HeldPrice(
        price=decimals.price(held.price, params.tick_size),
        source=held.source,
        count=held.count,
        until=rfc3339(held.until),
    )


def trading_range(params: MarketParams) -> TradingRange:
    """How far trading alone can move a market's quote from its index."""
    reached = reach(params)
    return TradingRange(by_opens=_rate(reached.by_opens), by_closes=_rate(reached.by_closes))


def largest(view: MarketView) -> Largest:
    """The largest caps of a market that its other parameters leave room for, at its present price."""
    params, price = view.market.params, view.market.index_price
    return Largest(
        max_skew=decimals.quantity(largest_skew(params), params.lot_size),
        max_open_interest=decimals.quantity(largest_interest(params, price), params.lot_size),
    )


def warnings(params: MarketParams) -> list[Warned]:
    """What a new market's parameters leave open, in words."""
    return [Warned(code=risk.code, message=_WARNINGS[risk.code].format(_rate(risk.step))) for risk in risks(params)]


_WARNINGS: Final = {
    "max_step_undeclared": "You have declared no maxStep. A price that moves by more than {} of itself at once can "
    "leave bad debt, and the house pays it.",
    "gap_risk": "A price that moves by more than {} of itself at once can leave bad debt, and maxStep is larger. Lower "
    "maxLeverage, or the caps, or send prices more often.",
    "executes_at_last_price": "Orders fill at the last price. Who sees a move of more than {} before your feed brings "
    "it earns the rest of it. With execution next_price it would not.",
}


def funded(entry: Entry) -> Funded:
    """The answer to money in or out of a market's account. A function of its journal row alone."""
    row, event = entry.row, own_event(entry, HouseFunded)
    return Funded(
        ticker=row.stream,
        account=event.account,
        amount=decimals.money(event.amount),
        new_balance=decimals.money(event.balance),
        client_order_id=row.client_order_id,
        offset=row.offset,
    )


def settled(entry: Entry, now: Market, params: MarketParams) -> Settled:
    """The answer to a settlement: what its row says, and the market as it stands by now."""
    settling = own_event(entry, MarketSettling).settling
    scale = 2 * settling.skew_scale
    return Settled(
        market=now,
        price=decimals.average_price(settling.index_price * params.unit * (scale + settling.skew), scale, params),
        positions=settling.positions,
        offset=entry.row.offset,
    )


def _status(view: MarketView) -> MarketStatus:
    return view.market.mode.value if view.problem is None else "unavailable"


def _rate(ppb: int) -> str:
    return decimals.text(ppb, 9, 0)
