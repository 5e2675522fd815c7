"""Responses: JSON, encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import web

_encode = msgspec.json.Encoder().encode


def json_response(payload: Any, status: int = 200) -> web.Response:
    """A JSON body with a status."""
    return web.Response(body=_encode(payload), status=status, content_type="application/json")


class _Placed(Protocol):
    @property
    def offset(self) -> int: ...
    @property
    def n(self) -> int: ...


def page(name: str, shown: list[dict[str, Any]], records: Sequence[_Placed], limit: int) -> dict[str, Any]:
    """A list with the cursor of its next page; None when this was the last."""
    more = len(records) == limit
    return {name: shown, "nextCursor": f"{records[-1].offset}-{records[-1].n}" if more else None}
