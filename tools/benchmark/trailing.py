"""The time of a price update where trailing stops follow it, beside 100,000 resting orders. Only the domain runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from perps.commands import OrderKind, PlaceExit, PlaceOrder, PriceSource, Side, UpdatePrice
from perps.engine import execute
from perps.market.order import Order
from perps.market.position import position_id
from perps.market.state import Market
from perps.market.trailing import TRAILING_PER_MARKET_MAX, TrailingStops, trailed
from perps.rules.orders.terms import ORDERS_PER_USER_MAX
from perps.rules.rule import Given
from perps.units import AMOUNT_MAX, PPB, Micros, Millis, Ppb, Ticks
from tools.benchmark.prices import PARAMS, PRICE, SIZE, SWING, fill, new_market, timed, update_times
from tools.benchmark.report import Figure
from tools.errors import ToolError

TRIGGERS: Final = (1_000, 100_000)
"""Orders that rest in the market, a tenth of them trailing stops."""

FOLLOWED: Final = 20_000


def figures(
    counts: Sequence[int],
    tell: Callable[[int], None],
    *,
    triggers: Sequence[int] = TRIGGERS,
    updates: int = FOLLOWED,
) -> Iterator[Figure]:
    """Price updates in markets with so many positions and triggers; then the stops of the last market alone."""
    market, trailing = new_market(), 0
    for count, resting in zip(counts, triggers, strict=True):
        market, trailing = new_market(), min(resting // 10, TRAILING_PER_MARKET_MAX)
        fill(market, trailing, tell)
        _follow(market, trailing)
        _rest(market, resting - trailing)
        fill(market, max(count, trailing), tell)
        name = f"price update, {resting:,} triggers, {count:,} positions"
        yield timed(name, update_times(market, updates // 4), "none is due")
    stops = market.orders.trailing
    yield timed(
        f"{trailing:,} trailing stops, a mark that fires none",
        _alone(stops, [PRICE - number % 3 for number in range(updates)]),
        "the stops alone",
    )
    high = max(order.extreme for order in market.orders.all())
    yield timed(
        f"{trailing:,} trailing stops, a new best mark",
        _alone(stops, [high + number for number in range(1, updates)]),
        "the stops alone",
    )
    took = jump(trailing)
    name = f"a mark that overtakes {trailing:,} groups of trailing stops"
    yield Figure("domain", name, took * 1000, "ms", note="the stops alone; once")


def jump(groups: int) -> float:
    """Seconds of one mark that overtakes so many groups, of one stop each."""
    stops = TrailingStops()
    for number in range(1, groups + 1):
        plain = Order(
            number=number,
            user="u",
            kind=OrderKind.TRAILING_STOP,
            side=Side.LONG,
            size=Micros(0),
            leverage=1,
            price=Ticks(0),
            reserve=Micros(0),
            taker_fee=Ppb(0),
            placed_at=Millis(0),
            callback=_callback(number),
        )
        stops.add(trailed(plain, Ticks(PRICE + groups - number)))
    begun = time.perf_counter()
    stops.follow(Ticks(PRICE + groups))
    return time.perf_counter() - begun


def _callback(step: int) -> Ppb:
    return Ppb(PPB * (50 + step % 400) // 1_000)


def _alone(stops: TrailingStops, marks: Sequence[int]) -> Iterator[int]:
    for mark in marks:
        begun = time.perf_counter_ns()
        stops.follow(Ticks(mark))
        stops.reached(Ticks(mark))
        yield time.perf_counter_ns() - begun


def _follow(market: Market, count: int) -> None:
    """A trailing stop of each position, at marks that swing: so there are some hundred groups."""
    for number in range(1, count + 1):
        _price(market, PRICE - SWING + number * 37 % (2 * SWING + 1))
        _trail(market, number, number)


def _trail(market: Market, number: int, step: int) -> None:
    command = PlaceExit(
        ticker=PARAMS.ticker,
        user=market.positions[number].user,
        order=OrderKind.TRAILING_STOP,
        position_id=position_id(PARAMS.ticker, number),
        share=Ppb(PPB),
        price=Ticks(0),
        callback=_callback(step),
    )
    _, refused = execute(market, command, Given(Millis(step)))
    if refused is not None:
        raise ToolError(f"the benchmark's trailing stop was refused: {refused.code} {dict(refused.facts)}")


def _rest(market: Market, count: int) -> None:
    """Stops to enter, far from the price."""
    for number in range(count):
        is_long = bool(number % 2)
        command = PlaceOrder(
            ticker=PARAMS.ticker,
            user=f"r{number // ORDERS_PER_USER_MAX}",
            order=OrderKind.STOP,
            side=Side.LONG if is_long else Side.SHORT,
            size=SIZE,
            leverage=2,
            price=Ticks(PRICE + (1 if is_long else -1) * (1_000 + number % 30_000)),
        )
        _, refused = execute(market, command, Given(Millis(number), held=AMOUNT_MAX))
        if refused is not None:
            raise ToolError(f"the benchmark's order was refused: {refused.code} {dict(refused.facts)}")


def _price(market: Market, price: int) -> None:
    command = UpdatePrice(ticker=PARAMS.ticker, price=Ticks(price), source=PriceSource.ORACLE)
    _, refused = execute(market, command, Given(Millis(0)))
    if refused is not None:
        raise ToolError(f"the benchmark's price was refused: {refused.code}")
