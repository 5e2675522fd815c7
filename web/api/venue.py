"""The venue itself: what is here, whether it is well, what it measures, what it holds."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Final

from aiohttp import web

from actors.messages import Failure, FailureKind, VenueImage
from actors.timer import BEHIND_MS
from perps.snapshot.format import SnapshotBroken
from perps.snapshot.images import digest
from perps.venue import JournalCorrupt
from perps.wire import venue as wire
from perps.wire.contract.operations import OPERATIONS
from perps.wire.operation import NoQuery
from perps.wire.venue import (
    Accounts,
    Health,
    Index,
    LedgerDigest,
    MarketDigest,
    MarketStats,
    Ready,
    SnapshotTaken,
    State,
    Stats,
)
from web.answers import decimals
from web.answers.errors import RequestError
from web.answers.times import rfc3339
from web.answers.warnings import market_warnings
from web.api import page
from web.api.call import Call, Reply, Route
from web.process.snapshot_taking import SnapshotFailed
from web.process.watchdog import Problem
from web.readside.model import MarketView

METRICS_AGE_NS: Final = 1_000_000_000
"""How old the figures for callers without a key may be: making them takes milliseconds, and anybody may ask."""

VERSION: Final = version("perps")


async def index(call: Call[None, NoQuery]) -> Index | web.StreamResponse:
    """What this is, where to read on, and every route; for a browser, the page."""
    if (shown := page.front(call.request)) is not None:
        return shown
    routes = sorted((operation.path, operation.method) for operation in OPERATIONS)
    return Index(
        name="perps",
        version=VERSION,
        docs="docs/api.md",
        openapi="/openapi.json",
        reference="/docs",
        health="/healthz",
        ready="/readyz",
        metrics="/metrics",
        routes=[f"{method} {path}" for path, method in routes],
    )


async def healthz(call: Call[None, NoQuery]) -> Health:
    """The process answers."""
    return Health(status="ok")


async def readyz(call: Call[None, NoQuery]) -> Reply:
    """Success when every part takes commands; else 503 with what does not, and why. A warning stops no command."""
    context = call.context
    problems = dict(context.problems())
    if context.draining:
        problems["venue"] = Problem("stopping", None)
    elif not context.started:
        problems["venue"] = Problem("starting", None)
    ready = Ready(
        status="not_ready" if problems else "ready",
        problems={part: problem.why for part, problem in problems.items()},
        since={part: rfc3339(problem.since) for part, problem in problems.items() if problem.since},
        offset=context.model.offset,
    )
    warnings: dict[str, str] = {}
    if context.snapshots.problem is not None:
        warnings["snapshots"] = context.snapshots.problem.why
    behind_ms = context.clock.ahead_ms()
    if behind_ms > BEHIND_MS:
        warnings["clock"] = (
            f"the system's clock is {behind_ms / 1000:.0f} s behind the newest row: set it right. "
            "Until it has caught up, rows get times that go on from that row."
        )
    warnings |= market_warnings(view.market for view in context.model.markets.values())
    if warnings:
        ready.warnings = warnings
    return Reply(ready, status=503 if problems else 200)


async def metrics(call: Call[None, NoQuery]) -> web.Response:
    """Prometheus exposition. What has been answered has been counted; without a key, what was a second ago."""
    context = call.context
    age_ns_max = METRICS_AGE_NS if call.caller.principal is None else 0
    return web.Response(
        body=context.metrics.text(context.clock.monotonic_ns(), context.recorder.flush, age_ns_max=age_ns_max),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def stats(call: Call[None, NoQuery]) -> Stats:
    """The venue in numbers: order, money, load."""
    context = call.context
    model = context.model
    accounts = model.balances
    return Stats(
        offset=model.offset,
        epoch=model.serving_epoch,
        time=rfc3339(context.clock.now_ms()),
        users=len(model.users),
        markets=[_market_stats(view) for view in model.markets.values()],
        in_flight=context.bridge.in_flight,
        streams=context.streams.readers,
        accounts=Accounts(
            wallets=decimals.money(_sum(accounts, "user:")),
            margin=decimals.money(_sum(accounts, "margin:")),
            house=decimals.money(_sum(accounts, "house:")),
            insurance=decimals.money(_sum(accounts, "insurance:")),
            fees=decimals.money(accounts.get("fees", 0)),
            world=decimals.money(accounts.get("world", 0)),
            total=decimals.money(sum(accounts.values())),
        ),
        health={part: problem.why for part, problem in context.problems().items()},
    )


async def take_snapshot(call: Call[None, NoQuery]) -> SnapshotTaken:
    """Take a snapshot of everything that is durable by now."""
    try:
        taken = await call.context.snapshots.take()
    except (SnapshotFailed, SnapshotBroken, JournalCorrupt) as error:
        raise RequestError("unavailable", f"The snapshot failed: {error}") from error
    return SnapshotTaken(offset=taken.offset, state_hash=taken.state_hash.hex(), size=taken.size, rows=taken.rows)


async def state(call: Call[None, NoQuery]) -> State:
    """Digests of what the actors hold in memory, each at its own row: a replay up to that row must have the same.

    Comes from the actors themselves, not from the read model; the rows it rests on are durable.
    """
    image = await call.context.bridge.image()
    if isinstance(image, Failure):
        code = "overloaded" if image.kind is FailureKind.OVERLOADED else "unavailable"
        raise RequestError(code, f"The state could not be read: {image.reason}.")
    return await asyncio.to_thread(_digests, image)


def _market_stats(view: MarketView) -> MarketStats:
    state, params = view.market, view.market.params
    return MarketStats(
        ticker=params.ticker,
        status=state.mode,
        reason=state.mode_reason,
        positions=len(state.positions),
        margin=decimals.money(state.margin),
        skew=decimals.quantity(state.skew, params.lot_size),
        house=decimals.money(state.house),
        insurance=decimals.money(state.insurance),
        offset=view.offset,
        house_available=decimals.money(state.house + params.house_credit),
        house_liability=decimals.money(state.liability),
    )


def _sum(accounts: dict[str, int], prefix: str) -> int:
    return sum(amount for account, amount in accounts.items() if account.startswith(prefix))


def _digests(image: VenueImage) -> State:
    ledger, markets = image.ledger, sorted(image.markets, key=lambda market: market.head.params.ticker)
    return State(
        ledger=LedgerDigest(offset=ledger.offset, seq=ledger.seq, hash=digest(ledger.chunks()).hex()),
        markets=[
            MarketDigest(
                ticker=market.head.params.ticker,
                seq=market.head.seq,
                positions=len(market.positions),
                hash=digest(market.chunks()).hex(),
            )
            for market in markets
        ],
    )


ROUTES = (
    Route(wire.INDEX, index),
    Route(wire.HEALTH, healthz),
    Route(wire.READY, readyz),
    Route(wire.METRICS, metrics),
    Route(wire.STATS, stats),
    Route(wire.TAKE_SNAPSHOT, take_snapshot),
    Route(wire.STATE, state),
)
