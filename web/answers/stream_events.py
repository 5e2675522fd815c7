"""What a committed row tells on streams: to everybody (nobody's name or position is in it), and to a user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

import msgspec

from perps.effects import (
    Changed,
    Effect,
    Funded,
    FundingHour,
    Holding,
    Joined,
    Ordered,
    Paid,
    ParamsSet,
    Priced,
    Status,
    Traded,
    TradeKind,
)
from perps.journal import Entry, Row
from perps.params import MarketParams
from perps.wire.base import Answer
from perps.wire.history import UserTrade
from perps.wire.streams import FundingEvent, HoldEvent, MarketEvent, ParametersEvent, PositionEvent, PriceEvent
from web.answers import decimals
from web.answers.funding import funding_hour
from web.answers.markets import held_price, parameters
from web.answers.orders import order_event
from web.answers.positions import changed_position, traded_position
from web.answers.times import rfc3339
from web.answers.trades import fill_record, trade, user_trade

Owned = Traded | Changed | Ordered
"""What a user's own stream tells."""

Named = tuple[str, Answer]
"""An event: its name and what it says."""


def public_events(entry: Entry, params: MarketParams) -> Iterator[Named]:
    """A market row's public events, in order. An effect that is not public is left out."""
    for n, effects in enumerate(entry.effects):
        for effect in effects:
            yield from _public(entry.row, n, effect, params)


def own_events(row: Row, n: int, effect: Owned, params: MarketParams) -> Iterator[Named]:
    """What event ``n`` of a row tells the user whose position or order it changed."""
    if isinstance(effect, Ordered):
        yield "order", order_event(row, effect, params)
        return
    if isinstance(effect, Traded):
        yield from _own_trade(row, n, effect, params)
        position = traded_position(effect, params, row.at)
    else:
        position = changed_position(effect, params)
    yield "position", PositionEvent(**msgspec.structs.asdict(position), offset=row.offset)


def _own_trade(row: Row, n: int, traded: Traded, params: MarketParams) -> Iterator[Named]:
    told: UserTrade = user_trade(fill_record(row, n, traded), params)
    yield "trade", told
    if traded.kind is TradeKind.LIQUIDATION:
        yield "liquidation", told


def _public(row: Row, n: int, effect: Effect, params: MarketParams) -> Iterator[Named]:
    """What everybody may see of an effect."""
    match effect:
        case Priced() if not effect.is_first:
            yield "price", _price(row, effect, params)
        case Traded():
            told = trade(fill_record(row, n, effect), params)
            yield "trade", told
            if effect.kind is TradeKind.LIQUIDATION:
                yield "liquidation", told
        case Status():
            event = MarketEvent(
                ticker=params.ticker,
                status=effect.mode,
                reason=effect.reason,
                offset=row.offset,
                at=rfc3339(row.at),
            )
            if effect.name is not None:
                event.name = effect.name
            yield "market", event
        case Holding():
            held = None if effect.held is None else held_price(effect.held, params)
            yield "hold", HoldEvent(ticker=params.ticker, held_price=held, offset=row.offset, at=rfc3339(row.at))
        case ParamsSet():
            shown = msgspec.structs.asdict(parameters(effect.params))
            yield "parameters", ParametersEvent(**shown, offset=row.offset, at=rfc3339(row.at))
        case FundingHour():
            hour = msgspec.structs.asdict(funding_hour(effect, params))
            yield "funding", FundingEvent(**hour, ticker=params.ticker, offset=row.offset)
        case Priced() | Changed() | Ordered() | Joined() | Paid() | Funded():
            pass
        case _:
            assert_never(effect)


def _price(row: Row, price: Priced, params: MarketParams) -> PriceEvent:
    tick = params.tick_size
    return PriceEvent(
        ticker=params.ticker,
        index_price=decimals.price(price.index, tick),
        mark_price=decimals.price(price.mark, tick),
        quote_price=decimals.price(price.quote, tick),
        source=price.source,
        reason=price.reason,
        sequence=price.sequence,
        offset=row.offset,
        at=rfc3339(row.at),
    )
