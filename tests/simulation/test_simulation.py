"""Seeds: each is a venue with its own clients, faults and interleaving, in which every invariant must hold."""

from __future__ import annotations

import inspect

import pytest

from perps import commands
from tests.simulation import answers, client_orders, clients
from tests.simulation.directed import WINNERS
from tests.simulation.world import run

SEEDS = 250
"""All breaks of ``breaks.py`` that 2,000 seeds find show within 200, and all but three of those within 6.

The others to ``SEARCHED`` run in ``make test-faults``; ``make sim`` runs as many as it is asked to.
"""
SEARCHED = 2_000
CHUNK, CHUNK_SEARCHED = 5, 50


@pytest.mark.parametrize("first", range(1, SEEDS + 1, CHUNK))
def test_every_invariant_holds_whatever_happens(first: int) -> None:
    """I1 – I10, I12 and I13 as far as they concern the actors. A failure names its seed: ``make sim SEED=…``."""
    for seed in range(first, first + CHUNK):
        run(seed)


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(SEEDS + 1, SEARCHED + 1, CHUNK_SEARCHED))
def test_every_invariant_holds_whatever_else_happens(first: int) -> None:
    for seed in range(first, first + CHUNK_SEARCHED):
        run(seed)


def test_every_command_is_sent_and_its_answers_are_checked() -> None:
    """The venue's timer sends ``ObserveTime``."""
    wanted = {kind.__name__ for kind in commands.COMMANDS} - {"ObserveTime"}
    sent = inspect.getsource(clients) + inspect.getsource(client_orders)
    assert {kind for kind in wanted if f"{kind}(" not in sent} == set(), "send it: a weight and a case in clients.py"
    checked = inspect.getsource(answers)
    assert {kind for kind in wanted if f"{kind}(" not in checked} == set(), "say in answers.py which event answers it"


def test_a_seed_is_a_run() -> None:
    """The same seed gives the same steps, rows and answers: otherwise nothing could be replayed."""
    traces: list[list[str]] = [[], []]
    reports = [run(11, trace=trace.append) for trace in traces]

    assert traces[0] == traces[1]
    assert reports[0] == reports[1]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_runs_meet_what_they_are_made_for() -> None:
    """Deaths of every kind, crashes, overtakings and every kind of answer: all within few seeds."""
    missing = {"crash", "takeover", "stop", "away", "time", "skew", "snapshot", "image", "watch", "bug"}
    missing |= {"settled", "repeated", "rejected", "outcome_unknown", "unavailable", "internal_error"}
    for seed in range(1, 60):
        report = run(seed)
        missing -= report.faults.keys() | report.outcomes.keys()
        if not missing:
            return

    assert not missing


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_in_worlds_made_for_it_winners_must_leave_and_crashes_cut_it_in_two() -> None:
    """Each in a row of its own, half of which a crash may cut off."""
    reports = [run(seed, plan=WINNERS) for seed in range(1, 13)]

    assert sum(report.deleveraged for report in reports) > 10
