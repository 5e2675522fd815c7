"""Readers of a hub, for tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, nullcontext

from tests.actors.venue import Running
from tests.support.slowness import soon
from tests.web.streams.kinds import ALL, ByMarket
from web.streams.hub import Hub
from web.streams.subscribers import Subscriber
from web.streams.topics import Topics


class Reader:
    """Somebody who follows a hub."""

    def __init__(self, hub: Hub, subscriber: Subscriber, blocks: AsyncGenerator[bytes, None]) -> None:
        self.hub, self.subscriber, self.blocks = hub, subscriber, blocks
        self.cut = 0

    async def next(self) -> str:
        """What comes next, in one piece."""
        async with soon(5):
            return (await anext(self.blocks)).decode()

    async def rest(self) -> str:
        """All that comes before the end."""
        async with soon(5):
            return "".join([block.decode() async for block in self.blocks])

    def abort(self) -> None:
        """As a transport: the connection is gone."""
        self.cut += 1


class Following:
    """Opens readers, and closes them at the end."""

    def __init__(self, venue: Running, stack: AsyncExitStack) -> None:
        self._venue, self._stack = venue, stack

    async def __call__(
        self, kind: ByMarket, topics: Topics = ALL, since: str | None = None, *, hub: Hub | None = None
    ) -> Reader:
        """A reader of ``hub``, or of the venue's."""
        hub = hub or self._venue.hub
        subscriber = hub.subscriber(kind, topics)
        blocks = hub.follow(subscriber, since, lambda rows_left: nullcontext())
        reader = Reader(hub, subscriber, await self._stack.enter_async_context(aclosing(blocks)))
        subscriber.abort = reader.abort
        return reader
