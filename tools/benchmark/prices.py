"""The time of a price update that liquidates nobody, and of a look at what is due where nothing is, by the number of
open positions. Only the domain runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from perps.commands import ListMarket, ObserveTime, OpenPosition, PriceSource, Side, UpdatePrice
from perps.engine import execute
from perps.events import MarketListed
from perps.market.state import Market
from perps.params import MarketParams, MarkSource
from perps.refusals import Rejected
from perps.rules.listing import decide_list
from perps.rules.rule import Given
from perps.sequencer import MarketSide, Moment
from perps.units import AMOUNT_MAX, MICRO, PPB, Lots, Micros, Millis, Pico, Ppb, Ticks
from tools.benchmark.load import percentile
from tools.benchmark.report import Figure
from tools.errors import ToolError

POSITIONS: Final = (1_000, 10_000, 100_000, 1_000_000)
UPDATES: Final = 5_000
TOLD_EVERY: Final = 5_000
QUIET_MS: Final = 60_000
"""Within this time nothing comes due."""
PRICE: Final = 100_000
"""The index price in ticks. Updates stay within ``SWING`` ticks of it, far from every liquidation."""
SWING: Final = 50
SIZE: Final = Micros(100 * MICRO)
LEVERAGES: Final = (2, 3, 5, 8, 10)

PARAMS: Final = MarketParams(
    ticker="BENCH",
    organization_id="bench",
    name="Benchmark",
    tick_size=Pico(10**10),
    lot_size=Pico(10**8),
    mark_source=MarkSource.INDEX,
    skew_scale=Lots(10**12),
    max_skew=Lots(5 * 10**9),
    max_open_interest=Lots(5 * 10**9),
    max_leverage=10,
    min_order_size=Micros(10 * MICRO),
    maker_fee=Ppb(1_000_000),
    taker_fee=Ppb(1_000_000),
    referral_share=Ppb(500_000_000),
    maintenance_rate=Ppb(50_000_000),
    liquidation_fee=Ppb(2_000_000),
)


def figures(counts: Sequence[int], tell: Callable[[int], None], *, updates: int = UPDATES) -> Iterator[Figure]:
    """Fill one market step by step, and measure updates at each of ``counts``, which must grow."""
    market = new_market()
    for count in counts:
        fill(market, count, tell)
        yield timed(f"price update, {count:,} positions", update_times(market, updates), "nobody liquidated")
    yield observation(market, updates)


def observation(market: Market, looks: int) -> Figure:
    """What the timer costs a market each second, where funding counts and nothing is due."""
    market.params = replace(market.params, funding_velocity=Ppb(PPB // 10), max_funding_rate=Ppb(PPB // 10))
    market.funding_at = market.at
    name = f"a look at what is due, {len(market.positions):,} positions"
    return timed(name, look_times(market, looks), "each second; nothing is due: no row")


def timed(name: str, times_ns: Iterable[int], note: str) -> Figure:
    """A figure of the domain, from how long it took each time."""
    waits_ns = sorted(times_ns)
    half, high = percentile(waits_ns, 50) / 1000, percentile(waits_ns, 99) / 1000
    return Figure("domain", name, half, "µs", p50=half, p99=high, percentile_unit="µs", note=note)


def new_market() -> Market:
    """An empty market with room for millions of positions."""
    return Market(list_market())


def list_market() -> MarketListed:
    """The event that lists such a market."""
    listing = decide_list(None, ListMarket(params=PARAMS, price=Ticks(PRICE)), Given(Millis(0)))
    if isinstance(listing, Rejected):
        raise ToolError(f"the benchmark's market cannot be created: {dict(listing.facts)}")
    return listing[0]


def fill(market: Market, count: int, tell: Callable[[int], None]) -> None:
    """Open longs and shorts of various leverage until there are ``count`` positions."""
    for number in range(len(market.positions), count):
        command = OpenPosition(
            ticker=PARAMS.ticker,
            user=f"u{number % 10_000}",
            side=Side.LONG if number % 2 else Side.SHORT,
            size=SIZE,
            leverage=LEVERAGES[number % len(LEVERAGES)],
        )
        _, refused = execute(market, command, Given(Millis(number), held=AMOUNT_MAX))
        if refused is not None:
            raise ToolError(f"the benchmark's open {number} was refused: {refused.code} {dict(refused.facts)}")
        if number % TOLD_EVERY == 0:
            tell(number)


def update_times(market: Market, updates: int) -> Iterator[int]:
    """Nanoseconds of each of ``updates`` price updates. Errors: ToolError if one liquidates anybody."""
    open_before = len(market.positions)
    for number in range(updates):
        price = PRICE - SWING + number * 7 % (2 * SWING + 1)
        command = UpdatePrice(ticker=PARAMS.ticker, price=Ticks(price), source=PriceSource.ORACLE)
        given = Given(Millis(number))
        begun = time.perf_counter_ns()
        execute(market, command, given)
        yield time.perf_counter_ns() - begun
    if len(market.positions) != open_before:
        raise ToolError("the benchmark's price updates liquidated somebody")


def look_times(market: Market, looks: int) -> Iterator[int]:
    """Nanoseconds of each of ``looks`` commands of the timer. Errors: ToolError if one makes a row."""
    side, command = MarketSide(market.ticker, market), ObserveTime(ticker=market.ticker)
    for number in range(looks):
        moment = Moment(Millis(market.at + 1 + number % QUIET_MS))
        begun = time.perf_counter_ns()
        decisions, _ = side.run(command, moment)
        row = next(decisions, None)
        yield time.perf_counter_ns() - begun
        if row is not None:
            raise ToolError("a look of the benchmark at what is due made a row")
