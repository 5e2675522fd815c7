"""A refused command has its line in the log too, with whom and which market it concerns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from tests.web.venue import Running


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """What is logged at level info and above."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(20))
    yield capture.entries
    structlog.configure(**before)


def _refusals(lines: list[Any]) -> list[tuple[object, ...]]:
    return [(line["code"], line["user"], line["ticker"]) for line in lines if line["event"] == "refused"]


async def test_a_refusal_is_logged_with_the_user_and_the_market_it_concerns(venue: Running, lines: list[Any]) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    bob = await venue.user("bob")

    await ann.open(leverage=5_000)
    await ann.open("ETH-PERP")
    await bob.close("BTC-PERP-1")
    await ann.close("BTC-PERP-7")
    await venue.admin.post("/api/admin/users/ann/withdraw", {"amount": "1000000", "clientOrderId": "w"})
    await venue.anybody.get("/nothing")

    assert _refusals(lines) == [
        ("leverage_too_high", "ann", "BTC-PERP"),
        ("market_not_found", "ann", "ETH-PERP"),
        ("forbidden", "bob", "BTC-PERP"),
        ("position_not_found", "ann", "BTC-PERP"),
        ("insufficient_funds", "ann", None),
        ("not_found", None, None),
    ]
    assert all(line["trace"] for line in lines if line["event"] == "refused")
