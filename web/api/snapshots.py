"""``/api/admin/snapshots`` and ``/api/admin/state``: the state on disk, and what memory says it is."""

from __future__ import annotations

import asyncio

from aiohttp import web

from actors.messages import Failure, FailureKind, VenueImage
from perps.snapshot.format import SnapshotBroken
from perps.snapshot.images import digest
from perps.venue import JournalCorrupt
from web.answers.errors import RequestError
from web.api.context import CONTEXT
from web.api.responses import json_response
from web.process.snapshot_taking import SnapshotFailed

routes = web.RouteTableDef()


@routes.post("/api/admin/snapshots")
async def take(request: web.Request) -> web.Response:
    """Take a snapshot of everything that is durable by now; 201 when it is stored."""
    context = request.app[CONTEXT]
    context.keys.require(request, "admin")
    try:
        taken = await context.snapshots.take()
    except (SnapshotFailed, SnapshotBroken, JournalCorrupt) as error:
        raise RequestError("unavailable", f"The snapshot failed: {error}") from error
    return json_response(
        {"offset": taken.offset, "stateHash": taken.state_hash.hex(), "size": taken.size, "rows": taken.rows}, 201
    )


@routes.get("/api/admin/state")
async def state(request: web.Request) -> web.Response:
    """Digests of what the actors hold in memory, each at its own row: a replay up to that row must have the same.

    Comes from the actors themselves, not from the read model; the rows it rests on are durable.
    """
    context = request.app[CONTEXT]
    context.keys.require(request, "admin")
    image = await context.bridge.image()
    if isinstance(image, Failure):
        code = "overloaded" if image.kind is FailureKind.OVERLOADED else "unavailable"
        raise RequestError(code, f"The state could not be read: {image.reason}.")
    return json_response(await asyncio.to_thread(_digests, image))


def _digests(image: VenueImage) -> dict[str, object]:
    ledger, markets = image.ledger, sorted(image.markets, key=lambda market: market.head.params.ticker)
    return {
        "ledger": {"offset": ledger.offset, "seq": ledger.seq, "hash": digest(ledger.chunks()).hex()},
        "markets": [
            {
                "ticker": market.head.params.ticker,
                "seq": market.head.seq,
                "positions": len(market.positions),
                "hash": digest(market.chunks()).hex(),
            }
            for market in markets
        ],
    }
