"""The contract, served: the document for programs, and the page that shows it to people.

The page is Swagger UI. Its files come with the package ``mkdocs-swagger-ui-tag``, of which nothing else is used. No
file comes from elsewhere, and ``POLICY`` keeps a browser from asking anybody else.
"""

from __future__ import annotations

import asyncio
import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Final

from aiohttp import web

from perps.wire import venue as wire
from perps.wire.contract.openapi import document
from perps.wire.operation import NoQuery
from web.answers.errors import RequestError
from web.api.call import Call, Route

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What the page may load: from this venue alone, and pictures that are written in its own files."""

PAGE: Final = b"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>perps: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui.js" defer></script>
<script src="docs/start.js" defer></script>
</head>
<body><div id="reference"></div></body>
</html>
"""

START: Final = b"""\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  validatorUrl: null,
});
"""


class _File:
    """Something that does not change while the venue runs."""

    def __init__(self, content_type: str, body: bytes) -> None:
        self._body, self._tag = body, hashlib.sha256(body).hexdigest()[:32]
        self._headers = {"Content-Type": content_type, "X-Content-Type-Options": "nosniff"}

    def for_(self, request: web.BaseRequest) -> web.Response:
        """The answer: without the body, if the caller has it."""
        known = any(tag.value in (self._tag, "*") for tag in request.if_none_match or ())
        if known:
            answer = web.Response(status=304)
        else:
            answer = web.Response(body=self._body, headers=self._headers | {"Content-Security-Policy": POLICY})
        answer.headers["Cache-Control"] = "no-cache"
        answer.etag = self._tag
        return answer


_UI: Final = files("mkdocs_swagger_ui_tag") / "swagger-ui"

_PAGE: Final = _File("text/html; charset=utf-8", PAGE)
_FILES: Final = {
    "start.js": _File("text/javascript; charset=utf-8", START),
    "swagger-ui.js": _File(
        "text/javascript; charset=utf-8", (_UI / "javascripts" / "swagger-ui-bundle.js").read_bytes()
    ),
    "swagger-ui.css": _File("text/css; charset=utf-8", (_UI / "stylesheets" / "swagger-ui.css").read_bytes()),
}


@cache
def _document() -> _File:
    """Made when somebody asks for it: that takes a tenth of the time in which a venue starts."""
    return _File("application/json", document(version("perps")))


async def openapi(call: Call[None, NoQuery]) -> web.Response:
    """The contract for programs."""
    return (await asyncio.to_thread(_document)).for_(call.request)


async def page(call: Call[None, NoQuery]) -> web.Response:
    """The contract as a page."""
    return _PAGE.for_(call.request)


async def file(call: Call[None, NoQuery]) -> web.Response:
    """What the page loads."""
    found = _FILES.get(call.path["file"])
    if found is None:
        raise RequestError("not_found", "The reference has no such file.", {"files": sorted(_FILES)})
    return found.for_(call.request)


ROUTES = (
    Route(wire.OPENAPI, openapi),
    Route(wire.REFERENCE, page),
    Route(wire.REFERENCE_FILE, file),
)
