"""A failing run made shorter: fewer steps, fewer kinds of fault, as long as it still fails."""

from __future__ import annotations

from tests.simulation.faults import KINDS
from tests.simulation.world import Violation, run


def shrunk(violation: Violation) -> tuple[int, int, tuple[str, ...]]:
    """Seed, steps and switched-off faults of a shorter run that fails too, not always in the same way.

    A run of fewer steps begins as the longer one does; without a kind of fault it is another run from there on.
    """
    seed, steps = violation.seed, max(violation.step, 1)
    without: tuple[str, ...] = ()
    for kind in KINDS:
        step = _fails(seed, steps, (*without, kind))
        if step is not None:
            without, steps = (*without, kind), max(min(steps, step), 1)
    for percent in (10, 25, 50, 75, 90):
        fewer = max(steps * percent // 100, 1)
        if _fails(seed, fewer, without) is not None:
            return seed, fewer, without
    return seed, steps, without


def _fails(seed: int, steps: int, without: tuple[str, ...]) -> int | None:
    """The step at which such a run fails; None if it does not."""
    try:
        run(seed, steps=steps, without=without)
    except Violation as violation:
        return violation.step
    return None
