"""The one bridge between asyncio and the actors.

``await pykka_future`` and ``ref.ask().get()`` block the event loop; here nothing does. Commands of one payer for one
market wait in a line of their own, and the lines take turns. Those that may go leave as one ``tell``; rows and answers
come back as one ``call_soon_threadsafe`` per batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from actors.base import tell
from actors.clock import VenueClock
from actors.limits import DEADLINE_MS, IN_CORE_EACH, IN_CORE_MAX, IN_CORE_PARTS, IN_FLIGHT_MAX, IN_FLIGHT_PARTS
from actors.messages import (
    Envelope,
    Failure,
    FailureKind,
    ImageTaken,
    Outcome,
    Ref,
    Reply,
    Settled,
    TakeImage,
    Token,
    VenueImage,
)
from actors.shares import Shares
from actors.turns import Turns
from actors.unfinished import Unfinished
from perps.commands import Command
from perps.fingerprints import fingerprint
from perps.snapshot.images import LedgerImage, MarketImage
from perps.units import Millis

log = structlog.get_logger()

EXPIRY_CHECK_S = 0.25

CORE = "core"
"""The part of the venue that is not a market, in reports of health."""

NOT_BEGUN = Failure(FailureKind.OVERLOADED, "the command waited past its deadline")
NO_ANSWER = Failure(FailureKind.OUTCOME_UNKNOWN, "no answer before the deadline")

OnSettled = Callable[[Sequence[Settled]], None]
OnHealth = Callable[[str, str | None], None]
"""(a ticker or ``CORE``, the problem or None)."""


class Outlet:
    """One core's way out: the actors' ``Outbox``. Called from their threads; everything happens on the loop.

    When another core has taken its place, what it says of itself no longer counts. Rows it made durable always do.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def settled(self, rows: list[Settled]) -> None:
        """Publish durable rows and answer their callers."""
        self._bridge.call(self._bridge.deliver, rows)

    def replies(self, replies: list[Reply]) -> None:
        """Answer callers."""
        self._bridge.call(self._bridge.answer, replies)

    def image(self, taken: ImageTaken) -> None:
        """Add to the image somebody waits for."""
        self._bridge.call(self._bridge.gather, taken)

    def market_health(self, ticker: str, problem: str | None) -> None:
        """A market's health changed."""
        self._bridge.call(self._bridge.market_health, self, ticker, problem)

    def core_failed(self, reason: str) -> None:
        """The core is gone."""
        self._bridge.call(self._bridge.core_failed, self, reason)


class Bridge:
    """Sends commands in and brings rows and answers out, on one event loop.

    ``on_settled`` takes every durable row, in order, before its caller is answered:
    whoever got an answer can read what it says.
    """

    def __init__(
        self, clock: VenueClock, *, on_settled: OnSettled, on_health: OnHealth, in_flight_max: int = IN_FLIGHT_MAX
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._on_settled, self._on_health = on_settled, on_health
        self._in_flight_max = in_flight_max
        self._shares = Shares(max(1, in_flight_max // IN_FLIGHT_PARTS))
        self._payers: dict[Token, str] = {}
        self._supervisor: Ref | None = None
        self._outlet: Outlet | None = None
        self._closed: Failure | None = Failure(FailureKind.UNAVAILABLE, "the venue is starting")
        self._waiting: dict[Token, asyncio.Future[Any]] = {}
        self._unfinished = Unfinished()
        self._emptied = asyncio.Event()
        self._images: dict[Token, list[ImageTaken]] = {}
        self._deadlines: deque[tuple[int, Token]] = deque()
        self._outgoing = Turns(IN_CORE_MAX, IN_CORE_EACH, IN_CORE_PARTS)
        self._is_flushing = False
        self._next_token = 0
        self.failed = asyncio.Event()
        """Set while the core has stopped by itself."""
        self._expiry = self._loop.call_later(EXPIRY_CHECK_S, self._expire)

    def outlet(self) -> Outlet:
        """The way out for a new core; the one before counts no more."""
        self._outlet = Outlet(self)
        return self._outlet

    def attach(self, supervisor: Ref) -> None:
        """Open the doors: commands go to this supervisor from now on."""
        self._supervisor = supervisor
        self._closed = None
        self.failed.clear()

    def detach(self, failure: Failure) -> None:
        """Close the doors: new commands get ``failure`` at once. What is in flight goes on."""
        self._closed = failure

    @property
    def in_flight(self) -> int:
        """Commands sent and not answered."""
        return len(self._waiting)

    async def drained(self) -> None:
        """Wait until nothing is in flight. Commands end by themselves, at the latest at their deadline."""
        while self._waiting:
            self._emptied.clear()
            await self._emptied.wait()

    async def send(
        self,
        command: Command,
        *,
        sender: str,
        client_order_id: str | None,
        fresh: bool,
        trace_id: str,
        payer: str | None = None,
    ) -> Outcome:
        """Send one command and wait for its end. Cancelling stops the waiting, not the command.

        It counts as one that ``payer`` has in flight; None: the sender, whose client order ids it lives under.
        """
        if self._closed is not None:
            return self._closed
        if len(self._waiting) >= self._in_flight_max:
            return Failure(FailureKind.OVERLOADED, f"{self._in_flight_max} commands are in progress")
        payer = payer or sender
        if not self._shares.take(payer):
            return Failure(FailureKind.RATE_LIMITED, f"{self._shares.each} commands of this sender are in progress")
        token, future = self._wait()
        self._payers[token] = payer
        now_ms, ahead_ms = self._clock.reading()
        envelope = Envelope(
            command=command,
            token=token,
            trace_id=trace_id,
            sender=sender,
            client_order_id=client_order_id,
            fresh=fresh,
            fingerprint=fingerprint(command),
            now_ms=now_ms,
            deadline_ms=Millis(now_ms + DEADLINE_MS),
            ahead_ms=ahead_ms,
        )
        self._outgoing.add(payer, envelope)
        self._flush_soon()
        outcome: Outcome = await future
        return outcome

    async def image(self) -> VenueImage | Failure:
        """What the actors hold in memory, each at a row of its own. One at a time."""
        if self._closed is not None or self._supervisor is None:
            return self._closed or Failure(FailureKind.UNAVAILABLE, "the venue is being rebuilt")
        if self._images:
            return Failure(FailureKind.OVERLOADED, "the state is already being read for another request")
        token, future = self._wait()
        self._images[token] = []
        try:
            tell(self._supervisor, TakeImage(token))
            outcome: VenueImage | Failure = await future
        finally:
            del self._images[token]
            self._waiting.pop(token, None)
            if not self._waiting:
                self._emptied.set()
        return outcome

    def gather(self, taken: ImageTaken) -> None:
        """One more part of an image; the last one completes it."""
        parts = self._images.get(taken.token)
        if parts is None:
            return
        parts.append(taken)
        ledger = parts[0].image
        if len(parts) == parts[0].of and isinstance(ledger, LedgerImage):
            markets = [part.image for part in parts if isinstance(part.image, MarketImage)]
            self.answer([(taken.token, VenueImage(ledger, markets))])

    def _wait(self) -> tuple[Token, asyncio.Future[Any]]:
        """A token, and the future that its answer or its deadline completes."""
        self._next_token = token = self._next_token + 1
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting[token] = future
        self._deadlines.append((self._clock.monotonic_ns() + DEADLINE_MS * 1_000_000, token))
        return token, future

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send what may go: the commands of this turn of the loop, and those that the last answers made room for."""
        self._is_flushing = False
        outgoing = self._outgoing.take()
        if not outgoing:
            return
        if self._supervisor is None or not tell(self._supervisor, outgoing):
            gone = Failure(FailureKind.UNAVAILABLE, "the venue is being rebuilt")
            self.answer([(envelope.token, gone) for envelope in outgoing])

    def market_health(self, outlet: Outlet, ticker: str, problem: str | None) -> None:
        """A market of the present core is well, or is not."""
        if outlet is self._outlet:
            self._on_health(ticker, problem)

    def core_failed(self, outlet: Outlet, reason: str) -> None:
        """The core died. What was in it is in doubt: the same client id, sent again later, tells."""
        if outlet is not self._outlet or self.failed.is_set():
            return
        in_flight = len(self._waiting)
        self._closed = Failure(FailureKind.UNAVAILABLE, "the venue is being rebuilt")
        self._supervisor = None
        self.failed.set()
        self._on_health(CORE, f"being rebuilt: {reason}")
        unknown = Failure(FailureKind.OUTCOME_UNKNOWN, reason)
        closed = self._closed
        self.answer(
            [
                (token, closed if self._outgoing.give_up(token) else self._so_far(token, unknown))
                for token in self._waiting
            ]
        )
        log.error("core.failed", reason=reason, in_flight=in_flight)

    def close(self) -> None:
        """Stop the expiry timer. Nobody may wait any more."""
        self._expiry.cancel()

    def deliver(self, rows: list[Settled]) -> None:
        """Publish durable rows, then answer who waits for them and for nothing behind them."""
        self._on_settled(rows)
        self.answer([(row.token, row) for row in self._unfinished.ended(rows)])

    def answer(self, replies: Sequence[Reply]) -> None:
        """Answer callers that still wait."""
        for token, outcome in replies:
            future, payer = self._waiting.pop(token, None), self._payers.pop(token, None)
            if payer is not None:
                self._outgoing.ended(token)
                self._shares.give(payer)
            if future is not None and not future.done():
                future.set_result(outcome)
        if self._outgoing.has_ready:
            self._flush_soon()
        if not self._waiting:
            self._emptied.set()

    def _expire(self) -> None:
        """Answer callers whose deadline has passed: the command may still be done."""
        now_ns = self._clock.monotonic_ns()
        late: list[Reply] = []
        deadlines = self._deadlines
        while deadlines and (deadlines[0][1] not in self._waiting or deadlines[0][0] <= now_ns):
            _, token = deadlines.popleft()
            if token in self._waiting:
                late.append((token, NOT_BEGUN if self._outgoing.give_up(token) else self._so_far(token, NO_ANSWER)))
        self.answer(late)
        self._expiry = self._loop.call_later(EXPIRY_CHECK_S, self._expire)

    def _so_far(self, token: Token, unknown: Failure) -> Outcome:
        """A command whose row is durable was done, though not all that it leads to is."""
        return self._unfinished.so_far(token) or unknown

    def call(self, function: Callable[..., None], *args: object) -> None:
        """Run something on the loop, from any thread."""
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            log.warning("bridge.loop_closed", function=function.__name__)
