"""What a test of a fault says about itself: which line of the list of faults it throws, which invariants it checks.

``docs/faults.md`` holds the same as a table; ``tests/faults/test_table.py`` keeps the two alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

INVARIANTS: Final = tuple(f"I{number}" for number in range(1, 14))
"""I1 to I13, spelt out in ``docs/faults.md``."""

ATTRIBUTE: Final = "thrown_faults"

T = TypeVar("T", bound=Callable[..., object])


@dataclass(frozen=True)
class Fault:
    """One line of the table."""

    name: str
    invariants: tuple[str, ...]


def fault(name: str, *invariants: str) -> Callable[[T], T]:
    """Mark a test with the fault it throws and the invariants it checks. May stand more than once above a test."""
    unknown = set(invariants) - set(INVARIANTS)
    if unknown or not invariants:
        raise ValueError(f"{name}: {sorted(unknown) or 'no'} invariants")

    def mark(test: T) -> T:
        setattr(test, ATTRIBUTE, (Fault(name, invariants), *faults_of(test)))
        return test

    return mark


def faults_of(test: Any) -> tuple[Fault, ...]:
    """What a test was marked with."""
    found: tuple[Fault, ...] = getattr(test, ATTRIBUTE, ())
    return found
