"""Commands on their way to the core: a market that does not get on keeps only its own commands waiting."""

from __future__ import annotations

from actors.fair_queue import FairQueue
from actors.messages import Envelope, Token
from perps.journal import LEDGER_STREAM


class Turns:
    """Two fair queues, one behind the other: that of the command's stream (a market, or the ledger), and one for all.

    Of one stream, one part in ``parts`` of ``at_once`` commands are let into the core, and ``each`` of one payer. A
    payer has ``parts`` times ``each`` there in all. So a payer's commands for one stream stay in their order, and those
    for a stream whose places are taken are not in front of those for another.
    """

    def __init__(self, at_once: int, each: int, parts: int) -> None:
        self._at_once, self._each = at_once // parts, each
        self._streams: dict[str, FairQueue] = {}
        """By stream with a command here or in the core, the queue that its commands pass first. What has passed counts
        as being in the core there, also while it waits in the one for all."""
        self._all = FairQueue(at_once, each * parts)
        self._origins: dict[Token, tuple[str, str]] = {}
        """Payer and stream of each command that waits here or is in the core."""

    def add(self, payer: str, envelope: Envelope) -> None:
        """One more command waits."""
        stream = getattr(envelope.command, "ticker", LEDGER_STREAM)
        self._origins[envelope.token] = payer, stream
        queue = self._streams.get(stream)
        if queue is None:
            queue = self._streams[stream] = FairQueue(self._at_once, self._each)
        queue.add(payer, envelope)
        self._pass_on(queue)

    @property
    def has_ready(self) -> bool:
        """Whether a command waits that may go to the core."""
        return self._all.has_ready

    def take(self) -> list[Envelope]:
        """Those that may go to the core now. They are in it until ``ended``."""
        return self._all.take()

    def ended(self, token: Token) -> None:
        """A command has left the core, or is given up there. Nothing happens if it was not in it."""
        if self._all.ended(token):
            _, stream = self._origins.pop(token)
            self._left(stream, token)

    def give_up(self, token: Token) -> bool:
        """Whether a command still waits here; it does no more."""
        payer, stream = self._origins.get(token, ("", ""))
        queue = self._streams.get(stream)
        if queue is None or not (queue.give_up(payer, token) or self._all.give_up(payer, token)):
            return False
        del self._origins[token]
        self._left(stream, token)
        return True

    def _left(self, stream: str, token: Token) -> None:
        """A command's place in its stream is free, if it had one."""
        queue = self._streams[stream]
        queue.ended(token)
        self._pass_on(queue)
        if queue.is_idle:
            del self._streams[stream]

    def _pass_on(self, queue: FairQueue) -> None:
        """Let into the queue for all what there is room for in the stream's."""
        for envelope in queue.take():
            self._all.add(self._origins[envelope.token][0], envelope)
