"""Worlds made for one break each: what it needs comes often, and little else comes at all.

A break that needs a rare moment shows in few of the worlds that chance makes. Their seeds move with every new command;
these do not, as a plan here names all that clients ask for.
"""

from __future__ import annotations

from dataclasses import replace

from actors.market import MarketActor
from tests.simulation.faults import KINDS, Plan
from tests.simulation.machine.runtime import Limits

STEPS = 200
LISTINGS = {"list": 1}
TRADES = {"open": 30, "close": 10, "price": 4, "deposit": 8}
RISES = {"open": 40, "price": 60, "increase": 10, "user": 3, "house": 6}
FALLS = {"open": 60, "crash_of_price": 4, "deposit": 10}


def plan(
    weights: dict[str, int],
    rates: dict[str, float],
    *,
    yields: float = 0.1,
    commands: float = 0.3,
    cuts: float = 0.0,
    prey: type | None = None,
    liquidations_per_row: int = 256,
) -> Plan:
    """Clients that ask for nothing but ``weights``, faults of no kind but ``rates``, and limits too large to meet."""
    limits = Limits(
        recent_answers=500_000,
        rows_per_commit=1,
        events_per_commit=4_096,
        liquidations_per_row=liquidations_per_row,
        rebuild_queue=4_096,
        market_deaths=1_000,
    )
    made = Plan(
        steps=STEPS,
        yields=yields,
        commands=commands,
        in_flight=20,
        rates={**dict.fromkeys(KINDS, 0.0), "time": 0.01, **rates},
        limits=limits,
        weights=weights,
        cuts=cuts,
    )
    return made if prey is None else replace(made, prey=(prey,))


WINNERS = replace(plan(RISES, {"crash": 0.003}, commands=0.7, cuts=0.5, liquidations_per_row=1), steps=1_000)
"""A world in which winners must leave."""

DIRECTED = {
    "a dead inbox is not drained": plan(TRADES, {"bug": 0.2}, prey=MarketActor),
    "a failed listing takes the next one along": plan(LISTINGS, {}, commands=0.05),
    "a successor is told too early": plan(TRADES, {"bug": 0.2}, prey=MarketActor),
    "nobody must leave": WINNERS,
    "no sweep at a market's start": plan(FALLS, {}, cuts=0.5, liquidations_per_row=1),
    "somebody who is due is spared": plan(FALLS, {}),
    "the dying are waited for": plan(TRADES, {"bug": 0.2, "stop": 0.01}, yields=0.9, commands=0.1),
    "who leaves the crowd pays as if joining it": plan(TRADES, {}),
    "who has gained least must leave first": WINNERS,
    "work for a dead market is dropped": plan(TRADES, {"bug": 0.2}, prey=MarketActor),
}
"""By break: a world in which it shows within a few seeds."""
