"""A reader of a server-sent event stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.web.venue import Client, Running

WAIT_S = 10.0
"""How long an event that must come may take."""


@dataclass(frozen=True)
class Event:
    """One event, or a comment (``name`` is then ``":"``)."""

    name: str
    data: Any
    id: str | None

    @property
    def offset(self) -> int:
        """The offset it tells."""
        offset: int = self.data["offset"]
        return offset


class Stream:
    """Reads events, one by one."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.last_id: str | None = None
        self.comments = 0

    async def next(self) -> Event:
        """The next event. Raises ``EOFError`` at the end of the stream."""
        name, data, ident = "message", "", None
        async with asyncio.timeout(WAIT_S):
            while True:
                line = (await self.response.content.readline()).decode()
                if not line:
                    raise EOFError
                field, _, value = line.rstrip("\n").partition(": ")
                if line == "\n" and data:
                    break
                if line.startswith(":"):
                    self.comments += 1
                elif field == "event":
                    name = value
                elif field == "data":
                    data += value
                elif field == "id":
                    ident = self.last_id = value
        return Event(name, json.loads(data), ident)

    async def take(self, count: int) -> list[Event]:
        """The next so many."""
        return [await self.next() for _ in range(count)]

    async def until_offset(self, offset: int) -> list[Event]:
        """All up to the last event of a row."""
        events = []
        while True:
            event = await self.next()
            events.append(event)
            if event.name not in ("snapshot", "reset") and event.offset >= offset and event.id is not None:
                return events

    async def until_the_end(self) -> list[Event]:
        """All that comes before the stream ends."""
        events = []
        try:
            while True:
                events.append(await self.next())
        except EOFError:
            return events


@asynccontextmanager
async def following(
    venue: Running, path: str, reader: Client | None, *, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Stream]:
    """Any stream, open inside, with a reader's key; None: without one."""
    key = {} if reader is None else {"Authorization": f"Bearer {reader.key}"}
    async with venue.session.get(f"{venue.url}{path}", headers={**key, **(headers or {})}) as response:
        assert response.status == 200, await response.read()
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-cache"
        yield Stream(response)


@asynccontextmanager
async def listening(
    venue: Running, query: str = "", *, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Stream]:
    """A stream of the markets, open inside."""
    async with following(venue, f"/api/sse/markets{query}", None, headers=headers) as stream:
        yield stream


async def read_raw(venue: Running, path: str, reader: Client, *, until: bytes) -> bytes:
    """The bytes of all events after the snapshot, up to the row in which ``until`` is."""
    got = b""
    async with following(venue, path, reader) as stream, asyncio.timeout(WAIT_S):
        while until not in got or not got.endswith(b"\n\n") or b"id: " not in got[got.rindex(until) :]:
            got += await stream.response.content.readany()
    told = b"\n\n".join(block for block in got.split(b"\n\n") if block[:1] not in (b":", b"r"))
    return told.partition(b"\n\n")[2] if told.startswith(b"event: snapshot") else told
