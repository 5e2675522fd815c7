"""Funding: what time has done to a market's funding index, and when that is written down.

The engine asks before each command, at the price and the skew that the time is for. ``perps/market/funding.py`` has the
formula.
"""

from typing import Final

from perps.effects import Effects, FundingHour
from perps.events import FundingAccrued, MarketEvents
from perps.market.funding import HOUR_MS, Funding, advanced, forgotten, index_bound
from perps.market.state import Market
from perps.params import Mode
from perps.rules.rule import EventRule, Given
from perps.units import FundingIndex, Millis

UNSEEN_MS: Final = HOUR_MS
"""Time in which nobody looked at a market counts up to here: after downtime nobody is charged for a week at once."""

ROW_AFTER_MS: Final = 600_000
"""A market in which nothing else happens notes its funding this often."""

EXHAUSTED: Final = "funding_index_exhausted"
"""Why a market halts whose index has reached its bound."""


def accrue(market: Market, given: Given) -> tuple[FundingAccrued, ...]:
    """What time has done to a market's funding since it was looked at last: nothing, or one or two events.

    The first one ends at a full hour, for the history. Time in which nobody could act does not count: while the market
    is halted, while its price is too old or waits to be confirmed, and what goes beyond ``UNSEEN_MS``. While nobody
    holds a position F stays, and the rate goes to 0.
    """
    since, at = market.funding_at, given.at
    if at <= since or not (market.params.funding_velocity or market.funding_rate):
        return ()
    is_held = market.long_lots or market.short_lots
    end = counted_until(market, since, given) if is_held else at
    hour = since - since % HOUR_MS + HOUR_MS
    if at < hour:
        index, rate, carry = after(market, funding_of(market), end - since)
        return (FundingAccrued(FundingIndex(index), rate, carry, at, market.index_price),)
    funding = after(market, funding_of(market), min(end, hour) - since)
    noted = _noted(market, funding, Millis(hour), market.hour_index)
    if at == hour:
        return (noted,)
    return (noted, _noted(market, after(market, funding, max(end - hour, 0)), at, noted.index))


def counted_until(market: Market, since: int, given: Given) -> int:
    """Up to when time after ``since`` counts in a market where somebody holds a position, ms."""
    limit = market.params.max_price_age
    if market.mode is Mode.HALTED or market.held_price is not None:
        return since
    end = min(given.at, since + UNSEEN_MS)
    if limit is None:
        return end
    fresh_until = since if market.price_at == given.doubtful_price_at else market.price_at + limit
    return max(since, min(end, fresh_until))


def funding_of(market: Market) -> Funding:
    """Index, rate and carry."""
    return market.funding_index, market.funding_rate, market.funding_carry


def after(market: Market, funding: Funding, elapsed_ms: int) -> Funding:
    """What ``funding`` is ``elapsed_ms`` later, if neither price nor positions change."""
    index, rate, carry = funding
    if not (market.long_lots or market.short_lots):
        return index, forgotten(rate, market.params.funding_velocity, elapsed_ms), carry
    skew = market.long_lots - market.short_lots
    return advanced(funding, market.params, skew, market.index_price, market.unit, elapsed_ms)


def is_worth_a_row(accrued: MarketEvents, before: Funding, market: Market) -> bool:
    """Whether funding that has ``accrued`` is written down though nothing else happened.

    At each full hour, for the history; and every ``ROW_AFTER_MS`` while somebody holds a position, so that little is
    lost when the venue stops. Never if only time has passed since the history's last entry. Whatever is not written
    down is taken back, and counted the next time: the result is the same.
    """
    if any(isinstance(event, FundingAccrued) and event.paid for event in accrued):
        return True
    if not accrued or funding_of(market) == before:
        return False
    if len(accrued) > 1 or not market.funding_at % HOUR_MS:
        return True
    held = market.long_lots or market.short_lots
    return bool(held) and market.funding_at - market.at >= ROW_AFTER_MS


def is_exhausted(market: Market) -> bool:
    """Whether the index has reached its bound. In ``reduce_only`` everybody may still leave; the index stays there."""
    if market.funding_carry or market.mode is not Mode.ENABLED:
        return False
    return abs(market.funding_index) >= index_bound(market.params.max_open_interest)


def apply_accrued(market: Market, event: FundingAccrued) -> None:
    """Index, rate, remainder, and up to when they count."""
    market.funding_index, market.funding_rate = event.index, event.rate
    market.funding_carry, market.funding_at = event.carry, event.at
    if not event.at % HOUR_MS:
        market.hour_index = event.index


def project_accrued(event: FundingAccrued) -> Effects:
    """The history's entry, at a full hour."""
    if event.at % HOUR_MS:
        return ()
    return (FundingHour(event.at, event.index, event.paid, event.rate, event.index_price),)


EVENTS = (EventRule(FundingAccrued, apply_accrued, project_accrued),)
COMMANDS = ()


def _noted(market: Market, funding: Funding, at: Millis, hour_index: FundingIndex) -> FundingAccrued:
    index, rate, carry = funding
    paid = FundingIndex(0 if at % HOUR_MS else index - hour_index)
    return FundingAccrued(FundingIndex(index), rate, carry, at, market.index_price, paid)
