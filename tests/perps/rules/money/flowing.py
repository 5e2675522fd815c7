"""A market with funding, and what its tests do with it."""

from __future__ import annotations

from typing import Any

from perps.commands import ObserveTime, Side
from perps.events import (
    PositionOpened,
)
from perps.journal import events_of as decoded
from perps.market.funding import HOUR_MS, Funding
from perps.market.state import Market
from perps.rules.funding import accrue, funding_of
from perps.rules.rule import Given
from perps.units import MICRO, PPB, Millis
from tests.perps.build import (
    RICH,
    START_MS,
    STORY,
    STORY_PRICE,
    Books,
    done,
    opened,
    quote_market,
)

LONG, SHORT = Side.LONG, Side.SHORT
HOUR = START_MS - START_MS % HOUR_MS + HOUR_MS
"""The first full hour after the listing."""
MINUTE_MS = 60_000
FLOW: dict[str, Any] = {"funding_velocity": PPB // 5, "max_funding_rate": PPB // 20}


def flow_venue(**changes: Any) -> Books:
    """A market with funding, and users who can pay."""
    venue = Books((quote_market(**{**FLOW, **changes}), STORY_PRICE))
    for user in ("ann", "bob", "cid"):
        venue.add_user(user, RICH)
    return venue


def market_of(venue: Books) -> Market:
    return venue.markets[STORY]


def open_one(venue: Books, side: Side = LONG, size: int = 1_000, user: str = "ann") -> PositionOpened:
    return opened(venue.open(user, side, size * MICRO, ticker=STORY, leverage=2))


def observe(venue: Books, at: int) -> tuple[Any, ...]:
    """The events that an observation makes; none if it makes no row."""
    venue.at = Millis(at)
    return done(venue.send(ObserveTime(ticker=STORY)))


def all_of(venue: Books, kind: Any) -> list[Any]:
    """All events of one kind since the beginning."""
    return [event for row in venue.rows for event in decoded(row) if isinstance(event, kind)]


def pay_all(venue: Books, *, until: int, every_ms: int = 60_000) -> None:
    """Let time pass as a venue does that is looked at all the time."""
    while venue.at < until:
        observe(venue, min(venue.at + every_ms, until))


def accrued_funding(market: Market, given: Given) -> Funding:
    """Index, rate and carry up to a moment."""
    events = accrue(market, given)
    return (events[-1].index, events[-1].rate, events[-1].carry) if events else funding_of(market)
