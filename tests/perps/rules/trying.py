"""Opens and closes of one market, tried by its rules alone."""

from typing import Any

from perps.commands import ClosePosition, Side
from perps.engine import apply
from perps.events import PositionOpened, PositionReduced
from perps.market.position import position_id
from perps.market.state import Market
from perps.refusals import Rejected
from perps.rules.closing import decide_close
from perps.rules.opening import decide_open
from perps.rules.rule import Given
from perps.units import MICRO, PPB, Micros, Millis, Ppb
from tests.perps.build import (
    BTC,
    BTC_PRICE,
    RICH,
    START_MS,
    index_market,
    new_market,
    new_open,
)

LONG, SHORT = Side.LONG, Side.SHORT
SIZE = 1_000 * MICRO
AGE = {"max_price_age": 1_000}


def try_open(market: Market, size: int = SIZE, side: Side = LONG, **more: Any) -> PositionOpened | Rejected:
    held, late = Micros(more.pop("held", RICH)), more.pop("late", 0)
    referrer = more.pop("referrer", None)
    given = Given(Millis(START_MS + late), held=held, referrer=referrer)
    outcome = decide_open(market, new_open("ann", side, size, **more), given)
    if isinstance(outcome, Rejected):
        return outcome
    assert isinstance(outcome[0], PositionOpened)
    return outcome[0]


def must_open(market: Market, size: int = SIZE, side: Side = LONG, **more: Any) -> PositionOpened:
    outcome = try_open(market, size, side, **more)
    assert isinstance(outcome, PositionOpened), outcome
    apply(market, outcome)
    return outcome


def bound(size: int, leverage: int, fee: int) -> Micros:
    """The most an open can take."""
    return new_open("ann", LONG, size, leverage=leverage).bound(Ppb(fee))


def try_close(market: Market, number: int = 1, share: int = PPB, **more: Any) -> PositionReduced | Rejected:
    late = more.pop("late", 0)
    fields = {"ticker": BTC, "user": "ann", "position_id": position_id(BTC, number), "share": Ppb(share), **more}
    outcome = decide_close(market, ClosePosition(**fields), Given(Millis(START_MS + late)))
    return outcome if isinstance(outcome, Rejected) else outcome[0]


def fresh(**changes: Any) -> Market:
    return new_market(index_market(**changes), BTC_PRICE)
