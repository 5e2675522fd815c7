"""The simulation finds bugs: each break of the product, on purpose, is found within a number of seeds."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from tests.simulation.breaks import BREAKS, broken
from tests.simulation.shrink import shrunk
from tests.simulation.world import Violation, run

SEEDS_MAX = 150
RARE_MAX = 4_000
RARE = {
    "a dead inbox is not drained": (67,),
    "a failed listing takes the next one along": (184, 416),
    "a successor is told too early": (103,),
    "no sweep at a market's start": (321, 632),
}
"""Breaks that need a rare moment, and the first seeds in which it comes."""


OF_IMAGES = [name for name in sorted(BREAKS) if name.startswith("a restored market")]


def first_failure(seeds: int) -> Violation | None:
    """The first violation within so many seeds."""
    for seed in range(1, seeds + 1):
        try:
            run(seed)
        except Violation as violation:
            return violation
    return None


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", sorted(set(BREAKS) - set(RARE) - set(OF_IMAGES)))
def test_a_break_is_found(name: str) -> None:
    with broken(name):
        assert first_failure(SEEDS_MAX) is not None


@pytest.mark.parametrize("name", OF_IMAGES)
def test_what_an_image_forgets_is_found_by_a_twin(name: str) -> None:
    """Before anything else of the run stumbles over it."""
    with broken(name), patch("tests.simulation.world.TWIN_EVERY", 1):
        violation = first_failure(SEEDS_MAX)
    assert violation is not None
    assert "restored before" in violation.problem


@pytest.mark.parametrize("name", sorted(RARE))
def test_a_break_that_shows_seldom_is_found(name: str) -> None:
    """By the seeds that are known to. Whoever changes what a seed draws finds others: the search below tells them."""
    with broken(name):
        for seed in RARE[name]:
            with pytest.raises(Violation):
                run(seed)


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(RARE))
def test_a_break_that_shows_seldom_is_found_by_a_search(name: str) -> None:
    with broken(name):
        violation = first_failure(RARE_MAX)
    assert violation is not None
    assert violation.seed == RARE[name][0]


def test_a_failing_run_can_be_made_shorter() -> None:
    with broken("fees are rounded down"):
        violation = first_failure(SEEDS_MAX)
        assert violation is not None
        seed, steps, without = shrunk(violation)
        with pytest.raises(Violation):
            run(seed, steps=steps, without=without)

    assert steps <= violation.step
    assert without
