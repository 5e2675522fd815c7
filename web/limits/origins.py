"""Pages of other sites: which may read answers (CORS), and under which names the venue answers at all (``Host``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import Final

from aiohttp import web
from msgspec import Struct

from web.answers.errors import RequestError
from web.limits.connections import Connection

ANY: Final = "*"
LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
EXPOSED: Final = (
    "X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, ETag, Idempotent-Replay"
)
PREFLIGHT: Final[Mapping[str, str]] = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match, Last-Event-ID",
    "Access-Control-Max-Age": "600",
}


class Sites(Struct, frozen=True, kw_only=True):
    """What a venue lets pages do."""

    cors_origins: frozenset[str] = frozenset()
    """Origins whose pages may read answers; ``*``: all. Never with credentials: a key goes in a header."""
    allowed_hosts: frozenset[str] = frozenset((ANY,))
    """What ``Host`` may name, without the port; ``*``: anything."""
    allows_addresses: bool = False
    """Whether ``Host`` may name any IP address: no other site's name leads to a page that says so."""

    def check_host(self, request: web.BaseRequest) -> None:
        """Raise ``forbidden`` for a name the venue does not go by.

        A page whose name its owner has pointed at this machine would otherwise be of the venue's own origin.
        """
        if ANY in self.allowed_hosts:
            return
        said, connection = request.headers.get("Host", ""), request.protocol
        if isinstance(connection, Connection) and connection.known_host == said:
            return
        host = host_name(said)
        if host in self.allowed_hosts or (self.allows_addresses and _is_address(host)):
            if isinstance(connection, Connection):
                connection.known_host = said
            return
        message = (
            "The venue does not answer under this name. Its operator can allow it: perps serve --allowed-host NAME."
        )
        raise RequestError("forbidden", message, {"host": host[:64]})

    def headers(self, request: web.BaseRequest) -> Mapping[str, str]:
        """The headers that let a page read the answer; none for a site that may not."""
        if not self.cors_origins:
            return {}
        origin = request.headers.get("Origin")
        if origin is None or not self._lets(origin):
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": EXPOSED,
        }

    def is_preflight(self, request: web.BaseRequest) -> bool:
        """Whether a browser asks if one of these sites' pages may send a request."""
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        return asks and self._lets(request.headers.get("Origin", ""))

    def _lets(self, origin: str) -> bool:
        return origin in self.cors_origins or (ANY in self.cors_origins and bool(origin))


def sites(host: str, allowed_hosts: Collection[str], cors_origins: Collection[str]) -> Sites:
    """What a venue that listens on ``host`` lets pages do. It always answers under this machine's names and its own."""
    own = host.strip("[]").lower()
    is_everywhere = _is_address(own) and ip_address(own).is_unspecified
    return Sites(
        cors_origins=frozenset(cors_origins),
        allowed_hosts=frozenset({*LOOPBACK_HOSTS, own, *(host_name(name) for name in allowed_hosts)}),
        allows_addresses=is_everywhere,
    )


def host_name(text: str) -> str:
    """What ``Host`` names, in lower case and without port and brackets."""
    text = text.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text if text.count(":") > 1 else text.partition(":")[0]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
