"""The simulation finds bugs: each break of the product, on purpose, is found within a number of seeds."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from tests.simulation.breaks import BREAKS, broken
from tests.simulation.directed import DIRECTED
from tests.simulation.faults import Plan
from tests.simulation.shrink import shrunk
from tests.simulation.world import Violation, run

SEEDS_MAX = 150
DIRECTED_MAX = 400
"""In a world that is made for a break it shows in one seed of two to forty; a seed takes a twentieth of a second."""
RARE_MAX = 4_000


OF_THEIR_OWN = [name for name in sorted(BREAKS) if name.endswith("of a bug of its own")]
OF_IMAGES = [name for name in sorted(BREAKS) if name.startswith("a restored market")]


def found(name: str, seeds: int, plan: Plan | None = None) -> bool:
    """Whether a break is found by what it does: one that no longer fits the product dies of a ``TypeError`` at once."""
    with broken(name):
        violation = first_failure(seeds, plan)
    assert violation is None or "died of TypeError" not in violation.problem, violation
    return violation is not None


def first_failure(seeds: int, plan: Plan | None = None, without: tuple[str, ...] = ()) -> Violation | None:
    """The first violation within so many seeds."""
    for seed in range(1, seeds + 1):
        try:
            run(seed, plan=plan, without=without)
        except Violation as violation:
            return violation
    return None


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", sorted(set(BREAKS) - set(DIRECTED) - set(OF_IMAGES) - set(OF_THEIR_OWN)))
def test_a_break_is_found(name: str) -> None:
    assert found(name, SEEDS_MAX)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_what_an_image_forgets_is_found_by_a_twin(name: str) -> None:
    """There are no snapshots, so no start stumbles over it before a twin does."""
    with broken(name), patch("tests.simulation.world.TWIN_EVERY", 1):
        violation = first_failure(SEEDS_MAX, without=("snapshot",))
    assert violation is not None
    assert "restored before" in violation.problem


@pytest.mark.parametrize("name", OF_THEIR_OWN)
def test_a_death_that_was_not_planned_is_a_violation_by_its_name(name: str) -> None:
    """Though the venue is rebuilt, and every invariant holds."""
    with broken(name):
        violation = first_failure(SEEDS_MAX)
    assert violation is not None
    assert "died of KeyError('a bug that is in the product'), which nobody planned" in violation.problem


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", sorted(DIRECTED))
def test_a_break_that_shows_seldom_is_found_in_a_world_made_for_it(name: str) -> None:
    """New commands do not move its seeds, as there are none of them in these worlds."""
    assert found(name, DIRECTED_MAX, DIRECTED[name])


@pytest.mark.parametrize("name", sorted(DIRECTED))
def test_a_world_made_for_a_break_holds_without_it(name: str) -> None:
    assert first_failure(3, DIRECTED[name]) is None


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(DIRECTED))
def test_a_break_that_shows_seldom_is_found_by_a_search(name: str) -> None:
    """In worlds as chance makes them."""
    assert found(name, RARE_MAX)


def test_a_failing_run_can_be_made_shorter() -> None:
    with broken("fees are rounded down"):
        violation = first_failure(SEEDS_MAX)
        assert violation is not None
        seed, steps, without = shrunk(violation)
        with pytest.raises(Violation):
            run(seed, steps=steps, without=without)

    assert steps <= violation.step
    assert without
