"""Funding as the API shows it: a market's rate now and foreseen, and the hours that are over."""

from __future__ import annotations

from typing import Final

from perps.candles import MINUTE_MS
from perps.effects import FundingHour as DomainHour
from perps.market.funding import DAY_MS, HOUR_MS, RATE, slope_of
from perps.market.state import Market
from perps.params import MarketParams, Mode
from perps.query_rows import FundingRecord
from perps.rules.funding import accrue, after, funding_of
from perps.rules.rule import Given
from perps.units import MICRO, PICO, PPB, Millis
from perps.wire.history import FundingHour
from perps.wire.markets import FundingRate
from web.answers import decimals
from web.answers.times import rfc3339

PLACES: Final = 12
"""Decimals of a rate and of a payment, rounded towards −∞."""

HOURS_A_DAY: Final = 24
DAYS_A_YEAR: Final = 365


def funding_rate(market: Market, now_ms: int, doubtful_price_at: Millis | None) -> FundingRate:
    """What longs pay shorts now, and what they will have paid when this hour is over, as shares of the notional.

    As of the beginning of this minute, or of the market's newest row if that is younger: until the next row or minute
    the answer is the same. A market without funding names the next midnight, as it did before there was any.
    """
    params = market.params
    if not params.funding_velocity and not market.funding_rate:
        midnight = rfc3339(now_ms - now_ms % DAY_MS + DAY_MS)
        return FundingRate(
            rate="0.00", predicted_rate="0.00", next_funding_time=midnight, annualized="0.00", velocity="0.00"
        )
    minute = now_ms - now_ms % MINUTE_MS
    now_ms = max(minute, min(market.funding_at, now_ms))
    start = now_ms - now_ms % HOUR_MS
    end = start + HOUR_MS
    events = accrue(market, Given(Millis(now_ms), doubtful_price_at))
    index, rate, carry = (events[-1].index, events[-1].rate, events[-1].carry) if events else funding_of(market)
    foreseen = index if market.mode is Mode.HALTED else after(market, (index, rate, carry), end - now_ms)[0]
    slope = slope_of(params.funding_velocity, market.skew, params.max_skew)
    return FundingRate(
        rate=decimals.share(rate, RATE * HOURS_A_DAY, PLACES),
        predicted_rate=_rate(foreseen - _index_at(market, start, doubtful_price_at), market.index_price, params),
        next_funding_time=rfc3339(end),
        annualized=decimals.share(rate * DAYS_A_YEAR, RATE, PLACES),
        velocity=decimals.share(slope * HOUR_MS, RATE * HOURS_A_DAY, PLACES),
    )


def funding_hour(hour: DomainHour, params: MarketParams) -> FundingHour:
    """An hour that is over."""
    return _hour(hour.at, hour.index, hour.paid, hour.index_price, params)


def recorded_hour(record: FundingRecord, params: MarketParams) -> FundingHour:
    """An hour that is over, from the query tables."""
    return _hour(record.hour_at, record.funding_index, record.paid, record.index_price, params)


def _hour(at: int, index: int, paid: int, index_price: int, params: MarketParams) -> FundingHour:
    return FundingHour(
        at=rfc3339(at),
        rate=_rate(paid, index_price, params),
        payment=_per_unit(paid, params),
        funding_index=_per_unit(index, params),
        index_price=decimals.price(index_price, params.tick_size),
    )


def _index_at(market: Market, start: int, doubtful_price_at: Millis | None) -> int:
    """The index at the beginning of this hour: as noted, or, until that has happened, as it will be noted."""
    if market.funding_at >= start:
        return market.hour_index
    events = accrue(market, Given(Millis(start), doubtful_price_at))
    return events[-1].index if events else market.funding_index


def _rate(paid: int, index_price: int, params: MarketParams) -> str:
    """A change of the index as a share of the notional at an index price."""
    return decimals.share(paid, index_price * params.unit * PPB, PLACES)


def _per_unit(index: int, params: MarketParams) -> str:
    """A change of the index, 10⁻⁹ micros per lot, in the quote currency per base unit."""
    return decimals.share(index * PICO, PPB * MICRO * params.lot_size, PLACES)
