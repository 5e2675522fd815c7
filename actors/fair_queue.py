"""Commands on their way to the core: each payer's wait in a line of their own, and the lines take turns."""

from __future__ import annotations

from collections import deque

from actors.messages import Envelope, Token


class _Line:
    """One payer's commands: those that wait, and how many are in the core."""

    __slots__ = ("in_core", "is_ready", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Envelope] = deque()
        self.in_core = 0
        self.is_ready = False
        """It is in the round: it has a command waiting and may have one more in the core."""


class FairQueue:
    """Lets ``at_once`` commands into the core, ``each`` of one payer: one of each payer in turn.

    So a payer with a thousand commands has ``each`` in front of another payer's next one, not a thousand.
    """

    def __init__(self, at_once: int, each: int) -> None:
        self._at_once, self._each = at_once, each
        self._lines: dict[str, _Line] = {}
        self._round: deque[str] = deque()
        self._in_core: dict[Token, str] = {}

    def add(self, payer: str, envelope: Envelope) -> None:
        """One more command waits."""
        line = self._lines.get(payer)
        if line is None:
            line = self._lines[payer] = _Line()
        line.waiting.append(envelope)
        self._join_round(payer, line)

    @property
    def has_ready(self) -> bool:
        """Whether a command waits that may go to the core."""
        return bool(self._round) and len(self._in_core) < self._at_once

    def take(self) -> list[Envelope]:
        """Those that may go to the core now. They are in it until ``ended``."""
        taken: list[Envelope] = []
        while self.has_ready:
            payer = self._round.popleft()
            line = self._lines[payer]
            line.is_ready = False
            if line.waiting:
                envelope = line.waiting.popleft()
                line.in_core += 1
                self._in_core[envelope.token] = payer
                taken.append(envelope)
            self._join_round(payer, line)
        return taken

    def ended(self, token: Token) -> None:
        """A command has left the core, or is given up there. Nothing happens if it was not in it."""
        payer = self._in_core.pop(token, None)
        if payer is not None:
            line = self._lines[payer]
            line.in_core -= 1
            self._join_round(payer, line)

    def give_up(self, payer: str, token: Token) -> bool:
        """Whether a command still waits here; it does no more."""
        line = self._lines.get(payer)
        if line is None or token in self._in_core:
            return False
        for envelope in line.waiting:
            if envelope.token == token:
                line.waiting.remove(envelope)
                self._join_round(payer, line)
                return True
        return False

    def _join_round(self, payer: str, line: _Line) -> None:
        if line.is_ready:
            return
        if line.waiting:
            if line.in_core < self._each:
                line.is_ready = True
                self._round.append(payer)
        elif not line.in_core:
            del self._lines[payer]
