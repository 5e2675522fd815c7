"""Our prices beside another system's: the difference in 1/10,000 of theirs, and the prices that only one side has."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import Final

from msgspec import Struct

from perps.market.position import position_id, split_position_id
from perps.market.state import Market
from perps.units import PICO
from perps.venue import VenueState
from tools.audit.external import ExternalPrice
from tools.times import rfc3339

BPS: Final = 10_000
DIGITS: Final = 400
"""Digits of the arithmetic: enough that only the difference that is shown is rounded, to ``SHOWN``."""

SHOWN: Final = Decimal("0.01")


class PriceRow(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A price that both sides have, or one of them."""

    ticker: str
    external: str | None
    """None: the other side does not have it."""
    ours: str | None
    """None: we do not have it."""
    bps: str | None
    """(ours − theirs) in 1/10,000 of theirs, to two places; None if only one side has the price."""
    within: bool
    position_id: str | None = None
    at: str | None = None


def compare_prices(
    state: VenueState, external: Iterable[ExternalPrice], *, kind: str, tolerance_bps: Decimal
) -> list[PriceRow]:
    """Every market, or every position if the other side lists positions; ordered by ticker and position.

    ``kind``: which of a market's prices to compare. The tolerance is applied exactly, before any rounding.
    """
    rows: list[PriceRow] = []
    seen: set[tuple[str, str | None]] = set()
    by_position = False
    for theirs in external:
        by_position = by_position or theirs.position is not None
        seen.add((theirs.ticker, theirs.position))
        market = state.markets.get(theirs.ticker)
        known = market is not None and (theirs.position is None or _is_open(market, theirs.position))
        ours = _price(market, kind) if market is not None and known else None
        rows.append(_row(theirs, ours, tolerance_bps))
    for ticker, position in _all_ours(state, by_position=by_position):
        if (ticker, position) not in seen:
            ours = _price(state.markets[ticker], kind)
            rows.append(PriceRow(ticker, None, f"{ours:f}", None, False, position_id=position))
    return sorted(rows, key=lambda row: (row.ticker, row.position_id or ""))


def _row(theirs: ExternalPrice, ours: Decimal | None, tolerance_bps: Decimal) -> PriceRow:
    at = None if theirs.at_ms is None else rfc3339(theirs.at_ms)
    if ours is None:
        return PriceRow(theirs.ticker, f"{theirs.price:f}", None, None, False, theirs.position, at)
    with localcontext() as context:
        context.prec = DIGITS
        difference = (ours - theirs.price) * BPS
        within = abs(difference) <= tolerance_bps * theirs.price
        shown = (difference / theirs.price).quantize(SHOWN)
    return PriceRow(theirs.ticker, f"{theirs.price:f}", f"{ours:f}", f"{shown:f}", within, theirs.position, at)


def _all_ours(state: VenueState, *, by_position: bool) -> Iterable[tuple[str, str | None]]:
    for ticker, market in state.markets.items():
        if by_position:
            yield from ((ticker, position_id(ticker, number)) for number in market.positions)
        else:
            yield ticker, None


def _is_open(market: Market, position: str) -> bool:
    place = split_position_id(position)
    return place is not None and place[0] == market.ticker and place[1] in market.positions


def _price(market: Market, kind: str) -> Decimal:
    ticks = {"index": market.index_price, "mark": market.mark, "quote": market.quote}[kind]
    with localcontext() as context:
        context.prec = DIGITS
        return (Decimal(ticks) * market.params.tick_size / PICO).normalize()
