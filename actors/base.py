"""The base of every actor: batched mailbox, dead on the first unexpected exception, nothing queued forgotten."""

from __future__ import annotations

import queue
from types import TracebackType
from typing import Any, ClassVar

import pykka
import structlog
from pykka._actor import ActorInbox
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from actors.messages import Ref

log = structlog.get_logger()


class FailStopActor(pykka.ThreadingActor):
    """An actor that takes all that is queued as one batch and dies on the first unexpected exception.

    pykka lets an actor live on, half-changed, after ``ask`` raises, and kills it after ``tell`` raises. Only the second
    is safe for state, so every message comes by ``tell``. A message is a value or a list of values; ``handle`` gets one
    flat list. When it raises, ``on_death`` gets the reason and what was queued behind.
    """

    use_daemon_thread: ClassVar[bool] = True

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
        self.handle(batch)

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Called by pykka in the dying actor's thread."""
        reason = exception_type.__name__ if exception_type else "unknown"
        self.on_death(reason, drain(self.actor_ref))
        log.error("actor.died", actor=type(self).__name__, error=repr(exception_value), exc_info=exception_value)

    def _actor_loop_teardown(self) -> None:
        """Answer who waits for the stop, and leave the rest where it is.

        pykka would throw away what arrives between the death and this: a sender that saw the actor alive a moment ago.
        The supervisor drains the inbox once nobody sends any more.
        """
        for message in _take(self.actor_ref):
            self.actor_inbox.put(message)


def drain(ref: Ref) -> list[Any]:
    """Take what is queued at an actor that is dead: its messages, in order, flattened."""
    left: list[Any] = []
    for envelope in _take(ref):
        _extend(left, envelope.message)
    return left


def _take(ref: Ref) -> list[Envelope[Any]]:
    """Empty a dead actor's inbox. Whoever asked it to stop is told that it has."""
    taken: list[Envelope[Any]] = []
    while not ref.actor_inbox.empty():
        envelope = ref.actor_inbox.get()
        if not isinstance(envelope.message, _ActorStop):
            taken.append(envelope)
        elif envelope.reply_to is not None:
            envelope.reply_to.set(None)
    return taken


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
