"""What an operation is: one thing that a client can ask of a venue, described as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from perps.wire.base import PositionId, Query, Ticker, UserId
from perps.wire.errors import ErrorCode as Code

Scope = Literal["read", "trade", "price", "admin"]
Method = Literal["GET", "POST", "PATCH", "DELETE"]

PATH_TYPES: Final[Mapping[str, Any]] = {
    "ticker": Ticker,
    "userId": UserId,
    "positionId": PositionId,
    "orderId": Annotated[str, Meta(description="An order: its ticker and its number.", examples=["BTC-PERP-o1"])],
    "keyId": Annotated[str, Meta(description="An API key's name.", examples=["key_8f3590b32e7133e6"])],
    "file": Annotated[str, Meta(description="A file of the page.", examples=["start.js"])],
}
"""What may stand in a path, by the name of its place."""

TEXT: Final = "text/plain"
EVENTS: Final = "text/event-stream"
PAGE: Final = "text/html"
FILE: Final = "*/*"
NOTHING: Final = ""
UPGRADE: Final = "websocket"
"""What an answer can be, if it is no JSON."""

ITEMS_MAX: Final = 1_000
"""Items of a list that comes in."""

TAGS: Final[Mapping[str, str]] = {
    "Trading": "Open and close positions, set where they leave, and ask what an open would do.",
    "Market data": "Markets and their history. Public.",
    "Users": "What a user has and did. For the user's own keys and for administrators.",
    "Prices in": "Index prices, from feeds.",
    "Administration": "Users, keys, markets and the state of the venue. For administrators.",
    "Streams": "What happens, as it happens.",
    "Operations": "The venue as a process, and this contract. Public.",
}
"""What operations are about, in the order of the reference."""

COMMAND: Final = (Code.RATE_LIMITED, Code.OVERLOADED, Code.OUTCOME_UNKNOWN)
"""Refusals of everything that goes to the actors."""


class NoQuery(Query):
    """No parameters after the path."""


class Operation(Struct, frozen=True, kw_only=True):
    """One thing that a client can ask of a venue."""

    name: str
    """What clients call it, camelCase."""
    tag: str
    method: Method
    path: str
    summary: str
    """One sentence, without its full stop."""
    description: str = ""
    """More about it, in Markdown."""
    scope: Scope | None = None
    """What the key must allow; None: anybody may ask."""
    any_key: bool = False
    """With no ``scope``: any key may ask, and nobody without one."""
    may_be_public: bool = False
    """The venue's operator may let anybody ask, without a key."""
    own: bool = False
    """The key must be of the ``userId`` in the path, or an administrator's. ``me`` there is the key's own user."""
    body: Any = None
    """A struct, or a list of them."""
    body_optional: bool = False
    query: type[Query] = NoQuery
    answers: Mapping[int, Any]
    """By status: a struct, or ``TEXT``, ``EVENTS`` or ``UPGRADE``. The first is the success."""
    events: Mapping[str, Any] = {}
    """Of a stream or a channel: what each event carries, by the event's name."""
    links: Mapping[str, Mapping[str, str]] = {}
    """Operations that can follow a success, by name: where in its body their path's places are, as JSON pointers."""
    repeatable: bool = False
    """Of one with an effect and without a client order id: a second time changes nothing. Clients send it again when
    they do not know whether it was done.
    """
    refusals: tuple[Code, ...] = ()
    """Its own codes. ``refusals_of`` adds those that any request can get."""

    @property
    def status(self) -> int:
        """Of a success."""
        return int(next(iter(self.answers)))

    @property
    def has_effect(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET" and self.name not in ("quotePosition", "quoteOrder")


def refusals_of(operation: Operation) -> tuple[Code, ...]:
    """Every code that an operation can answer with, in order of precedence."""
    codes = set(operation.refusals) | {Code.INTERNAL_ERROR, Code.RATE_LIMITED}
    if operation.path != "/healthz":
        codes.add(Code.FORBIDDEN)
    if operation.path.startswith("/api/"):
        codes |= {Code.VALIDATION_ERROR, Code.UNAVAILABLE}
    if operation.scope is not None or operation.any_key:
        codes.add(Code.UNAUTHORIZED)
    if operation.body is not None:
        codes |= {Code.INVALID_JSON, Code.PAYLOAD_TOO_LARGE}
    return tuple(code for code in Code if code in codes)
