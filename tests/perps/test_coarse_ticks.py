"""A tick that is coarse beside the price: refused at a listing; and markets that have one go on as they were."""

import json
from base64 import b64decode
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import Side
from perps.engine import sweep
from perps.events import CloseReason, MarketListed, PositionReduced, decode_events, encode_events
from perps.market.liquidation_order import LiquidationOrder
from perps.market.listing import check_params
from perps.market.position import is_liquidatable, withdrawable
from perps.market.state import Market
from perps.rules.liquidation import due, next_liquidation
from perps.rules.opening import decide_open
from perps.rules.rule import Given
from perps.units import MICRO, PICO, PPB, FundingIndex, Micros, Millis, Ppb, Ticks
from perps.wire.base import Number
from perps.wire.listing import MarketBody
from tests.perps.build import (
    START_MS,
    STORY,
    index_market,
    listing,
    new_open,
    new_position,
    quote_market,
    refused,
)
from web.api.bodies.commands import list_command

GOLDEN = Path(__file__).parents[1] / "golden"
TICK_RULE = "10 × tickSize ≤ maintenanceRate × price"
CENT: dict[str, Any] = {"tick_size": PICO // 100, "lot_size": PICO // 10_000}


def test_a_tick_of_a_fiftieth_of_the_price_lists_no_market() -> None:
    """At 0.45 a real move of 0.04 %, from 0.4549 to 0.4551, was a move of 2.2 % on a tick of 0.01: 50× was gone."""
    params = index_market(**CENT, max_leverage=50, maintenance_rate=PPB // 100)
    broken = refused(check_params(params, Ticks(45)))

    assert broken.facts["rule"] == TICK_RULE
    assert broken.facts["largest_tick_size_pico"] == 450_000_000
    assert broken.facts["smallest_price_ticks"] == 1_000
    assert check_params(params, Ticks(999)) is not None
    assert check_params(params, Ticks(1_000)) is None


@pytest.mark.parametrize(("price", "fits"), [(2_000, True), (1_999, False)])
def test_ten_ticks_fit_into_the_maintenance_margin(price: int, fits: bool) -> None:
    assert (check_params(index_market(), Ticks(price)) is None) is fits


def test_the_tick_that_the_refusal_names_fits() -> None:
    body = MarketBody(ticker="T", price=Number("0.45"), max_leverage=50, tick_size=Number("0.01"))
    command = list_command(body)
    broken = refused(check_params(command.params, command.price))
    largest = Number(broken.facts["largest_tick_size_pico"]).scaleb(-12)

    tick, lot = Number(largest), Number("0.1")
    fitting = list_command(MarketBody(ticker="T", price=Number("0.45"), max_leverage=50, tick_size=tick, lot_size=lot))
    still = check_params(fitting.params, fitting.price)
    assert still is None or still.facts["rule"] != TICK_RULE


def coarse(*, exact: bool) -> Market:
    """A quote at 0.05 with a tick of 0.01, 10×: as could be listed before there was the rule."""
    params = quote_market(
        tick_size=PICO // 100,
        lot_size=PICO // 100,
        skew_scale=20 * 10**6,
        max_skew=4 * 10**5,
        max_open_interest=4 * 10**5,
        max_leverage=10,
        maintenance_rate=PPB // 20,
        liquidation_fee=PPB // 200,
        min_order_size=1,
        exact_mark=exact,
    )
    return Market(listing(params, 5))


def opens(market: Market, user: str, side: Side, size: int, leverage: int) -> None:
    """Open, with all the money in the world."""
    given = Given(Millis(START_MS), held=Micros(10**15))
    outcome = decide_open(market, new_open(user, side, size, ticker=STORY, leverage=leverage), given)
    assert isinstance(outcome, tuple)
    market.enter(outcome[0].position)
    market.next_number += 1


@pytest.mark.parametrize("exact", [False, True])
def test_a_small_sale_liquidates_a_tenfold_long_only_by_the_quote_of_the_tick(exact: bool) -> None:
    """The quote falls by 1 %; rounded down to a tick that is a fifth of it."""
    market = coarse(exact=exact)
    opens(market, "vic", Side.LONG, 20 * MICRO, 10)
    assert next_liquidation(market, set()) is None
    opens(market, "ann", Side.SHORT, 80 * MICRO, 1)

    assert market.mark == 4
    assert (next_liquidation(market, set()) is None) is exact


def test_a_short_that_is_due_between_two_ticks_is_liquidated_by_the_sweep() -> None:
    """The quote is 5.49975 ticks: by its tick, 5, nobody would be due."""
    market = coarse(exact=True)
    market.enter(new_position(lots=2 * 10**6, user="ann", cash=10**12))
    mark, scale = market.exact_mark(market.skew - 1_000)
    needed = 1_000 * mark * market.unit * 105 // (100 * scale)
    market.enter(new_position(number=2, lots=-1_000, cash=needed))

    assert market.mark == 5
    (((event,), _),) = sweep(market, Given(Millis(START_MS)))
    assert isinstance(event, PositionReduced)
    assert (event.position.number, event.reason) == (2, CloseReason.LIQUIDATION)
    assert 2 not in market.positions


@pytest.mark.parametrize(("exact", "side"), [(exact, side) for exact in (False, True) for side in Side])
def test_whoever_takes_out_all_the_margin_that_can_leave_is_not_due_and_with_three_micros_more_is(
    exact: bool, side: Side
) -> None:
    market = coarse(exact=exact)
    size, sign = 3_333, 1 if side is Side.LONG else -1
    market.enter(new_position(lots=77_777, user="bob", cash=10**12))
    mark, scale = market.exact_mark(market.skew + sign * size)
    value = size * mark * market.unit // scale
    position = new_position(number=2, lots=sign * size, cash=value * (9 if side is Side.SHORT else 1), margin=value * 8)
    market.enter(position)
    params, index = replace(market.params, max_leverage=1_000), market.funding_index
    most = withdrawable(position, mark, params, index, scale)

    left = replace(position, cash=position.cash - most, margin=position.margin - most)
    assert most > 0
    assert not is_liquidatable(left, mark, params, index, scale)
    assert is_liquidatable(replace(left, cash=left.cash - 3), mark, params, index, scale)


@pytest.mark.parametrize("exact", [False, True])
def test_an_exit_goes_by_the_mark_as_it_is_shown(exact: bool) -> None:
    """The quote falls from 5 to 4.95 ticks. Its tick, 4, is what everybody sees, and what a stop waits for."""
    market = coarse(exact=exact)
    market.enter(replace(new_position(lots=100, user="vic", cash=10**12), stop_loss=Ticks(4)))
    assert not list(sweep(market, Given(Millis(START_MS))))
    market.enter(new_position(number=2, lots=-(2 * 10**5), cash=10**12))

    (row,) = sweep(market, Given(Millis(START_MS)))
    assert [event.reason for event in row.events if isinstance(event, PositionReduced)] == [CloseReason.STOP_LOSS]


KEYS = st.integers(-3, 3)
"""Micros by which somebody is away from his maintenance."""


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.booleans(), KEYS), min_size=1, max_size=12),
    st.integers(1, 2_000),
    st.integers(-900, 900),
    st.integers(-(10**12), 10**12),
)
def test_the_liquidation_order_misses_nobody_at_an_exact_mark(
    book: list[tuple[int, bool, int]], price: int, skew: int, index: int
) -> None:
    """Beside fractions: who is due by S·(Ks + K)/Ks is among the candidates, and confirmed by the predicate alone."""
    params = quote_market(skew_scale=1_000, maintenance_rate=Ppb(PPB // 7))
    order, positions = LiquidationOrder(), {}
    scale, funding = params.skew_scale, FundingIndex(index)
    mark = price * (scale + skew)
    exact = Fraction(mark, scale)
    for number, (lots, is_long, extra) in enumerate(book, 1):
        signed = lots if is_long else -lots
        worth = signed * exact * params.unit
        owed = -(-signed * index // PPB)
        cash = round(abs(worth) * Fraction(params.maintenance_rate, PPB) - worth) + owed + extra
        positions[number] = new_position(number=number, lots=signed, cash=cash)
        order.add(positions[number], params)
    truly = {
        number
        for number, each in positions.items()
        if each.cash + each.lots * exact * params.unit - -(-each.lots * index // PPB)
        <= abs(each.lots) * exact * params.unit * Fraction(params.maintenance_rate, PPB)
    }
    candidates = set(order.candidates(mark, params, funding, scale))
    confirmed = {n for n in candidates if is_liquidatable(positions[n], mark, params, funding, scale)}

    assert truly <= confirmed
    for number in confirmed - truly:  # maintenance is rounded up, by less than 1/Ks of a micro
        each = positions[number]
        spare = each.cash + each.lots * exact * params.unit - -(-each.lots * index // PPB)
        need = abs(each.lots) * exact * params.unit * Fraction(params.maintenance_rate, PPB)
        assert spare - need < Fraction(1, scale)
    assert order.may_be_due(mark, params, funding, scale) is bool(candidates)


@given(st.integers(1, 10**6), st.integers(-(10**9), 10**9), st.integers(-50, 50), st.integers(-(10**12), 10**12))
def test_at_a_whole_price_the_exact_predicate_is_the_one_that_markets_always_had(
    price: int, cash: int, lots: int, index: int
) -> None:
    params, position = index_market(), new_position(lots=lots or 1, cash=cash)
    value, owed = (lots or 1) * price * params.unit, -(-(lots or 1) * index // PPB)
    old = cash + value - owed <= -(-abs(value) * params.maintenance_rate // PPB) + params.maintenance_fixed

    assert is_liquidatable(position, price, params, FundingIndex(index)) is old
    assert is_liquidatable(position, price * 7, params, FundingIndex(index), 7) in (old, False)


@pytest.mark.parametrize("exact", [False, True])
def test_a_market_decides_after_a_start_as_it_did_before(exact: bool) -> None:
    """By its snapshot and by its listing's row: what the parameters do not name is off, as in markets of old."""
    market = coarse(exact=exact)
    long = new_position(lots=400, cash=-400 * 5 * market.unit + 20_000, margin=20_000)
    market.enter(long)
    market.enter(new_position(number=2, lots=-(10**5), cash=10**12))
    event = MarketListed(market.params, Ticks(5), Millis(START_MS))
    (again,) = decode_events(encode_events((event,)))

    assert again == event
    restored = Market.from_image(market.image())
    assert (due(restored) is None) is (due(market) is None) is exact
    assert market.exact_mark(market.skew) == ((5 * (20 * 10**6 - 99_600), 20 * 10**6) if exact else (4, 1))


def test_the_markets_of_the_first_release_are_marked_at_the_quote_of_their_tick() -> None:
    rows = [json.loads(line) for line in (GOLDEN / "v1" / "session.jsonl").read_text().splitlines()]
    listed = [
        event
        for row in rows
        for event in decode_events(b64decode(row["payload"]), row["schema_version"])
        if isinstance(event, MarketListed)
    ]

    assert len(listed) > 1
    assert not any(event.params.exact_mark or event.params.max_step for event in listed)
