"""What is remembered of answers, and what it costs to forget."""

from __future__ import annotations

from time import perf_counter

from actors.answers import Answers

MANY = 60_000


def _seconds(answers: Answers, first: int) -> float:
    began = perf_counter()
    for offset in range(first, first + MANY):
        answers.done("ann", f"order-{offset}", b"fingerprint", offset)
    return perf_counter() - began


def test_forgetting_the_oldest_costs_about_what_remembering_does() -> None:
    """A venue is full of answers after minutes, and then forgets one with every command for as long as it runs."""
    answers = Answers(recent_max=MANY)
    remembering = _seconds(answers, 0)

    forgetting = min(_seconds(answers, MANY * turn) for turn in (1, 2, 3))

    assert forgetting < 5 * remembering
