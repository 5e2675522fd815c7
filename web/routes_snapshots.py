"""``/api/admin/snapshots``: the state on disk, when an operator wants it there now."""

from __future__ import annotations

from aiohttp import web

from perps.venue import JournalCorrupt
from web.context import CONTEXT
from web.errors import RequestError
from web.responses import json_response
from web.snapshot_process import SnapshotFailed

routes = web.RouteTableDef()


@routes.post("/api/admin/snapshots")
async def take(request: web.Request) -> web.Response:
    """Take a snapshot of everything that is durable by now; 201 when it is stored."""
    context = request.app[CONTEXT]
    context.keys.require(request, "admin")
    try:
        taken = await context.snapshots.take()
    except (SnapshotFailed, JournalCorrupt, TimeoutError) as error:
        raise RequestError("unavailable", f"No snapshot could be taken: {error}") from error
    return json_response(
        {"offset": taken.offset, "stateHash": taken.state_hash.hex(), "size": taken.size, "rows": taken.rows}, 201
    )
