"""``GET /``: what is here."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Final

from aiohttp import web

from web.answers.field_names import camel
from web.api.responses import json_response

VERSION: Final = version("perps")

routes = web.RouteTableDef()


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    """What this is, where to read on, and every route."""
    table = request.app.router.routes()
    shown = sorted({(plain_path(route), route.method) for route in table if route.method != "HEAD"})
    return json_response(
        {
            "name": "perps",
            "version": VERSION,
            "docs": "docs/api.md",
            "health": "/healthz",
            "ready": "/readyz",
            "metrics": "/metrics",
            "routes": [f"{method} {path}" for path, method in shown],
        }
    )


def plain_path(route: web.AbstractRoute) -> str:
    """A route's path as it is documented: ``/api/markets/perps/{ticker}``."""
    path = route.resource.canonical if route.resource else ""
    return re.sub(r"\{(\w+)[^}]*\}", lambda match: "{" + camel(match[1]) + "}", path)
