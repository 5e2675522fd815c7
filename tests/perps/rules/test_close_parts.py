"""How much a close closes: by share, by quantity or by notional."""

from typing import Any

import pytest

from perps.commands import Side
from perps.events import PositionReduced
from perps.refusals import RejectCode, Rejected
from perps.units import AMOUNT_MAX, MICRO, PPB
from tests.perps.build import refused
from tests.perps.rules.trying import LONG, SHORT, SIZE, fresh, must_open, try_close


def closed(side: Side, **asked: Any) -> PositionReduced | Rejected:
    """A close of a position of about 1,000 in 199 or 200 lots of 5."""
    market = fresh()
    must_open(market, side=side)
    return try_close(market, **asked)


@pytest.mark.parametrize("side", [LONG, SHORT])
@pytest.mark.parametrize(
    ("asked", "lots"),
    [
        ({"lots": 1}, 1),
        ({"lots": 198}, 198),
        ({"lots": 10_000}, None),
        ({"lots": 2**60}, None),
        ({"size": 5 * MICRO + 100}, 1),
        ({"size": 500 * MICRO + 20_000}, 100),
        ({"size": AMOUNT_MAX}, None),
        ({"share": PPB}, None),
        ({"share": 1}, 1),
    ],
)
def test_a_close_takes_as_much_as_is_asked_for_and_at_most_all(
    side: Side, asked: dict[str, Any], lots: int | None
) -> None:
    reduced = closed(side, **asked)
    assert isinstance(reduced, PositionReduced)
    held = 199 if side is LONG else 200
    assert abs(reduced.fill.lots) == (held if lots is None else lots)
    assert abs(reduced.position.lots) == held - abs(reduced.fill.lots)
    if "size" in asked and lots is not None:
        assert abs(reduced.fill.cost) <= asked["size"]


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_the_notional_of_a_close_is_the_most_that_fits(side: Side) -> None:
    """One lot more would cost, or bring, more than was asked for."""
    market = fresh()
    must_open(market, side=side)
    sign = -1 if side is LONG else 1
    for size in range(6 * MICRO, 990 * MICRO, 7_777_777):
        reduced = try_close(market, size=size)
        assert isinstance(reduced, PositionReduced)
        lots = abs(reduced.fill.lots)
        assert abs(market.cost(sign * lots)) <= size < abs(market.cost(sign * (lots + 1)))


def test_a_notional_below_one_lot_is_refused_with_what_a_lot_costs() -> None:
    refusal = refused(closed(LONG, size=4 * MICRO))
    assert refusal.code is RejectCode.POSITION_SIZE_TOO_SMALL
    assert refusal.facts["size_micros"] == 4 * MICRO
    one = int(refusal.facts["one_lot_micros"])
    assert one > 4 * MICRO
    assert isinstance(closed(LONG, size=one), PositionReduced)


@pytest.mark.parametrize(
    "asked", [{"lots": -1}, {"size": -1}, {"lots": 1, "size": SIZE}, {"share": 0, "lots": 1}, {"share": PPB + 1}]
)
def test_what_says_no_part_or_two_is_refused(asked: dict[str, Any]) -> None:
    assert refused(closed(LONG, **asked)).code is RejectCode.VALIDATION_ERROR
