"""Answers of a market that fills at once."""

from __future__ import annotations

from typing import TypeVar

from perps.wire.orders.order import Pending

T = TypeVar("T")


def at_once(answer: T | Pending) -> T:
    """The answer of a command that did not wait for the next price."""
    assert not isinstance(answer, Pending)
    return answer
