"""The look-up actor: asks the journal about client ids that memory has forgotten, without holding up anybody else."""

from __future__ import annotations

from typing import Any

from actors.base import FailStopActor, tell
from actors.limits import DEADLINE_MS
from actors.messages import Envelope, LookedUp, Wire
from actors.ports import History, JournalUnavailable, Outbox
from actors.vitals import Pulse


class LookUpActor(FailStopActor):
    """One query per batch of envelopes; the answers go back to the supervisor.

    It alone uses its way to ask, and ends it with itself.
    """

    def __init__(self, history: History, *, outbox: Outbox, pulse: Pulse | None = None) -> None:
        super().__init__(pulse=pulse)
        self._look_ups, self._outbox = history.look_ups(DEADLINE_MS / 1000), outbox
        self._wire: Wire | None = None

    def handle(self, batch: list[Any]) -> None:
        """Answer every envelope of ``batch``. A store that does not answer is a failure of the command, not of this."""
        envelopes: list[Envelope] = []
        for message in batch:
            if isinstance(message, Wire):
                self._wire = message
            else:
                envelopes.append(message)
        if not envelopes or self._wire is None:
            return
        keys = [(envelope.sender, envelope.client_order_id or "") for envelope in envelopes]
        try:
            found = self._look_ups.answers(keys)
        except JournalUnavailable as error:
            answers = [LookedUp(envelope, failure=str(error)) for envelope in envelopes]
        else:
            answers = [LookedUp(envelope, found.get(key)) for envelope, key in zip(envelopes, keys, strict=True)]
        tell(self._wire.supervisor, answers)

    def on_death(self, reason: str, queued: list[Any]) -> None:
        """Commands would wait for an answer that never comes: rebuild."""
        self._outbox.core_failed(f"the look-up died: {reason}")
        self._look_ups.close()

    def on_stop(self) -> None:
        """Nobody asks any more."""
        self._look_ups.close()
