"""More of a position: every refusal in its place, the caps on the whole, and the sum of both as if put together."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from perps.commands import Side
from perps.engine import apply
from perps.events import PositionIncreased
from perps.market.position import (
    Position,
    funding_base,
    funding_since_entry,
    is_liquidatable,
    position_id,
)
from perps.market.state import Market
from perps.params import MarketParams, Mode
from perps.refusals import RejectCode, Rejected
from perps.rules.opening import decide_open
from perps.rules.rule import Given
from perps.units import MICRO, NANO, PPB, FundingIndex, Lots, Micros, Millis, Ticks
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    RICH,
    START_MS,
    STORY_PRICE,
    Books,
    done,
    full_state,
    index_market,
    new_market,
    new_open,
    opened,
    quote_market,
    refused,
)
from tests.perps.rules.trying import AGE, LONG, SHORT, SIZE, must_open

FIRST = position_id(BTC, 1)


def try_increase(market: Market, size: int = SIZE, side: Side = LONG, **more: Any) -> PositionIncreased | Rejected:
    late, held, user = more.pop("late", 0), more.pop("held", RICH), more.pop("user", "ann")
    name = more.pop("position", position_id(market.ticker, 1))
    given = Given(Millis(START_MS + late), held=Micros(held))
    command = new_open(user, side, size, ticker=market.ticker, position=name, **more)
    outcome = decide_open(market, command, given)
    if isinstance(outcome, Rejected):
        return outcome
    assert isinstance(outcome[0], PositionIncreased)
    return outcome[0]


def must_increase(market: Market, size: int = SIZE, side: Side = LONG, **more: Any) -> PositionIncreased:
    outcome = try_increase(market, size, side, **more)
    assert isinstance(outcome, PositionIncreased), outcome
    apply(market, outcome)
    return outcome


FAULTS: list[tuple[RejectCode, dict[str, Any]]] = [
    (RejectCode.VALIDATION_ERROR, {"side": SHORT}),
    (RejectCode.FORBIDDEN, {"user": "bob"}),
    (RejectCode.POSITION_NOT_FOUND, {"position": position_id(BTC, 9)}),
    (RejectCode.MARKET_HALTED, {"mode": Mode.HALTED}),
    (RejectCode.MARKET_REDUCE_ONLY, {"mode": Mode.REDUCE_ONLY}),
    (RejectCode.PRICE_STALE, {"late": 1_001}),
    (RejectCode.POSITION_CLOSED, {"position": position_id(BTC, 2)}),
    (RejectCode.POSITION_SIZE_TOO_SMALL, {"min_order_size": 10**18}),
    (RejectCode.POSITION_SIZE_TOO_LARGE, {"max_open_interest": 300}),  # 199 lots and 199 more
    (RejectCode.LEVERAGE_TOO_HIGH, {"leverage": 101}),
    (RejectCode.MAX_SKEW_EXCEEDED, {"max_skew": 300}),
    (RejectCode.OPEN_INTEREST_EXCEEDED, {"long_lots": 19_900}),
    (RejectCode.WOULD_BE_LIQUIDATED, {"maintenance_fixed": SIZE}),
    (RejectCode.PRICE_BEYOND_LIMIT, {"limit": NANO}),
    (RejectCode.INSUFFICIENT_FUNDS, {"held": 0}),
]
ORDER = list(RejectCode)
PAIRS = [
    (first, second)
    for n, first in enumerate(FAULTS)
    for second in FAULTS[n + 1 :]
    if not first[1].keys() & second[1].keys()
    # Whose a position is, and which side it has, is asked of one that is there.
    and not (set(first[1]) <= {"user", "side"} and "position" in second[1])
    and (first[0], second[0]) != (RejectCode.VALIDATION_ERROR, RejectCode.FORBIDDEN)
]


def increasing(*faults: dict[str, Any]) -> PositionIncreased | Rejected:
    """An increase in a market with these faults, all at once. Position 2 is past, and there is no 9."""
    everything = {**AGE, **{key: value for fault in faults for key, value in fault.items()}}
    market = new_market(index_market(), BTC_PRICE)
    must_open(market)
    market.next_number = 3
    for key in ("mode", "long_lots"):
        if key in everything:
            setattr(market, key, everything.pop(key))
    if market.long_lots > 10_000:
        market.short_lots = Lots(market.long_lots - 199)
    order = {
        key: everything.pop(key)
        for key in ("late", "leverage", "limit", "held", "side", "user", "position")
        if key in everything
    }
    market.params = replace(market.params, **everything)
    return try_increase(market, **order)


def test_an_increase_without_a_fault_is_accepted() -> None:
    assert isinstance(increasing({}), PositionIncreased)


@pytest.mark.parametrize(("code", "fault"), FAULTS)
def test_an_increase_is_refused_for_each_fault_alone(code: RejectCode, fault: dict[str, Any]) -> None:
    assert refused(increasing(fault)).code is code


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda fault: fault[0].value)
def test_of_two_faults_the_first_in_the_documented_order_is_reported(
    first: tuple[RejectCode, dict[str, Any]], second: tuple[RejectCode, dict[str, Any]]
) -> None:
    assert refused(increasing(first[1], second[1])).code is min(first[0], second[0], key=ORDER.index)


def test_a_stranger_is_not_told_the_side_of_a_position() -> None:
    assert refused(increasing({"side": SHORT}, {"user": "bob"})).code is RejectCode.FORBIDDEN


def test_the_cap_of_size_is_on_the_whole_position() -> None:
    market = new_market(index_market(max_open_interest=Lots(400)), BTC_PRICE)
    first = must_open(market, 1_500 * MICRO).position.lots
    refusal = refused(try_increase(market, 1_500 * MICRO))
    assert refusal.code is RejectCode.POSITION_SIZE_TOO_LARGE
    largest = refusal.facts["largest_size_micros"]
    numbers = {"quantity_lots": 2 * first, "max_open_interest_lots": 400, "largest_size_micros": largest}
    assert refusal.facts == numbers
    must_increase(market, int(largest))


# The numbers by hand. u = 1, S = 5,000,000, Ks = 10,000,000: d lots at skew K cost S·(d + d·(2K + d)/2Ks), rounded up.
@pytest.mark.parametrize("side", [LONG, SHORT])
@pytest.mark.parametrize("index", [0, 7 * PPB + 3, -7 * PPB - 3])
def test_what_an_increase_moves_to_the_micro(side: Side, index: int) -> None:
    market = new_market(index_market(funding_velocity=PPB // 5, max_funding_rate=PPB // 500), BTC_PRICE)
    before = must_open(market, side=side, leverage=10).position
    market.funding_index = FundingIndex(index)
    event = must_increase(market, 500 * MICRO, side, leverage=4)
    after, fill, sign = event.position, event.fill, 1 if side is LONG else -1

    skew, lots = before.lots, fill.lots
    exact = BTC_PRICE * lots * (2 * (10_000_000 + skew) + lots)
    assert fill.cost == -(-exact // 20_000_000)
    assert event.margin_added == -(-abs(fill.cost) // 4)
    assert event.fee == -(-abs(fill.cost) // 1_000)
    assert after.lots == before.lots + lots
    assert after.margin == before.margin + event.margin_added
    assert after.entry_cost == before.entry_cost + sign * fill.cost
    assert after.cash == before.cash + event.margin_added + lots * index // PPB - fill.cost
    assert [(move.source, move.target, move.amount, move.kind.value) for move in event.transfers] == [
        ("user:ann", "margin:BTC-PERP", event.margin_added, "margin"),
        ("user:ann", "fees", event.fee, "fee"),
    ]
    untouched = ("number", "user", "leverage", "funding_paid", "opened_at", "referrer")
    assert [getattr(after, name) for name in untouched] == [getattr(before, name) for name in untouched]
    assert abs(funding_since_entry(after, market.params, market.funding_index)) - abs(before.lots * index) // PPB in (
        -1,
        0,
        1,
        2,
    )


def both(params: MarketParams, price: int, side: Side, sizes: list[int], index: int, *, grows: bool) -> Market:
    """The same trades in a row, each for itself or all into the first."""
    market = new_market(params, price)
    for n, size in enumerate(sizes):
        name = position_id(market.ticker, 1) if grows and n else None
        command = new_open("ann", side, size, ticker=market.ticker, leverage=1 + n % 3, position=name)
        (event,) = decide_open(market, command, Given(Millis(START_MS), held=Micros(RICH)))  # type: ignore[misc]
        apply(market, event)
        market.funding_index = FundingIndex(market.funding_index + index)
    return market


@given(
    st.sampled_from([LONG, SHORT]),
    st.lists(st.integers(20 * MICRO, 400 * MICRO), min_size=2, max_size=6),
    st.integers(-(10**10), 10**10),
    st.booleans(),
)
@settings(max_examples=150)
def test_a_position_that_grew_is_the_sum_of_those_it_could_have_been(
    side: Side, sizes: list[int], index: int, is_quoted: bool
) -> None:
    funding = {"funding_velocity": PPB // 5, "max_funding_rate": PPB // 500}
    params, price = (quote_market(**funding), STORY_PRICE) if is_quoted else (index_market(**funding), BTC_PRICE)
    apart, grown = (both(params, price, side, sizes, index, grows=grows) for grows in (False, True))
    (one,) = grown.positions.values()
    several = list(apart.positions.values())

    for name in ("lots", "cash", "margin", "entry_cost"):
        assert getattr(one, name) == sum(getattr(each, name) for each in several)
    base = sum(funding_base(each, params, apart.funding_index) for each in several)
    assert funding_base(one, params, grown.funding_index) == base
    assert (grown.skew, grown.cash, grown.margin) == (apart.skew, apart.cash, apart.margin)
    paid_apart = sum(funding_since_entry(each, params, apart.funding_index) for each in several)
    assert 0 <= paid_apart - funding_since_entry(one, params, grown.funding_index) <= len(several)


def test_the_whole_must_be_sound_behind_it_and_more_margin_makes_it_so() -> None:
    """A position near its end grows only by what brings its margin up again."""
    market = new_market(index_market(), BTC_PRICE)
    must_open(market, leverage=100)
    market.index_price = Ticks(BTC_PRICE * 9_940 // 10_000)
    small = refused(try_increase(market, 50 * MICRO, leverage=100))
    assert small.code is RejectCode.WOULD_BE_LIQUIDATED
    worth, needed = (int(small.facts[f"{name}_micros"]) for name in ("equity", "maintenance"))
    assert 5 * MICRO > needed - worth >= 0
    assert needed > 1_000 * MICRO * market.params.maintenance_rate // PPB, "of the whole, not of what was added"
    grown = must_increase(market, 2_000 * MICRO, leverage=2).position
    assert not is_liquidatable(grown, market.mark, market.params, market.funding_index)


def test_a_close_behind_an_increase_gives_back_the_whole_and_a_replay_agrees() -> None:
    venue = Books((index_market(), BTC_PRICE))
    venue.add_user("bob")
    venue.add_user("ann", referrer="bob")
    first = opened(venue.open("ann", LONG, SIZE))
    before = venue.ledger.wallet("bob")
    done(venue.send(new_open("ann", LONG, SIZE, leverage=3, position=FIRST)))
    assert venue.ledger.wallet("bob") > before, "an increase pays the referrer"
    done(venue.close(first, PPB // 2))
    done(venue.close(first))
    assert not venue.markets[BTC].positions
    assert venue.ledger.balances["margin:BTC-PERP"] == 0
    state = venue.replayed()
    assert full_state(state.ledger, state.markets) == full_state(venue.ledger, venue.markets)
    assert refused(venue.send(new_open("ann", LONG, SIZE, position=FIRST))).code is RejectCode.POSITION_CLOSED


@pytest.mark.parametrize("name", ["", "BTC-PERP", "BTC-PERP-", "BTC-PERP-01", "BTC-PERP-0", "STORY-PERP-1", "x" * 64])
def test_an_id_that_names_no_position_of_the_market_is_not_found(name: str) -> None:
    market = new_market(index_market(), BTC_PRICE)
    must_open(market)
    assert refused(try_increase(market, position=name)).code is RejectCode.POSITION_NOT_FOUND


def test_an_increase_is_placed_anew_in_the_liquidation_order() -> None:
    market = new_market(index_market(), BTC_PRICE)
    must_open(market, leverage=50)
    must_increase(market, 3_000 * MICRO, leverage=1)
    position: Position = market.positions[1]
    fresh_market = new_market(index_market(), BTC_PRICE)
    fresh_market.enter(position)
    assert market.order.entries() == fresh_market.order.entries()
    assert must_open(market).position.number == 2
