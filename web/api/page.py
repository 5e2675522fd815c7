"""The web page, served: a browser gets it at ``/``, and its files by names that change with what is in them.

``make page`` builds them into ``web/page/built``. A venue without them answers all the same, and says so. No file comes
from elsewhere, and ``POLICY`` keeps a browser from asking anybody but this venue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from perps.wire import page as wire
from perps.wire.operation import NoQuery
from perps.wire.page import Demo, DemoPerson
from web.answers.errors import RequestError
from web.api.call import Call, Reply, Route
from web.limits.budgets import is_loopback
from web.limits.origins import LOOPBACK_HOSTS, host_name

BUILT: Final = Path(__file__).parents[1] / "page" / "built"
FRONT: Final = "index.html"
PACKED: Final = ".gz"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: from this venue alone, and pictures that are written in its own files."""

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FOR_EVER: Final = "public, max-age=31536000, immutable"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

NOT_BUILT: Final = b"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>perps</title>
<link rel="icon" href="data:,">
</head>
<body>
<h1>The venue runs, and its page has not been built</h1>
<p>In the project's folder, type <code>make page</code>; it says what is missing. Then start the venue again.</p>
<p>Programs need no page: <a href="docs">the API</a>.</p>
</body>
</html>
"""

FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via", "Origin")
"""What a proxy adds, and what a browser adds for another site's page: either may speak for anybody, although it is on
this machine. The venue's own page asks without ``Origin``.
"""


class _File:
    """Something that does not change while the venue runs. ``packed``: the same, compressed with gzip."""

    def __init__(self, suffix: str, body: bytes, packed: bytes | None, cache: str) -> None:
        self._body, self._packed, self._tag = body, packed, hashlib.sha256(body).hexdigest()[:32]
        self._headers = HEADERS | {
            "Cache-Control": cache,
            "Content-Type": TYPES.get(suffix, "application/octet-stream"),
            "Vary": "Accept, Accept-Encoding",
        }

    def for_(self, request: web.BaseRequest) -> web.Response:
        """The answer: without the body, if the caller has it."""
        if any(tag.value in (self._tag, "*") for tag in request.if_none_match or ()):
            answer = web.Response(status=304, headers={name: self._headers[name] for name in ("Cache-Control", "Vary")})
        elif self._packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            answer = web.Response(body=self._packed, headers=self._headers | {"Content-Encoding": "gzip"})
        else:
            answer = web.Response(body=self._body, headers=self._headers)
        answer.etag = self._tag
        return answer


def read(place: Path) -> Mapping[str, _File]:
    """The page's files by name; of a page that has not been built, its front alone, which says so."""
    if not (place / FRONT).is_file():
        return {FRONT: _File(".html", NOT_BUILT, None, "no-cache")}
    found = {file.name: file for file in place.iterdir() if file.is_file() and not file.name.startswith(".")}
    return {
        name: _File(
            file.suffix,
            file.read_bytes(),
            found[name + PACKED].read_bytes() if name + PACKED in found else None,
            "no-cache" if name == FRONT else FOR_EVER,
        )
        for name, file in found.items()
        if file.suffix != PACKED
    }


_FILES: Final = read(BUILT)


def front(request: web.BaseRequest) -> web.Response | None:
    """The page, for whoever asks ``/`` for HTML, as browsers do and programs do not."""
    return _FILES[FRONT].for_(request) if "text/html" in request.headers.get("Accept", "") else None


async def file(call: Call[None, NoQuery]) -> web.Response:
    """What the page loads."""
    found = _FILES.get(call.path["file"])
    if found is None or call.path["file"] == FRONT:
        raise RequestError("not_found", "The page has no such file. Load the page again.")
    return found.for_(call.request)


async def demo(call: Call[None, NoQuery]) -> Reply:
    """In whose name a visitor may trade: on a venue with a demo, and from its own machine."""
    request = call.request
    is_near = (
        is_loopback(request.remote or "")
        and host_name(request.headers.get("Host", "")) in LOOPBACK_HOSTS
        and not any(name in request.headers for name in FORWARDED)
    )
    people = [DemoPerson(user_id=user, key=key) for user, key in call.context.demo_keys.items() if is_near]
    return Reply(Demo(people=people), headers={"Cache-Control": "no-store"})


ROUTES = (Route(wire.DEMO, demo), Route(wire.PAGE_FILE, file))
