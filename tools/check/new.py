"""The short check of a market that has just been listed. Whatever comes of it, the market is listed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from decimal import Decimal
from typing import Final

from msgspec import ValidationError, convert
from msgspec.structs import replace

from perps.params import MarketParams
from perps.units import MICRO, Micros
from perps.wire.markets import Market
from tools.check.adversaries import ADVERSARIES
from tools.check.listed import params_of, ticks_of
from tools.check.prices import simulated
from tools.check.results import Result, results, work_of
from tools.output import Reporter, progress, show_line

COUNT: Final = 2_000
"""Simulated prices: about 2 s of a processor."""
SEED: Final = 1
"""Always the same prices, so the same listing is warned of the same."""
INTERVAL_MS: Final = 1_000
VOLATILITY: Final = 1e-4
LIMIT_S: Final = 6.0
"""After so long the check ends, however far it is."""


def _silent(done: float, note: str = "") -> None:
    """No progress: there is no terminal."""


class _TimeIsUp(Exception):
    """The check has taken too long."""


def check_new(ticker: str, shown: object, credit: str | None) -> Sequence[Result] | None:
    """Those who would earn in a new market; None if the check failed, and stderr says why.

    ``shown``: the market as the venue shows it. ``credit``: the house's limit as it was given, which it does not show.
    """
    found: list[Result] = []
    count = 0
    try:
        market = convert(shown, Market)
        params = _with_credit(params_of(market), credit)
        played = simulated(ticks_of(market, params), SEED, COUNT, INTERVAL_MS, VOLATILITY)
        with progress("checking", work_of(played)) if sys.stderr.isatty() else nullcontext[Reporter](_silent) as report:
            for result in results(params, played, _limited(report)):
                count += 1
                if result.stopped_by is not None:
                    found.append(result)
    except _TimeIsUp:
        _say(f"the check ended after {LIMIT_S:g} s, and {len(ADVERSARIES) - count} adversaries did not play", ticker)
    except ValidationError as error:
        _say(f"the check cannot read the market: {error}", ticker)
        return None
    except KeyboardInterrupt:
        _say("the check was interrupted", ticker)
        return None
    except Exception as error:  # noqa: BLE001 — the market is listed: no fault of its check may look like a refusal
        _say(f"the check failed: {type(error).__name__}: {error}", ticker)
        return None
    return found


def warn(found: Sequence[Result], ticker: str) -> None:
    """Say on stderr who would earn, how much, and what would stop it; nothing if nobody does."""
    for each in found:
        show_line(
            f"warning: {each.strategy} earns {each.earned} USD on {COUNT} simulated prices; "
            f"would be stopped by: {each.stopped_by}",
            err=True,
        )
    if found:
        show_line(f"What each of them does, and on more prices: perps market check {ticker} --count 20000", err=True)


def _with_credit(params: MarketParams, credit: str | None) -> MarketParams:
    if credit is None or credit == "none":
        return params
    return replace(params, house_credit_limit=Micros(int(Decimal(credit) * MICRO)))


def _limited(report: Reporter) -> Reporter:
    ends = time.monotonic() + LIMIT_S

    def told(done: float, note: str = "") -> None:
        if time.monotonic() > ends:
            raise _TimeIsUp
        report(done, note)

    return told


def _say(what: str, ticker: str) -> None:
    show_line(f"the market is listed; {what}. To check it again: perps market check {ticker}", err=True)
