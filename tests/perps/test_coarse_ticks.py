"""A tick that is coarse beside the price: refused at a listing; and markets that have one go on as they were."""

from pathlib import Path
from typing import Any

import pytest

from perps.commands import Side
from perps.engine import sweep
from perps.events import CloseReason, PositionReduced
from perps.market.listing import check_params
from perps.market.state import Market
from perps.rules.liquidation import next_liquidation
from perps.rules.opening import decide_open
from perps.rules.rule import Given
from perps.units import MICRO, PICO, PPB, Micros, Millis, Ticks
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
from web.api.commands import list_command

GOLDEN = Path(__file__).parents[1] / "golden"
TICK_RULE = "10 × tickSize ≤ maintenanceRate × price"
CENT: dict[str, Any] = {"tick_size": PICO // 100, "lot_size": PICO // 10_000}


def test_a_tick_of_a_fiftieth_of_the_price_lists_no_market() -> None:
    """At 0.45 a real move of 0.04 %, from 0.4549 to 0.4551, was a move of 2.2 % on a tick of 0.01: 50× was gone."""
    params = index_market(**CENT, max_leverage=50, maintenance_rate=PPB // 100)
    broken = refused(check_params(params, Ticks(45)))

    assert broken.facts["rule"] == TICK_RULE
    assert broken.facts["largest_tick_size_pico"] == 450_000_000


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
    ((event,),) = sweep(market, Given(Millis(START_MS)))
    assert isinstance(event, PositionReduced)
    assert (event.position.number, event.reason) == (2, CloseReason.LIQUIDATION)

    assert len(listed) > 1
    assert not any(event.params.exact_mark or event.params.max_step for event in listed)
