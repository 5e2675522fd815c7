"""``maxPositionsPerUser`` and ``maxNotionalPerUser``: what one user may hold in a market."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.web.refused import OPEN, open_body, refused
from tests.web.shapes import amount
from tests.web.venue import Running


async def test_a_market_says_its_limits_and_refuses_beyond_them(venue: Running) -> None:
    listed = (await venue.market("FEW", "100", maxPositionsPerUser=1, maxNotionalPerUser="1500"))["market"]
    ann, bob = await venue.user("ann"), await venue.user("bob")
    assert (listed["maxPositionsPerUser"], listed["maxNotionalPerUser"]) == (1, "1500.00")
    await ann.opened("FEW", "1000")
    await bob.opened("FEW", "1000")

    details = await refused(venue, ann, OPEN, open_body("FEW"), 422, "user_limit_exceeded")
    assert details == {"positions": 2, "maxPositionsPerUser": 1}
    details = await refused(venue, ann, OPEN, open_body("FEW", positionId="FEW-1"), 422, "user_limit_exceeded")
    assert details["maxNotionalPerUser"] == "1500.00"
    assert amount(details["notional"]) > 1900
    await ann.opened("FEW", "400", positionId="FEW-1")


async def test_fifty_opens_at_once_pass_no_limit(venue: Running) -> None:
    await venue.market("FEW", "100", maxPositionsPerUser=3)
    ann = await venue.user("ann")

    answers = await asyncio.gather(*(ann.open("FEW", "20") for _ in range(50)))

    assert sorted(answer.status for answer in answers) == [201] * 3 + [422] * 47


async def test_without_limits_there_are_none(venue: Running) -> None:
    listed = (await venue.market("FREE", "100", maxNotionalPerUser="none"))["market"]

    assert (listed["maxPositionsPerUser"], listed["maxNotionalPerUser"]) == (None, None)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"maxPositionsPerUser": 0}, "maxPositionsPerUser"),
        ({"maxPositionsPerUser": -1}, "maxPositionsPerUser"),
        ({"maxPositionsPerUser": "2"}, "maxPositionsPerUser"),
        ({"maxPositionsPerUser": 2**54}, "maxPositionsPerUser"),
        ({"maxNotionalPerUser": "0"}, "maxNotionalPerUser"),
        ({"maxNotionalPerUser": "-1"}, "maxNotionalPerUser"),
        ({"maxNotionalPerUser": "NaN"}, "maxNotionalPerUser"),
        ({"maxNotionalPerUser": "1e13"}, "maxNotionalPerUser"),
    ],
)
async def test_a_bad_limit_lists_nothing(venue: Running, given: dict[str, Any], field: str) -> None:
    body = {"ticker": "ODD", "organizationId": "o", "name": "n", "price": "100", **given}

    details = await refused(venue, venue.admin, "/api/admin/markets", body, 400, "validation_error")

    assert details["field"] == field
