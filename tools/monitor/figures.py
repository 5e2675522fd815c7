"""What two looks at a venue say: how it is now, and what happened between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import inf

from msgspec import Struct

from perps.wire.markets import Market
from perps.wire.venue import MarketStats
from tools.monitor.sample import Metrics, Sample
from tools.times import parse_time_ms


class MarketFigures(Struct, rename="camel", frozen=True, kw_only=True):
    """One market. Prices and money are US dollars; shares are of what is allowed, 1 is all of it."""

    ticker: str
    status: str
    index: str
    quote: str
    mark: str
    skew: str
    skew_share: float
    """|skew| / maxSkew."""
    open_interest_long: str
    open_interest_short: str
    open_interest_share: float
    """The larger side / maxOpenInterest."""
    funding: str
    """The hourly rate."""
    house: str
    liability: str
    """What all traders would gain if they left now."""
    liability_share: float
    """Of what the house could pay; more than 1 means that it could not."""
    price_age_s: float


class VenueFigures(Struct, rename="camel", frozen=True, kw_only=True):
    """The venue. Rates and percentiles are of the time between the two looks."""

    offset: int
    over_s: float
    """How long that was."""
    commands_per_s: dict[str, float]
    """By kind."""
    p50_ms: float
    p99_ms: float
    refusals_per_s: dict[str, float]
    """By code."""
    in_flight: int
    commit_p99_ms: float
    """How long rows waited for the journal."""
    snapshot_age_s: float
    snapshot_rows: int
    """Rows that a start would have to read."""
    streams: int
    problems: dict[str, str]
    """By part."""
    restarts: int
    """How often the core was rebuilt since the venue's start."""


class Figures(Struct, rename="camel", frozen=True, kw_only=True):
    """Everything."""

    venue: VenueFigures
    markets: list[MarketFigures]


def figures(before: Sample, now: Sample) -> Figures:
    """What happened between two looks, and how things are at the second."""
    seconds = max(now.at_s - before.at_s, 1e-9)
    old, new = before.metrics, now.metrics
    venue = VenueFigures(
        offset=now.stats.offset,
        over_s=round(seconds, 3),
        commands_per_s=_rates(old.by("perps_commands_total", "kind"), new.by("perps_commands_total", "kind"), seconds),
        p50_ms=_quantile_ms(0.5, old, new, "perps_command_seconds", {}),
        p99_ms=_quantile_ms(0.99, old, new, "perps_command_seconds", {}),
        refusals_per_s=_rates(old.by("perps_refusals_total", "code"), new.by("perps_refusals_total", "code"), seconds),
        in_flight=now.stats.in_flight,
        commit_p99_ms=_quantile_ms(0.99, old, new, "perps_stage_seconds", {"stage": "commit"}),
        snapshot_age_s=round(new.one("perps_snapshot_age_seconds"), 1),
        snapshot_rows=max(now.stats.offset - int(new.one("perps_snapshot_offset")), 0),
        streams=now.stats.streams,
        problems=now.stats.health,
        restarts=int(new.one("perps_core_restarts_total")),
    )
    stats = {market.ticker: market for market in now.stats.markets}
    now_ms = parse_time_ms(now.stats.time)
    shown = [_market(market, stats[market.ticker], now_ms) for market in now.markets if market.ticker in stats]
    return Figures(venue=venue, markets=shown)


def _market(market: Market, stats: MarketStats, now_ms: int) -> MarketFigures:
    long, short = Decimal(market.open_interest.long), Decimal(market.open_interest.short)
    liability, available = Decimal(stats.house_liability), Decimal(stats.house_available)
    return MarketFigures(
        ticker=market.ticker,
        status=market.status,
        index=market.index_price,
        quote=market.current_price,
        mark=market.mark_price,
        skew=market.skew,
        skew_share=_share(abs(Decimal(market.skew)), Decimal(market.max_skew)),
        open_interest_long=market.open_interest.long,
        open_interest_short=market.open_interest.short,
        open_interest_share=_share(max(long, short), Decimal(market.max_open_interest)),
        funding=market.funding_rate.rate,
        house=stats.house,
        liability=stats.house_liability,
        liability_share=_share(max(liability, Decimal(0)), max(available, Decimal(0))),
        price_age_s=round(max(now_ms - parse_time_ms(market.price_at), 0) / 1000, 1),
    )


def _share(part: Decimal, whole: Decimal) -> float:
    if whole <= 0:
        return 0.0 if part <= 0 else inf
    return round(float(part / whole), 4)


def _rates(before: Mapping[str, float], now: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Per second, for what happened at all; the most frequent first. A venue that was restarted counts from 0."""
    found = {}
    for name, count in now.items():
        last = before.get(name, 0.0)
        grown = count - last if count >= last else count
        if grown > 0:
            found[name] = round(grown / seconds, 2)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _quantile_ms(q: float, before: Metrics, now: Metrics, name: str, labels: Mapping[str, str]) -> float:
    """A quantile of what was observed between two looks, ms, as Prometheus estimates it; 0 if nothing was."""
    old = dict(before.buckets(name, labels))
    counts = [(bound, count - old.get(bound, 0.0)) for bound, count in now.buckets(name, labels)]
    if any(count < 0 for _, count in counts):  # restarted
        counts = list(now.buckets(name, labels))
    return round(quantile(q, counts) * 1000, 3)


def quantile(q: float, counts: Iterable[tuple[float, float]]) -> float:
    """Where ``q`` of a histogram lies: linear within its bucket; the last finite bound if it is beyond that."""
    counts = list(counts)
    total = counts[-1][1] if counts else 0.0
    if total <= 0:
        return 0.0
    rank, low, below = q * total, 0.0, 0.0
    for bound, count in counts:
        if count >= rank:
            if bound == inf:
                return low
            return low + (bound - low) * (rank - below) / (count - below) if count > below else bound
        low, below = bound, count
    return low
