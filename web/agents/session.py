"""One agent on its channel: what is carried out when, what is answered together, and what the agent follows.

Commands of a frame begin in its order and run beside each other, so they leave for the core as one batch; the core
decides those of one market in that order. Reads and subscriptions run one after the other, each when the agent has
taken what was written before: an agent that reads slowly waits for itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Final, NamedTuple, Protocol

import structlog
from aiohttp import WSCloseCode
from msgspec import Raw

from perps.journal import JournalUnavailable
from perps.wire.agents import IN_FLIGHT_MAX, SUBSCRIBE, UNSUBSCRIBE, Envelope, Hello, Subscribed, Unsubscribed
from perps.wire.base import Answer
from web.agents.frames import JsonFrames, PackedFrames, Replied
from web.agents.line import Line
from web.agents.turns import Turns
from web.streams.hub import Hub
from web.streams.resume_turns import Turn
from web.streams.subscribers import Subscriber

AT_ONCE: Final = 8
"""Envelopes of a frame that begin together. Then it is another payer's turn, if one waits."""

STOPPING: Final = (WSCloseCode.GOING_AWAY, "The venue is stopping. Come back in 1 s.")

log = structlog.get_logger()


class Following(NamedTuple):
    """What an agent asks to follow."""

    subscriber: Subscriber
    since: str | None
    turn: Turn


class Desk(Protocol):
    """Who carries envelopes out, in the name of one agent. Nothing raises."""

    def is_read(self, kind: str) -> bool:
        """Whether a kind of envelope only looks."""
        ...

    @property
    def payer(self) -> str:
        """Whose turns it takes."""
        ...

    async def answer(self, envelope: Envelope) -> Replied:
        """Carry an envelope out."""
        ...

    async def hold_back(self) -> None:
        """Wait, if more was refused for its number than the agent may be told in a second."""
        ...

    def following(self, envelope: Envelope) -> Following | Replied:
        """What an envelope asks to follow, or why it may not."""
        ...

    def over_the_limit(self, envelope: Envelope) -> Replied:
        """The refusal of an envelope that is one too many."""
        ...

    @property
    def offset(self) -> int:
        """The last durable row."""
        ...


Close = Callable[[int, str], Awaitable[object]]
"""Closes the WebSocket: (code, reason)."""


class Session:
    """One agent's channel, from its first frame to its end. On one event loop."""

    def __init__(
        self, desk: Desk, hub: Hub, line: Line, form: JsonFrames | PackedFrames, close: Close, turns: Turns
    ) -> None:
        self._desk, self._hub, self._line, self._form, self._close = desk, hub, line, form, close
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._begun = 0
        self._under_way: dict[int, asyncio.Task[None]] = {}
        """Envelopes that run beside each other, and the line of those that run one after the other, while there is one.
        By their number; each takes itself out: a callback for each would cost a turn of the loop."""
        self._in_flight = 0
        self._in_turn: deque[Envelope] = deque()
        """Envelopes that run one after the other."""
        self._answers: list[Replied] = []
        """Go with the next frame."""
        self._follower: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[object] | None = None

    def greet(self, hello: Hello) -> None:
        """The first frame."""
        self.tell("hello", hello)

    def tell(self, name: str, data: Answer) -> None:
        """Push an event that is no row's."""
        self._line.send(self._form.row([self._form.block([self._form.event(name, data)])], None))

    async def take(self, raw: bytes) -> None:
        """Begin with what a frame asks for. Raises ``FrameError``; ``ConnectionError`` when the agent does not read."""
        payer = self._desk.payer
        await self._turns.take(payer, 1)
        envelopes = self._form.envelopes(raw)
        for first in range(0, len(envelopes), AT_ONCE):
            together = envelopes[first : first + AT_ONCE]
            await self._turns.take(payer, len(together))
            for envelope in together:
                self._begin(envelope)
        await self._line.drained()
        await self._desk.hold_back()

    def _begin(self, envelope: Envelope) -> None:
        if self._in_flight >= IN_FLIGHT_MAX:
            self._answer(self._desk.over_the_limit(envelope))
            return
        self._in_flight += 1
        self._begun = number = self._begun + 1
        if self._desk.is_read(envelope.kind):
            self._in_turn.append(envelope)
            if len(self._in_turn) > 1:
                return
            work = self._one_after_the_other(number)
        else:
            work = self._one(number, envelope)
        self._under_way[number] = self._loop.create_task(work)

    async def _one(self, number: int, envelope: Envelope) -> None:
        replied = await self._desk.answer(envelope)
        del self._under_way[number]
        self._in_flight -= 1
        self._answer(replied)
        if not self._in_flight:
            self._flush()  # nothing else can come with it, so it need not wait for the next turn

    async def _one_after_the_other(self, number: int) -> None:
        try:
            while self._in_turn:
                envelope = self._in_turn[0]
                if envelope.kind == SUBSCRIBE:
                    await self._subscribe(envelope)
                elif envelope.kind == UNSUBSCRIBE:
                    await self._unsubscribe(envelope)
                else:
                    self._answer(await self._desk.answer(envelope))
                if not self._in_turn:
                    break  # the channel has ended meanwhile
                self._in_turn.popleft()
                self._in_flight -= 1
                await asyncio.sleep(0)
                await self._turns.take(self._desk.payer, 1)
                await self._line.drained()
        except ConnectionError:
            self._in_turn.clear()  # the agent has left, or has been cut off
        del self._under_way[number]

    def _answer(self, replied: Replied) -> None:
        if not self._answers:
            self._loop.call_soon(self._flush)
        self._answers.append(replied)

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        if not answers:
            return
        try:
            frame = self._form.answers(answers)
        except Exception as error:
            log.exception("agents.not_encoded", answers=len(answers), error=repr(error))
            self.end(
                WSCloseCode.INTERNAL_ERROR,
                "The venue failed to write an answer. Come back, and send again what has none.",
            )
            return
        self._line.send(frame)

    async def _subscribe(self, envelope: Envelope) -> None:
        found = self._desk.following(envelope)
        if isinstance(found, Replied):
            self._answer(found)
            return
        await self._stop_following()
        self._answer(Replied(envelope.id, 200, Subscribed(offset=self._desk.offset)))
        self._flush()  # before its first event
        self._follower = asyncio.create_task(self._follow(found))

    async def _unsubscribe(self, envelope: Envelope) -> None:
        await self._stop_following()
        self._answer(Replied(envelope.id, 200, Unsubscribed(offset=self._desk.offset)))

    async def _follow(self, found: Following) -> None:
        subscriber = found.subscriber
        subscriber.write, subscriber.abort = self._line.put, self._line.abort
        try:
            async with aclosing(self._hub.follow(subscriber, found.since, found.turn)) as blocks:
                async for block in blocks:
                    await self._line.write(block)
        except ConnectionError:
            return  # the agent has left, or has been cut off
        except JournalUnavailable as error:
            log.warning("agents.events_ended", error=str(error))
        if self._hub.closing:
            self.end(*STOPPING)
        else:
            self.end(WSCloseCode.TRY_AGAIN_LATER, "The venue cannot send events now. Come back in 1 s.")

    async def _stop_following(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.cancel()
            await asyncio.wait((follower,))

    def end(self, code: int, reason: str) -> None:
        """Close the channel. What is under way goes on until it is closed."""
        if self._closing is None:
            self._flush()
            self._closing = asyncio.ensure_future(self._close(code, reason))

    async def left(self, *, is_patient: bool) -> None:
        """The channel has ended: nothing is answered any more. ``is_patient``: wait for what is under way."""
        self._in_turn.clear()
        if not is_patient:
            for task in self._under_way.values():
                task.cancel()
        await self._stop_following()
        if self._under_way:
            await asyncio.wait(tuple(self._under_way.values()))


class Sessions:
    """All channels of a venue, and what goes on behind those that have ended."""

    def __init__(self) -> None:
        self._open: set[Session] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._beginning = 0
        self.closing = False
        self.turns = Turns()
        self.kept: dict[str, tuple[object, Raw]] = {}
        """Answers that are the same for all, by subprotocol and operation, with what they depend on."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def ending(self) -> int:
        """Channels that have ended, and for which something must still be done."""
        return len(self._endings)

    @contextmanager
    def place(self, most: int) -> Iterator[bool]:
        """While a channel begins, it counts as one; False if there are so many already, or the venue stops."""
        if self.closing or len(self._open) + self._beginning >= most:
            yield False
            return
        self._beginning += 1
        try:
            yield True
        finally:
            self._beginning -= 1

    def add(self, session: Session) -> None:
        """One more. It ends at once if the venue has begun to stop while the channel began."""
        self._open.add(session)
        if self.closing:
            session.end(*STOPPING)

    def remove(self, session: Session, ending: Awaitable[None]) -> asyncio.Task[None]:
        """One less; ``ending`` is what must still be done, whoever is cancelled meanwhile."""
        self._open.discard(session)
        task: asyncio.Task[None] = asyncio.ensure_future(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def close(self) -> None:
        """End all: the venue stops."""
        self.closing = True
        for session in tuple(self._open):
            session.end(*STOPPING)
        if self._endings:
            await asyncio.wait(tuple(self._endings))
