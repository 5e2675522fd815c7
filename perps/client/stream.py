"""Event streams, row by row: all events of one journal row together.

A row's last event carries its id. If the line breaks within a row, the venue sends that row again from its first event.
So only whole rows come out.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Final, Protocol

import aiohttp
import msgspec
from msgspec import Struct

from perps.client.errors import BadAnswer, Unavailable
from perps.client.requests import Request
from perps.client.sending import ANSWER_BYTES_MAX, CONNECT_S_MAX, NoVerdict, Retry, Sender, pause_after

SILENCE_S_MAX: Final = 45.0
"""A venue sends something every 15 s. After this long without, the line counts as cut."""
BACK_S: Final = 1.0
"""When to come back after a cut, until the stream says it itself (``retry:``). It doubles with each failure."""
BACK_S_MAX: Final = 30.0


class Event(Struct, frozen=True):
    """One event. ``data`` has the fields that the contract gives it, numbers as exact decimal text."""

    name: str
    data: dict[str, Any]


class Row(Struct, frozen=True):
    """What one row of the journal says on a stream; or a ``snapshot``, after a ``reset`` if rows are missing."""

    id: str
    """``<epoch>-<offset>``. Give it as ``since`` to continue after this row."""
    events: tuple[Event, ...]

    @property
    def offset(self) -> int:
        """The number of the journal row."""
        return int(self.id.rpartition("-")[2])

    @property
    def is_reset(self) -> bool:
        """The stream could not continue where it was. The state is now what this row's ``snapshot`` says."""
        return any(event.name == "reset" for event in self.events)


class RowReader:
    """Bytes of one connection in, whole rows out."""

    def __init__(self, back_s: float = BACK_S) -> None:
        self.back_s = back_s
        """When to come back after a cut, as the stream says."""
        self._line = bytearray()
        self._size = 0
        self._events: list[Event] = []
        self._fields: dict[str, str] = {}

    def feed(self, data: bytes) -> Iterator[Row]:
        """The rows that end in ``data``. Raises ``BadAnswer`` if this is not a venue's stream."""
        self._size += len(data)
        if self._size > ANSWER_BYTES_MAX:
            raise BadAnswer(f"the stream sent a row of more than {ANSWER_BYTES_MAX} bytes")
        first, *rest = data.split(b"\n")
        self._line += first
        for part in rest:
            line, self._line = self._line, bytearray(part)
            row = self._take(line.decode(errors="replace").rstrip("\r"))
            if row is not None:
                self._size = 0
                yield row

    def _take(self, line: str) -> Row | None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "retry" and value.isdecimal():
            self.back_s = min(int(value) / 1000, BACK_S_MAX)
        elif name == "data" and name in self._fields:
            self._fields[name] += f"\n{value}"
        elif name in ("event", "data", "id"):
            self._fields[name] = value
        if line or "data" not in self._fields:
            return None
        fields, self._fields = self._fields, {}
        self._events.append(Event(fields.get("event", "message"), _object(fields["data"])))
        if "id" not in fields:
            return None
        events, self._events = tuple(self._events), []
        return Row(fields["id"], events)


class Source(Protocol):
    """Where rows come from, one connection after the other."""

    back_s: float
    """When to come back after a cut."""

    def rows(self, since: str | None) -> AsyncGenerator[Row, None]:
        """The rows behind an id, from one connection. Ends with ``NoVerdict``, or with what is final."""
        ...


class ServerSent:
    """Rows as server-sent events."""

    def __init__(self, sender: Sender, request: Request) -> None:
        self._sender, self._request = sender, request
        self.back_s = BACK_S

    async def rows(self, since: str | None) -> AsyncGenerator[Row, None]:
        """The rows of one answer."""
        sender, request, reader = self._sender, self._request, RowReader(self.back_s)
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S_MAX, sock_read=SILENCE_S_MAX)
        async with sender.answering(request, limits, _place(since)) as answer:
            if answer.status != 200:
                sender.checked(request, await sender.read(answer))
            if answer.content_type != "text/event-stream":
                raise BadAnswer(f"{sender.shown_url}{request.target} answered {answer.content_type}, not a stream")
            async for data in answer.content.iter_any():
                for row in reader.feed(data):
                    self.back_s = reader.back_s
                    yield row
            raise NoVerdict(f"{sender.shown_url} ended the stream")


async def rows(sender: Sender, source: Source, since: str | None) -> AsyncGenerator[Row, None]:
    """The rows of a stream, for ever, each once and in order.

    It connects again by itself, after the last row that was read. Raises ``Refused``, ``BadAnswer``, and before the
    first row also ``Unavailable``.
    """
    begun, failures, is_first = time.monotonic(), 0, True
    while True:
        try:
            async with aclosing(source.rows(since)) as found:
                async for row in found:
                    since, failures, is_first = row.id, 0, False
                    yield row
            raise NoVerdict(f"{sender.shown_url} ended the stream")
        except NoVerdict as failed:
            failures += 1
            pause_s = min(source.back_s * float(1 << min(failures - 1, 10)), BACK_S_MAX) * random.uniform(0.5, 1.0)
            if failed.pause_s is not None:
                pause_s = max(pause_s, pause_after(failures, failed))
            if is_first and time.monotonic() - begun + pause_s > sender.retry_s:
                raise Unavailable(str(failed), failed.code, is_connected=failed.is_connected) from failed
            sender.on_retry(Retry(failures, pause_s, str(failed)))
        await asyncio.sleep(pause_s)


def _place(since: str | None) -> dict[str, str]:
    return {"Accept": "text/event-stream", **({} if since is None else {"Last-Event-ID": since})}


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadAnswer(f"the stream sent an event that is no JSON object: {error}") from None
