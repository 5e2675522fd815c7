"""Every adversary against one market: what each earns, and what would stop it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from perps.params import MarketParams
from tools.check.adversaries import ADVERSARIES
from tools.check.match import play
from tools.check.prices import Played
from tools.output import Reporter
from web.answers.decimals import money


class Result(Struct, rename="camel"):
    """What one strategy came to. Money is US dollars."""

    strategy: str
    earned: str
    trades: int
    liquidations: int
    bad_debt: str
    stopped_by: str | None
    """What would stop it; None: it earns nothing."""


def work_of(played: Played) -> int:
    """How much ``results`` reports in all."""
    return len(ADVERSARIES) * len(played.prices)


def results(params: MarketParams, played: Played, report: Reporter) -> Iterator[Result]:
    """Play one adversary after the other. ``report`` hears of each price; what it raises ends the play."""
    for number, adversary in enumerate(ADVERSARIES):
        begun = number * len(played.prices)

        def tell(place: int, begun: int = begun, name: str = adversary.name) -> None:
            report(begun + place, name)

        outcome = play(adversary, params, played.prices, played.interval_ms, tell)
        yield Result(
            strategy=adversary.name,
            earned=money(outcome.earned),
            trades=outcome.trades,
            liquidations=outcome.liquidations,
            bad_debt=money(outcome.bad_debt),
            stopped_by=adversary.stops.format(**_measures(params, played)) if outcome.earned > 0 else None,
        )


def _measures(params: MarketParams, played: Played) -> dict[str, Any]:
    step = played.largest_step
    return {"leverage": max(int(1 / (2 * step)), 1) if step else params.max_leverage, "step": f"{step:.6f}"}
