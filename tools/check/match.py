"""One adversary against one market."""

from __future__ import annotations

from typing import NamedTuple

from perps.params import MarketParams
from perps.units import Ticks
from tools.check.adversaries import CROWD, HANDS, Adversary, Prices, Tell
from tools.check.arena import Arena


class Outcome(NamedTuple):
    """What came of it. Money is micros."""

    earned: int
    trades: int
    liquidations: int
    bad_debt: int


def play(adversary: Adversary, params: MarketParams, prices: Prices, interval_ms: int, tell: Tell) -> Outcome:
    """Let an adversary play from beginning to end; all of its positions are closed then. The same each time."""
    arena = Arena(params, Ticks(prices[0]))
    arena.join("uma")
    hands = ("uma", *HANDS)
    for user in HANDS:
        arena.join(user, referrer="uma")
    for user in CROWD:
        arena.join(user)
    before = arena.wealth(*hands)
    outside = adversary.play(arena, prices, interval_ms, tell)
    arena.wait(1)  # however long it waited, prices are new again, so it can leave
    arena.close_all(*HANDS)
    return Outcome(arena.wealth(*hands) - before + outside, arena.trades, arena.liquidations, arena.bad_debt)
