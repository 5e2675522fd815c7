"""Funding over whole runs: looking more often changes nothing, and what is shown is what was paid."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perps.commands import ObserveTime, Side
from perps.events import (
    CloseReason,
    FundingAccrued,
    PositionOpened,
    PositionReduced,
)
from perps.market.position import funding_since_entry
from perps.params import Mode
from perps.refusals import Rejected
from perps.rules.rule import Given
from perps.snapshot.format import Snapshot, state_hash
from perps.units import MICRO, PPB, FundingIndex, Millis
from tests.perps.build import (
    STORY,
    STORY_PRICE,
    Books,
)
from tests.perps.rules.money.flowing import HOUR, LONG, MINUTE_MS, SHORT, accrued_funding, all_of, flow_venue, market_of

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "price", "wait", "mode"]),
        st.sampled_from([LONG, SHORT]),
        st.integers(1, 100),
        st.integers(0, 4 * MINUTE_MS),
    ),
    min_size=1,
    max_size=14,
)


def play(venue: Books, steps: list[tuple[str, Side, int, int]], poke: Any) -> None:
    """The same trades; between them ``poke`` is called with the time that passes."""
    for number, (what, side, part, wait_ms) in enumerate(steps):
        poke(venue, number, venue.at + wait_ms)
        market, own = market_of(venue), sorted(market_of(venue).positions)
        if what == "open":
            user = ("ann", "bob", "cid")[part % 3]
            venue.open(user, side, part * 30 * MICRO, ticker=STORY, leverage=1 + part % 5)
        elif what == "close" and own:
            position = market.positions[own[part % len(own)]]
            closing = PositionOpened(position, fill=None, fee=0, referral=0, transfers=())  # type: ignore[arg-type]
            venue.close(closing, part * PPB // 100, ticker=STORY)
        elif what == "price":
            venue.price(STORY_PRICE * (70 + part * 6 // 10) // 100, ticker=STORY)
        elif what == "mode":
            venue.mode([Mode.ENABLED, Mode.REDUCE_ONLY, Mode.HALTED, Mode.ENABLED][part % 4], ticker=STORY)


def silent(venue: Books, _: int, until: int) -> None:
    venue.at = Millis(until)


def poking(venue: Books, number: int, until: int) -> None:
    """Observations and refused commands, at moments of no pattern."""
    begun = venue.at
    for piece in range(1, 7):
        venue.at = Millis(begun + (until - begun) * piece * piece // 49)
        if (piece + number) % 2:
            venue.send(ObserveTime(ticker=STORY))
        else:
            outcome = venue.open("ann", LONG, 1, ticker=STORY)
            assert isinstance(outcome, Rejected)
    venue.at = Millis(until)


@pytest.mark.slow
@pytest.mark.timeout(90)
@settings(max_examples=150)
@given(STEPS)
def test_observations_and_refused_commands_between_trades_change_nothing(
    steps: list[tuple[str, Side, int, int]],
) -> None:
    """But for what time alone liquidates: then the two part."""
    quiet, poked = (flow_venue(funding_velocity=200 * PPB) for _ in range(2))
    play(quiet, steps, silent)
    play(poked, steps, poking)
    one, other = market_of(quiet), market_of(poked)
    if any(event.reason is CloseReason.LIQUIDATION for event in all_of(poked, PositionReduced)):
        return

    now = Given(quiet.at)
    assert quiet.at == poked.at
    assert accrued_funding(one, now) == accrued_funding(other, now)
    assert one.positions == other.positions
    assert quiet.ledger.balances == poked.ledger.balances


@pytest.mark.slow
@pytest.mark.timeout(90)
@settings(max_examples=60)
@given(STEPS, st.integers(1, 60))
def test_a_snapshot_and_the_rest_of_the_rows_lead_where_the_venue_is(
    steps: list[tuple[str, Side, int, int]], cut: int
) -> None:
    venue = flow_venue()
    venue.at = Millis(HOUR - 5 * MINUTE_MS)
    play(venue, steps, poking)
    state = venue.replayed()
    half = Books()
    half.rows = venue.rows[:cut]
    begun = Snapshot.decode(Snapshot.of(half.replayed()).encode()).state()
    for row in venue.rows[cut:]:
        begun.apply(row)

    assert state_hash(begun) == state_hash(state)
    assert [*state.markets[STORY].image().chunks()] == [*venue.markets[STORY].image().chunks()]


@pytest.mark.slow
@pytest.mark.timeout(90)
@settings(max_examples=100)
@given(STEPS)
def test_what_a_position_is_shown_to_have_paid_is_its_lots_times_what_the_index_moved(
    steps: list[tuple[str, Side, int, int]],
) -> None:
    """Over opens and partial closes, within a micro for each of them."""
    venue = flow_venue()
    play(venue, steps, silent)
    exact: dict[int, Fraction] = {}
    lots, trades = dict[int, int](), dict[int, int]()
    index = FundingIndex(0)
    for event in all_of(venue, FundingAccrued | PositionOpened | PositionReduced):
        if isinstance(event, FundingAccrued):
            for number, held in lots.items():
                exact[number] += Fraction(held * (event.index - index), PPB)
            index = event.index
            continue
        position = event.position
        number = position.number
        exact.setdefault(number, Fraction(0))
        lots[number], trades[number] = position.lots, trades.get(number, 0) + 1
        assert abs(funding_since_entry(position, market_of(venue).params, index) - exact[number]) < trades[number] + 1
