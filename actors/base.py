"""The base of every actor: batched mailbox, dead on the first unexpected exception, nothing queued forgotten."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Any, ClassVar

import pykka
import structlog
from pykka._actor import ActorInbox
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from actors.messages import Ref
from actors.vitals import Pulse
from perps.journal import JournalRefused, JournalUnavailable, OwnershipLost

log = structlog.get_logger()


class Interrupted(Exception):
    """Something that is no ``Exception`` came out of a batch. Its cause says what."""


class FailStopActor(pykka.ThreadingActor):
    """An actor that takes all that is queued as one batch and dies on the first unexpected exception.

    pykka lets an actor live on, half-changed, after ``ask`` raises, and kills it after ``tell`` raises. Only the second
    is safe for state, so every message comes by ``tell``. A message is a value or a list of values; ``handle`` gets one
    flat list. When it raises, ``on_death`` gets the reason and what was queued behind; also ``SystemExit`` and its
    kind, with which pykka would stop every actor of the process. No end of the thread goes unnoticed (``vitals``).
    """

    use_daemon_thread: ClassVar[bool] = True

    def __init__(self, *, pulse: Pulse | None = None) -> None:
        super().__init__()
        self.pulse = pulse or Pulse(type(self).__name__)

    @staticmethod
    def _create_actor_inbox() -> ActorInbox:
        return queue.SimpleQueue()

    def handle(self, batch: list[Any]) -> None:
        """Do all of ``batch``, in order."""
        raise NotImplementedError

    def on_death(self, reason: str, queued: list[Any]) -> None:
        """Say that this actor is gone. ``reason`` names the exception, without what it carries: it is shown outside.

        ``queued`` are the messages behind the batch that killed it.
        """
        raise NotImplementedError

    def on_receive(self, message: Any) -> None:
        """Flatten what is queued into one batch, up to a stop request, and handle it."""
        batch: list[Any] = []
        _extend(batch, message)
        inbox = self.actor_inbox
        for _ in range(inbox.qsize()):  # type: ignore[attr-defined]
            envelope = inbox.get()
            if isinstance(envelope.message, _ActorStop):
                inbox.put(envelope)
                break
            _extend(batch, envelope.message)
        pulse = self.pulse
        pulse.turn += 1
        try:
            self.handle(batch)
        except Exception:
            raise
        except BaseException as error:
            raise Interrupted(repr(error)) from error
        pulse.turn += 1

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Called by pykka in the dying actor's thread."""
        error = exception_value
        if isinstance(error, Interrupted):
            error = error.__cause__
        self.pulse.died(error)
        try:
            self.on_death(type(error).__name__, drain(self.actor_ref))
        except BaseException as untold:
            log.error("actor.died_untold", actor=type(self).__name__, error=repr(untold), exc_info=untold)
            self.pulse.lost()
        log.error("actor.died", actor=type(self).__name__, error=repr(error), exc_info=_told(error))
        log.debug("actor.died_at", actor=type(self).__name__, exc_info=error)
        _forget_frames(exception_value)

    def _start_actor_loop(self) -> None:
        """Pykka's, in a thread whose every end is told."""
        name = self.pulse.ticker or self.pulse.part
        thread = threading.Thread(target=self._live, name=name, daemon=self.use_daemon_thread)
        thread.start()
        self.pulse.thread = thread  # not before: a thread that has not begun looks like one that is gone

    def _live(self) -> None:
        try:
            self._actor_loop()
        except BaseException as error:  # noqa: BLE001 - between two batches, where pykka catches nothing
            self._handle_failure(type(error), error, error.__traceback__)
            self.on_failure(type(error), error, error.__traceback__)
            self._actor_loop_teardown()
            self.pulse.lost()  # and with it what it had just taken in hand: only a new core knows what became of that
        self.pulse.ended()

    def _stop(self) -> None:
        """Stop because somebody asked for it; ``on_stop`` may fail in any way."""
        try:
            super()._stop()
        except BaseException as error:
            log.error("actor.stop_failed", actor=type(self).__name__, error=repr(error), exc_info=error)
        self.pulse.stopped()

    def _actor_loop_teardown(self) -> None:
        """Leave what is queued where it is.

        pykka would throw away what arrives between the death and this: a sender that saw the actor alive a moment ago.
        The supervisor drains the inbox once nobody sends any more, and nobody but him: two who look through it at once
        lose what one of them has in hand. (Who asked to stop what was just dying gets no answer; see ``has_stopped``.)
        """


def _told(error: BaseException | None) -> BaseException | None:
    """The exception whose traceback belongs into the log: a bug's; an outage of the store is one line."""
    outage = isinstance(error, (JournalUnavailable, OwnershipLost)) and not isinstance(error, JournalRefused)
    return None if outage else error


def _forget_frames(error: BaseException | None) -> None:
    """An exception outlives its actor (``Vitals.cause``); the frames it came through must not keep the actor alive."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def drain(ref: Ref) -> list[Any]:
    """Take what is queued at an actor that is dead: its messages, in order, flattened."""
    left: list[Any] = []
    for envelope in _take(ref):
        _extend(left, envelope.message)
    return left


def _take(ref: Ref) -> list[Envelope[Any]]:
    """Empty a dead actor's inbox. Whoever asked it to stop is told that it has."""
    taken: list[Envelope[Any]] = []
    while True:
        try:
            envelope = ref.actor_inbox.get_nowait()  # type: ignore[attr-defined]
        except queue.Empty:
            return taken
        if not isinstance(envelope.message, _ActorStop):
            taken.append(envelope)
        elif envelope.reply_to is not None:
            envelope.reply_to.set(None)


def _extend(batch: list[Any], message: Any) -> None:
    if isinstance(message, list):
        batch.extend(message)
    else:
        batch.append(message)


def tell(ref: Ref, message: Any) -> bool:
    """``ref.tell``, with a dead actor as an answer: False, and nothing was delivered."""
    try:
        ref.tell(message)
    except pykka.ActorDeadError:
        return False
    return True
