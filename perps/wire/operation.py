"""What an operation is: one thing that can be asked of a venue, with everything that can be said of it as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from perps.wire.base import PositionId, Query, Ticker, UserId
from perps.wire.errors import ErrorCode as Code

Scope = Literal["read", "trade", "price", "admin"]
Method = Literal["GET", "POST", "DELETE"]

PATH_TYPES: Final[Mapping[str, Any]] = {
    "ticker": Ticker,
    "userId": UserId,
    "positionId": PositionId,
    "keyId": str,
}
"""What may stand in a path, by the name of its place."""

TEXT: Final = "text/plain"
EVENTS: Final = "text/event-stream"

COMMAND: Final = (Code.RATE_LIMITED, Code.OVERLOADED, Code.OUTCOME_UNKNOWN)
"""Refusals of everything that goes to the actors."""


class NoQuery(Query):
    """Nothing behind the path."""


class Operation(Struct, frozen=True, kw_only=True):
    """One thing that can be asked of a venue."""

    name: str
    """What clients call it, camelCase."""
    tag: str
    method: Method
    path: str
    summary: str
    scope: Scope | None = None
    """What the key must allow; None: anybody may ask."""
    own: bool = False
    """The key must be of the ``userId`` in the path, or an administrator's."""
    body: Any = None
    """A struct, or a list of them."""
    body_optional: bool = False
    query: type[Query] = NoQuery
    answers: Mapping[int, Any]
    """By status: a struct, or ``TEXT`` or ``EVENTS``. The first is the success."""
    refusals: tuple[Code, ...] = ()
    """Those of the operation's own. What any request can get is in ``refusals_of``."""

    @property
    def status(self) -> int:
        """Of a success."""
        return int(next(iter(self.answers)))

    @property
    def has_effect(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET" and self.name != "quotePosition"


def refusals_of(operation: Operation) -> tuple[Code, ...]:
    """Every code that an operation can answer with, in order of precedence."""
    codes = set(operation.refusals) | {Code.INTERNAL_ERROR}
    if operation.path.startswith("/api/"):
        codes |= {Code.VALIDATION_ERROR, Code.UNAVAILABLE}
    if operation.scope is not None:
        codes |= {Code.UNAUTHORIZED, Code.FORBIDDEN}
    if operation.body is not None:
        codes |= {Code.INVALID_JSON, Code.PAYLOAD_TOO_LARGE, Code.RATE_LIMITED}
    return tuple(code for code in Code if code in codes)
