"""One connection after the other to a venue's agents' channel: envelopes out, answers and rows in.

Envelopes that are given in one turn of the event loop go out in one frame. No more are under way than the venue allows;
the others wait here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeVar, cast

import aiohttp
import msgspec
from msgspec import Raw, Struct
from yarl import URL

from perps.client.errors import BadAnswer, Refused
from perps.client.requests import Asked, Request, envelope
from perps.client.sending import ANSWER_BYTES_MAX, CONNECT_S_MAX, NoVerdict, Reply, Sender
from perps.client.stream import BACK_S, Event, Row
from perps.wire.agents import AGENTS, EVENT, MSGPACK, SUBSCRIBE, UNSUBSCRIBE, Hello
from perps.wire.base import pack

HEARTBEAT_S: Final = 15.0
"""After so long without a word the venue is asked for one; half as long without it, and the line counts as cut."""

ARRAY_32: Final = b"\xdd"
"""How an array of MessagePack begins whose length is in the four bytes behind."""

FRAME_HEAD: Final = 5
"""Bytes that a frame has before its envelopes."""

GOOD_BYE_S: Final = 1.0
"""How long a connection that has not begun waits for the venue's part of the good-bye."""

ROWS_MAX: Final = 1_000
"""Rows that wait for whoever reads the events. Then the subscription ends, and begins again when they are read."""

NO_FRAME: Final = (
    aiohttp.WSCloseCode.UNSUPPORTED_DATA,
    aiohttp.WSCloseCode.INVALID_TEXT,
    aiohttp.WSCloseCode.MESSAGE_TOO_BIG,
)
"""Codes that the venue closes a channel with that does not speak as it does."""

CLOSED: Final = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.ERROR,
)
"""What comes instead of a message when the other side has gone."""

T = TypeVar("T")


class PackedReply(Reply, frozen=True):
    """An answer in MessagePack."""

    def decoded(self, kind: type[T]) -> T:
        """The body in this form."""
        if kind is Raw:
            return cast(T, Raw(msgspec.json.encode(msgspec.msgpack.decode(self.body))))
        return msgspec.msgpack.decode(self.body, type=kind)


class _Incoming(Struct, array_like=True, frozen=True):
    """An answer (id, status, body, headers), or an event (0, name, data, the row's id)."""

    id: int
    what: int | str
    body: Raw
    more: Raw = Raw()


_incoming: Final = msgspec.msgpack.Decoder(list[_Incoming]).decode
_object: Final = msgspec.msgpack.Decoder(dict[str, Any]).decode
_headers: Final = msgspec.msgpack.Decoder(dict[str, str]).decode
_place: Final = msgspec.msgpack.Decoder(str | None).decode


class _Waiting(NamedTuple):
    """An envelope without an answer."""

    answered: asyncio.Future[PackedReply]
    rows: asyncio.Queue[Row] | None


class Connection:
    """One WebSocket, from its ``hello`` to its end."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, hello: Hello) -> None:
        self._socket, self.hello = socket, hello
        self._places = asyncio.Semaphore(hello.in_flight_max)
        self._number = 0
        self._waiting: dict[int, _Waiting] = {}
        self._outgoing: deque[tuple[int, bytes]] = deque()
        self._unsent: set[int] = set()
        self._something = asyncio.Event()
        self._events: list[Event] = []
        self.rows: asyncio.Queue[Row] | None = None
        """Where the rows of the subscription go."""
        self._wanted: asyncio.Queue[Row] | None = None
        """Where those of the last subscription go that was asked for, answered or not."""
        self.ended: asyncio.Future[NoVerdict] = asyncio.get_running_loop().create_future()
        self._tasks = {asyncio.create_task(self._read()), asyncio.create_task(self._write())}

    async def ask(self, kind: str, fields: Mapping[str, object], rows: asyncio.Queue[Row] | None = None) -> PackedReply:
        """One envelope's answer. Raises ``NoVerdict`` if the line is cut before.

        ``rows``: where the rows go that come behind the answer, if it is a success.
        """
        if rows is not None:
            self._wanted = rows
        async with self._places:
            return await self._answered(kind, fields, rows)

    async def _answered(
        self, kind: str, fields: Mapping[str, object], rows: asyncio.Queue[Row] | None = None
    ) -> PackedReply:
        """As ``ask``, for whoever has a place."""
        if self.ended.done():
            raise NoVerdict(str(self.ended.result()), may_be_done=False)
        answered: asyncio.Future[PackedReply] = asyncio.get_running_loop().create_future()
        number = self._give(kind, fields, _Waiting(answered, rows))
        try:
            return await answered
        finally:
            self._waiting.pop(number, None)
            self._unsent.discard(number)

    def _give(self, kind: str, fields: Mapping[str, object], waiting: _Waiting) -> int:
        """Let an envelope go out with the next frame; its number."""
        self._number = number = self._number + 1
        self._waiting[number] = waiting
        self._unsent.add(number)
        self._outgoing.append((number, pack((number, kind, fields))))
        self._something.set()
        return number

    def unsubscribe(self) -> None:
        """Nobody reads the events any more: tell the venue, as soon as there is a place."""
        self.rows = self._wanted = None
        task = asyncio.create_task(self._unsubscribe())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _unsubscribe(self) -> None:
        with suppress(NoVerdict):
            async with self._places:
                if self._wanted is None:  # another subscription takes the place of this one
                    await self._answered(UNSUBSCRIBE, {})

    async def close(self) -> None:
        """Say good-bye."""
        self._end(NoVerdict("the channel has been closed here"))
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await self._socket.close()

    async def _write(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            await asyncio.sleep(0)  # what is given in the same turn goes along
            while self._outgoing:
                frame = b"".join(self._frame())
                if frame:
                    try:
                        await self._socket.send_bytes(frame)
                    except ConnectionError as error:
                        self._end(NoVerdict(f"the channel was cut: {error}"))
                        return

    def _frame(self) -> Iterator[bytes]:
        """The next frame: as many envelopes as go in. Those that nobody waits for any more are left out."""
        size, found = FRAME_HEAD, list[bytes]()
        while self._outgoing and len(found) < self.hello.envelopes_max:
            number, envelope = self._outgoing[0]
            size += len(envelope)
            if found and size > self.hello.frame_bytes_max:
                break
            self._outgoing.popleft()
            if number in self._waiting:
                self._unsent.discard(number)
                found.append(envelope)
        if found:
            yield ARRAY_32 + len(found).to_bytes(4, "big")
            yield from found

    async def _read(self) -> None:
        try:
            while True:
                message = await self._socket.receive()
                if message.type is not aiohttp.WSMsgType.BINARY:
                    break
                for incoming in _incoming(message.data):
                    self._take(incoming)
            why = f"the venue closed the channel ({self._socket.close_code}) {message.extra or ''}".strip()
            if self._socket.close_code in NO_FRAME:
                why += ": another version of perps?"
            self._end(NoVerdict(why))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._end(NoVerdict(f"the channel sent what cannot be understood: {error}"))

    def _take(self, incoming: _Incoming) -> None:
        if incoming.id == EVENT:
            self._events.append(Event(str(incoming.what), _object(incoming.body)))
            place = _place(incoming.more)
            if place is not None:
                row, self._events = Row(place, tuple(self._events)), []
                self._tell(row)
            return
        waiting = self._waiting.pop(incoming.id, None)
        if waiting is None or waiting.answered.done():
            return
        headers = _headers(incoming.more) if bytes(incoming.more) else {}
        reply = PackedReply(int(incoming.what), headers, bytes(incoming.body))
        if waiting.rows is not None and reply.status == HTTPStatus.OK:
            self.rows, self._events = waiting.rows, []
        waiting.answered.set_result(reply)

    def _tell(self, row: Row) -> None:
        if self.rows is None:
            return
        try:
            self.rows.put_nowait(row)
        except asyncio.QueueFull:
            self.rows = None  # whoever reads them goes on from the last one that is here

    def _end(self, why: NoVerdict) -> None:
        if self.ended.done():
            return
        self.ended.set_result(why)
        for number, (answered, _) in self._waiting.items():
            if not answered.done():
                answered.set_exception(NoVerdict(str(why), may_be_done=number not in self._unsent))


class Channel:
    """The channel of one agent, connected when it is needed, again and again."""

    back_s = BACK_S

    def __init__(self, sender: Sender, *, cancel_on_disconnect: bool) -> None:
        self._sender = sender
        self._request = Request("GET", AGENTS.path + ("?cancelOnDisconnect=1" if cancel_on_disconnect else ""))
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self.has_reader = False
        """Whether somebody reads the events: there is one subscription."""

    @property
    def hello(self) -> Hello | None:
        """What the venue said to begin with; None while there is no connection."""
        connection = self._connection
        return None if connection is None or connection.ended.done() else connection.hello

    async def once(self, asked: Asked) -> Reply:
        """One try of an envelope. Raises ``NoVerdict``, ``Refused``, ``BadAnswer``."""
        return await self.answered(asked, await self.connected())

    async def answered(self, asked: Asked, connection: Connection, rows: asyncio.Queue[Row] | None = None) -> Reply:
        """An envelope's answer on a connection, if it comes in time. Raises as ``once``. ``rows``: as of ``ask``."""
        timeout_s = self._sender.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                reply = await connection.ask(asked.kind, asked.fields, rows)
        except TimeoutError as error:
            raise NoVerdict(f"{self._sender.shown_url} did not answer within {timeout_s:g} s") from error
        return self._sender.checked(asked, reply)

    async def connected(self) -> Connection:
        """The present connection, or a new one. Raises ``NoVerdict`` (nothing was done), ``Refused``."""
        async with self._connecting:
            connection = self._connection
            if connection is not None and not connection.ended.done():
                return connection
            if connection is not None:
                self._connection = None
                await connection.close()
            self._connection = connection = await self._connect()
            return connection

    async def close(self) -> None:
        """Close the connection."""
        async with self._connecting:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()

    async def _connect(self) -> Connection:
        sender, request = self._sender, self._request
        limits = aiohttp.ClientTimeout(total=min(sender.timeout_s, CONNECT_S_MAX))
        try:
            with sender.failing(limits):
                async with asyncio.timeout(limits.total):
                    socket = await sender.session.ws_connect(
                        URL(sender.url + request.target, encoded=True),
                        protocols=(MSGPACK,),
                        heartbeat=HEARTBEAT_S,
                        max_msg_size=ANSWER_BYTES_MAX,
                    )
                    return await self._greeted(socket)
        except NoVerdict as failed:
            if isinstance(failed.__cause__, aiohttp.WSServerHandshakeError):
                await self._say_why(failed.__cause__.status)
            raise NoVerdict(
                str(failed), failed.code, may_be_done=False, is_connected=failed.is_connected, pause_s=failed.pause_s
            ) from failed

    async def _greeted(self, socket: aiohttp.ClientWebSocketResponse) -> Connection:
        """A connection, once the venue has said ``hello``. Raises ``NoVerdict``, ``BadAnswer``."""
        try:
            first = await socket.receive()
            if first.type in CLOSED:
                raise NoVerdict(f"{self._sender.shown_url} closed the channel before its hello ({socket.close_code})")
            (hello,) = _incoming(first.data)
            return Connection(socket, msgspec.msgpack.decode(hello.body, type=Hello))
        except BaseException as error:
            with suppress(TimeoutError):
                async with asyncio.timeout(GOOD_BYE_S):
                    await socket.close()
            if isinstance(error, msgspec.MsgspecError | TypeError | ValueError):
                place = f"{self._sender.shown_url}{self._request.target}"
                raise BadAnswer(f"{place} is no agents' channel: {error}") from error
            raise

    async def _say_why(self, status: int) -> None:
        """Raise ``Refused`` if the venue refuses the channel for good.

        The hand-shake has no body here, so the same is asked without one; by then it may be something else that is
        wrong: a venue that has just started misses the hand-shake.
        """
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        try:
            await self._sender.once(self._request)
        except Refused as refused:
            if refused.status == status:
                raise


class Subscription:
    """The events of the channel as rows. See ``perps.client.stream.Source``."""

    back_s = BACK_S

    def __init__(self, channel: Channel, fields: Mapping[str, object]) -> None:
        self._channel, self._fields = channel, fields

    async def rows(self, since: str | None) -> AsyncGenerator[Row, None]:
        """The rows of one connection, as long as they are read fast enough; then ``NoVerdict``: begin again."""
        connection = await self._channel.connected()
        fields = {**self._fields, **({} if since is None else {"since": since})}
        rows = asyncio.Queue[Row](ROWS_MAX)
        try:
            await self._channel.answered(envelope(SUBSCRIBE, fields), connection, rows)
            while connection.rows is rows or not rows.empty():
                row = rows.get_nowait() if not rows.empty() else await self._next(connection, rows)
                yield row
            raise NoVerdict("the rows came faster than they were read", pause_s=0.0)
        finally:
            connection.unsubscribe()

    async def _next(self, connection: Connection, rows: asyncio.Queue[Row]) -> Row:
        """The next row. Raises ``NoVerdict`` when the line is cut before."""
        getting = asyncio.ensure_future(rows.get())
        try:
            await asyncio.wait((getting, connection.ended), return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
            raise NoVerdict(str(connection.ended.result()))
        finally:
            getting.cancel()
