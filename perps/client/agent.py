"""The client on the agents' channel: ``Venue``'s methods, with the trading ones on one WebSocket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType

from perps.client import stream
from perps.client.channel import Channel, Subscription
from perps.client.requests import KIND_OF, Request, asked_of, envelope
from perps.client.sending import Reply, Retry
from perps.client.venue import RETRY_S, TIMEOUT_S, Venue
from perps.wire.agents import PING, Hello, Pong
from perps.wire.operation import Operation


class Agent(Venue):
    """One venue, asked with one key, on one WebSocket. An async context manager with the methods of ``Venue``.

    Opens, closes, margin, triggers, single orders, cancels, a price, quotes, positions, balances and the list of
    markets are envelopes on the channel: those that are asked for at the same time, as with ``asyncio.gather``, go out
    in one frame. Everything else goes over HTTP. What has no answer when the line is cut is sent again with the same
    client order id, on the next connection, until there is a verdict; patience and errors are those of ``Venue``.

    ``cancel_on_disconnect``: the venue cancels the user's resting orders whenever the channel ends or is cut.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        cancel_on_disconnect: bool = False,
        timeout_s: float = TIMEOUT_S,
        retry_s: float = RETRY_S,
        on_retry: Callable[[Retry], object] = lambda _: None,
        trust_env: bool = False,
    ) -> None:
        super().__init__(url, key, timeout_s=timeout_s, retry_s=retry_s, on_retry=on_retry, trust_env=trust_env)
        self._channel = Channel(self._sender, cancel_on_disconnect=cancel_on_disconnect)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()
        await super().__aexit__(kind, error, trace)

    @property
    def hello(self) -> Hello | None:
        """What the venue said when the channel began; None while there is no connection."""
        return self._channel.hello

    async def _ask(self, operation: Operation, values: Mapping[str, object]) -> tuple[Request, Reply]:
        """On the channel if the operation has a kind of envelope, else over HTTP."""
        if operation.name not in KIND_OF:
            return await super()._ask(operation, values)
        asked = asked_of(operation, values)
        return asked, await self._sender.until_verdict(asked, self._channel.once)

    async def ping(self) -> Pong:
        """The venue's time, by the channel."""
        asked = envelope(PING, {})
        return self._sender.decoded(asked, await self._sender.until_verdict(asked, self._channel.once), Pong)

    async def stream(
        self, tickers: Iterable[str] | None = None, *, user: str | None = None, since: str | None = None
    ) -> AsyncGenerator[stream.Row, None]:
        """As ``Venue.stream``, on the channel. A channel has one subscription: a second stream goes over HTTP."""
        channel = self._channel
        if channel.has_reader:
            async with aclosing(super().stream(tickers, user=user, since=since)) as rows:
                async for row in rows:
                    yield row
            return
        asked = {"tickers": None if tickers is None else ",".join(tickers), "user": user}
        source = Subscription(channel, {name: value for name, value in asked.items() if value is not None})
        channel.has_reader = True
        try:
            async with aclosing(stream.rows(self._sender, source, since)) as rows:
                async for row in rows:
                    yield row
        finally:
            channel.has_reader = False
