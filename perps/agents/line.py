"""The one place where agents meet a transport. Everything above it knows operations and rows, and no protocol."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol, TypeVar

from perps.client import Agent, Row, Venue
from perps.wire.operation import Operation
from perps.wire.orders.order import Pending

T = TypeVar("T")


class Line(Protocol):
    """What an agent needs of a client. ``perps.client.Venue`` is one."""

    async def call(self, operation: Operation, kind: type[T], /, **values: object) -> T:
        """Any operation, sent until there is a verdict. Errors: VenueError."""
        ...

    async def call_or_wait(self, operation: Operation, kind: type[T], /, **values: object) -> T | Pending:
        """As ``call``, of an operation that may wait for the next price: then its order."""
        ...

    def stream(
        self, tickers: Iterable[str] | None = None, *, user: str | None = None, since: str | None = None
    ) -> AsyncGenerator[Row, None]:
        """Rows, for ever; it resumes by itself. Errors: VenueError."""
        ...


class Connect(Protocol):
    """Makes a line. ``retry_s``: how long a command is sent again without a verdict."""

    def __call__(self, url: str, key: str | None, *, retry_s: float) -> AbstractAsyncContextManager[Line]: ...


def _channel(url: str, key: str | None, *, retry_s: float) -> AbstractAsyncContextManager[Line]:
    """One WebSocket for commands and the own stream. Who has no key hears the markets over HTTP."""
    return Venue(url, retry_s=retry_s) if key is None else Agent(url, key, retry_s=retry_s)


TRANSPORTS: Final[Mapping[str, Connect]] = {"http": Venue, "websocket": _channel}
"""By the name that ``perps agents run --transport`` takes. The first is the default."""

DEFAULT_TRANSPORT: Final = next(iter(TRANSPORTS))
