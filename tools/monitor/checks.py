"""Thresholds from a file, and what was broken, in words. Each threshold is the most that is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from tools.errors import ToolError
from tools.monitor.figures import Figures, MarketFigures, VenueFigures

VENUE: Final[Mapping[str, tuple[Callable[[VenueFigures], float], str]]] = {
    "p50_ms": (lambda venue: venue.p50_ms, "half of the commands took up to {} ms"),
    "p99_ms": (lambda venue: venue.p99_ms, "1 % of the commands took longer than {} ms"),
    "commit_p99_ms": (lambda venue: venue.commit_p99_ms, "1 % of the rows waited longer than {} ms for the journal"),
    "refusals_per_s": (lambda venue: sum(venue.refusals_per_s.values()), "{} requests a second were refused"),
    "in_flight": (lambda venue: venue.in_flight, "{} commands wait for an answer"),
    "snapshot_age_s": (lambda venue: venue.snapshot_age_s, "the last snapshot is {} s old, and there are newer rows"),
    "snapshot_rows": (lambda venue: venue.snapshot_rows, "a start would have to read {} rows"),
    "streams": (lambda venue: venue.streams, "{} streams are open"),
    "problems": (lambda venue: len(venue.problems), "{} parts are not well"),
    "restarts": (lambda venue: venue.restarts, "the core was rebuilt {} times"),
}
MARKET: Final[Mapping[str, tuple[Callable[[MarketFigures], float], str]]] = {
    "price_age_s": (lambda market: market.price_age_s, "the last price is {} s old"),
    "skew_share": (lambda market: market.skew_share, "the skew is {} of the most that is allowed"),
    "open_interest_share": (lambda market: market.open_interest_share, "the open interest is {} of the most"),
    "liability_share": (lambda market: market.liability_share, "traders would gain {} of what the house could pay"),
    "halted": (lambda market: float(market.status not in ("enabled", "settled")), "it is not enabled"),
}
"""Of each market in ``[markets]``; of one market in ``[markets.TICKER]``, which beats the other."""


@dataclass(frozen=True)
class Thresholds:
    """What a file allows."""

    venue: Mapping[str, float]
    every_market: Mapping[str, float]
    markets: Mapping[str, Mapping[str, float]]


def read_thresholds(path: Path) -> Thresholds:
    """The thresholds of a file. Errors: ToolError, which names the table and the key."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ToolError(f"{path}: {error}") from None
    for name in found:
        if name not in ("venue", "markets"):
            raise ToolError(f"{path}: there is no table [{name}]; there are [venue], [markets] and [markets.TICKER]")
    markets = found.get("markets", {})
    return Thresholds(
        venue=_numbers(path, "venue", found.get("venue", {}), VENUE),
        every_market=_numbers(path, "markets", {k: v for k, v in markets.items() if not isinstance(v, dict)}, MARKET),
        markets={
            ticker: _numbers(path, f"markets.{ticker}", table, MARKET)
            for ticker, table in markets.items()
            if isinstance(table, dict)
        },
    )


def broken(figures: Figures, allowed: Thresholds) -> Iterator[str]:
    """A sentence for each threshold that is passed, and for each market of the file that is not there."""
    for name, most in allowed.venue.items():
        read, words = VENUE[name]
        if read(figures.venue) > most:
            parts = ", ".join(f"{part}: {why}" for part, why in figures.venue.problems.items())
            detail = f" ({parts})" if name == "problems" else ""
            yield _said(words, read(figures.venue), most) + detail
    for market in figures.markets:
        limits = {**allowed.every_market, **allowed.markets.get(market.ticker, {})}
        for name, most in limits.items():
            value = MARKET[name][0](market)
            if value > most:
                words = f"{market.ticker} is {market.status}" if name == "halted" else ""
                yield words or f"{market.ticker}: {_said(MARKET[name][1], value, most)}"
    for ticker in allowed.markets.keys() - {market.ticker for market in figures.markets}:
        yield f"{ticker}: there is no such market"


def _said(words: str, value: float, most: float) -> str:
    return f"{words.format(f'{value:,.10g}')}; at most {most:,.10g} is allowed"


def _numbers(path: Path, table: str, given: Any, known: Mapping[str, object]) -> dict[str, float]:
    if not isinstance(given, dict):
        raise ToolError(f"{path}: write [{table}], with its keys below it")
    for name, value in given.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise ToolError(f"{path}: [{table}]: there is no key {name!r}; {hint}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise ToolError(f"{path}: [{table}] {name}: write a number, 0 or more, not {value!r}")
    return {name: float(value) for name, value in given.items()}
