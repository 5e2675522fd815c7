"""The worst price a caller accepts, kept exactly."""

from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest

from perps.commands import Side
from perps.events import PositionOpened, PositionReduced
from perps.refusals import RejectCode, Rejected
from perps.units import MICRO, PICO, Lots, Micros, Nano, Pico
from tests.perps.build import (
    BTC_PRICE,
    index_market,
    new_market,
    refused,
)
from tests.perps.rules.trying import LONG, SHORT, SIZE, fresh, must_open, try_close, try_open

DUST = {"tick_size": Pico(1), "lot_size": Pico(PICO * MICRO), "skew_scale": Lots(10**12)}
"""A tick of 10⁻¹², and lots so large that a tick of one is worth a micro."""


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("closing", [False, True])
@pytest.mark.parametrize(("changes", "price"), [({}, BTC_PRICE), (DUST, 12_345), (DUST, 999), (DUST, 1)])
def test_an_acceptable_price_is_kept_exactly(side: Side, closing: bool, changes: dict[str, Any], price: int) -> None:
    """A fill exactly at the limit passes; one 10⁻¹² worse does not. Which way is worse depends on what it trades."""
    market = new_market(index_market(**changes, min_order_size=Micros(1)), price)
    size = 1_000 * price * market.unit
    must_open(market, size, side)
    plain = try_close(market) if closing else try_open(market, size, side)
    assert not isinstance(plain, Rejected)
    buys = plain.fill.lots > 0
    paid = Fraction(abs(plain.fill.cost), MICRO) / Fraction(abs(plain.fill.lots) * market.params.lot_size, PICO) * PICO
    tightest = ceil(paid) if buys else floor(paid)
    too_tight = tightest - 1 if buys else tightest + 1
    for limit, ok in ((tightest, True), (too_tight, False)):
        nano, rest = divmod(limit, 1000)
        outcome: PositionOpened | PositionReduced | Rejected
        if closing:
            outcome = try_close(market, acceptable_price=Nano(nano), acceptable_price_pico=rest)
        else:
            outcome = try_open(market, size, side, limit=nano, acceptable_price_pico=rest)
        assert isinstance(outcome, Rejected) is not ok
        if not ok:
            refusal = refused(outcome)
            assert refusal.code is RejectCode.PRICE_BEYOND_LIMIT
            assert refusal.facts["acceptable_price_pico"] == limit
            assert refusal.facts["price_pico"] == max(floor(paid), 1)


@pytest.mark.parametrize("side", Side)
def test_a_price_below_a_pico_is_not_refused_as_if_it_were_0(side: Side) -> None:
    """At a price of one tick a tilted quote lies between two picos: what is told is 1, not 0."""
    market = new_market(index_market(**DUST, min_order_size=Micros(1)), 1)
    market.short_lots = Lots(5_000)

    facts = refused(try_open(market, 1_000, side, max_slippage_bps=0)).facts

    assert facts["price_pico"] == facts["acceptable_price_pico"] == 1


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("skew", "bps", "ok"), [(0, 10, True), (0, 1, True), (0, 0, False), (5_000, 1, True)])
def test_slippage_is_measured_from_the_quote_before_the_trade(side: Side, skew: int, bps: int, ok: bool) -> None:
    """2,000 lots move the mean by 1 bp of the scale: a bound of 1 bp is just kept, from whatever skew."""
    market = fresh(max_skew=9_000, max_open_interest=20_000)
    sign = 1 if side is LONG else -1
    market.long_lots, market.short_lots = (skew, 0) if sign < 0 else (0, skew)  # type: ignore[assignment]
    size = abs(market.cost(1_900 * sign))

    assert isinstance(try_open(market, size, side, max_slippage_bps=bps), Rejected) is not ok
    opposite = SHORT if side is LONG else LONG
    assert isinstance(try_open(market, size, opposite, max_slippage_bps=10_000), PositionOpened)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(("bps", "ok"), [(0, False), (1, True)])
def test_a_close_keeps_its_slippage_bound(side: Side, bps: int, ok: bool) -> None:
    market = fresh()
    must_open(market, SIZE, side)

    assert isinstance(try_close(market, max_slippage_bps=bps), Rejected) is not ok
