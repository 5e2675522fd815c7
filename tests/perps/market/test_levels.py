"""Levels: what waits for a price, in the order in which a price meets it."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perps.market.levels import NOTHING_ABOVE, NOTHING_BELOW, Levels, Places
from perps.market.triggers import Exits, NoExits
from perps.units import Ticks
from tests.perps.build import new_position

ENTRIES = st.lists(st.tuples(st.integers(0, 2**63), st.integers(0, 2**50 - 1), st.booleans()), unique=True)


def test_an_empty_list_is_reached_by_no_price() -> None:
    levels = Levels()
    assert (levels.falls_to, levels.rises_to) == (NOTHING_BELOW, NOTHING_ABOVE)
    assert not levels.reached(0)
    assert not levels.reached(2**63)


@pytest.mark.parametrize(
    ("price", "due"),
    [
        (50, []),
        (40, [4]),
        (39, [4]),
        (30, [4, 2, 3]),
        (0, [4, 2, 3]),
        (60, [1]),
        (70, [1, 5]),
    ],
)
def test_a_fall_meets_the_highest_first_and_a_rise_the_lowest(price: int, due: list[int]) -> None:
    levels = Levels()
    for level, waiting, falls in ((30, 3, True), (30, 2, True), (40, 4, True), (60, 1, False), (70, 5, False)):
        levels.add(level, waiting, falls=falls)

    assert list(levels.due(price)) == due
    assert levels.reached(price) is bool(due)


@given(entries=ENTRIES, price=st.integers(0, 2**63), seed=st.integers(0, 99))
def test_levels_agree_with_a_list_that_is_sorted_anew(
    entries: list[tuple[int, int, bool]], price: int, seed: int
) -> None:
    random, levels, kept = Random(seed), Levels(), list[tuple[int, int, bool]]()
    for level, waiting, falls in entries:
        levels.add(level, waiting, falls=falls)
        kept.append((level, waiting, falls))
        if random.random() < 0.4:
            gone = kept.pop(random.randrange(len(kept)))
            levels.remove(gone[0], gone[1], falls=gone[2])
    falling = sorted((-level, waiting) for level, waiting, falls in kept if falls and level >= price)
    rising = sorted((level, waiting) for level, waiting, falls in kept if not falls and level <= price)
    all_at_once = Levels()
    all_at_once.add_all(kept)

    assert list(levels.due(price)) == [waiting for _, waiting in (*falling, *rising)]
    assert levels.reached(price) is bool(falling or rising)
    assert len(levels) == len(kept)
    assert all_at_once.entries() == levels.entries()
    assert (all_at_once.falls_to, all_at_once.rises_to) == (levels.falls_to, levels.rises_to)


def test_a_follower_keeps_no_exits() -> None:
    position, exits = new_position(take_profit=2, stop_loss=1), NoExits()
    exits.enter(position)
    exits.enter_all([position])
    exits.leave(position)
    assert len(exits) == 0


def test_ties_go_by_number_whatever_kind_of_exit() -> None:
    """The profit of a short and the stop of a long wait for the same fall."""
    exits = Exits()
    exits.enter(new_position(number=2, lots=1, take_profit=110, stop_loss=90))
    exits.enter(new_position(number=1, lots=-1, take_profit=90, stop_loss=110))
    first = [next(exits.due_exits(Ticks(mark)), (None,))[0] for mark in (89, 90, 91, 109, 110, 111)]
    assert first == [1, 1, None, None, 1, 1]
    exits.leave(new_position(number=1, lots=-1, take_profit=90, stop_loss=110))
    assert [next(exits.due_exits(Ticks(mark)), (None,))[0] for mark in (90, 110)] == [2, 2]


def test_what_was_passed_over_is_not_met_again_and_what_was_taken_is() -> None:
    """Who goes on from the same places looks at each once, however often it stops on the way."""
    levels = Levels()
    for level, waiting, falls in ((30, 1, True), (20, 2, True), (10, 3, True), (5, 4, False), (8, 5, False)):
        levels.add(level, waiting, falls=falls)
    places: Places = [None, None]
    met = []
    for taken in (2, 5):
        for waiting in levels.due(9, places):
            met.append(waiting)
            if waiting == taken:
                break
    assert met == [1, 2, 2, 3, 4, 5]
    assert list(levels.due(9, places)) == [5]
    assert list(levels.due(9, places)) == []
    assert list(levels.due(9)) == [1, 2, 3, 4, 5]
