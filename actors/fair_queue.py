"""Commands on their way to the core: each payer's wait in a line of their own, and the lines take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableSequence

from actors.messages import Envelope, Token


class FairQueue:
    """Lets ``at_once`` commands into the core, ``each`` of one payer: one of each payer in turn.

    So a payer with a thousand commands has ``each`` in front of another payer's next one, not a thousand.
    """

    def __init__(self, at_once: int, each: int) -> None:
        self._at_once, self._each = at_once, each
        self._first: list[Envelope] = []
        """Go with the next ``take``, and count as being in the core: commands of payers who have no other, while there
        is room for everybody. Most commands are such, and need no line."""
        self._lines: dict[str, deque[Envelope]] = {}
        """By payer, the commands that wait."""
        self._round: deque[str] = deque()
        """Payers who have a command waiting and may have one more in the core, each once."""
        self._ready: dict[str, bool] = {}
        """Those in the round; whether they had none in the core when they came into it."""
        self._new = 0
        """How many of those had none: there must be room for one of each before anybody is let past the round."""
        self._in_core: dict[Token, str] = {}
        self._of_payer: dict[str, int] = {}
        """How many each payer has in the core."""

    def add(self, payer: str, envelope: Envelope) -> None:
        """One more command waits."""
        line = self._lines.get(payer)
        if line is None:
            if payer not in self._of_payer and len(self._in_core) + self._new < self._at_once:
                self._in_core[envelope.token] = payer
                self._of_payer[payer] = 1
                self._first.append(envelope)
                return
            line = self._lines[payer] = deque()
        line.append(envelope)
        self._join_round(payer)

    @property
    def has_ready(self) -> bool:
        """Whether a command waits that may go to the core."""
        return bool(self._first) or self._has_turn

    @property
    def is_idle(self) -> bool:
        """Whether no command waits or is in the core."""
        return not self._in_core and not self._lines

    @property
    def _has_turn(self) -> bool:
        return bool(self._round) and len(self._in_core) < self._at_once

    def take(self) -> list[Envelope]:
        """Those that may go to the core now. They are in it until ``ended``."""
        taken, self._first = self._first, []
        while self._has_turn:
            payer = self._round.popleft()
            self._new -= self._ready.pop(payer)
            line = self._lines.get(payer)
            if line is None:
                continue  # it has been given up
            envelope = line.popleft()
            if not line:
                del self._lines[payer]
            self._in_core[envelope.token] = payer
            self._of_payer[payer] = self._of_payer.get(payer, 0) + 1
            taken.append(envelope)
            self._join_round(payer)
        return taken

    def ended(self, token: Token) -> bool:
        """A command has left the core, or is given up there. Nothing happens if it was not in it; whether it was."""
        payer = self._in_core.pop(token, None)
        if payer is None:
            return False
        left = self._of_payer[payer] - 1
        if left:
            self._of_payer[payer] = left
        else:
            del self._of_payer[payer]
        self._join_round(payer)
        return True

    def give_up(self, payer: str, token: Token) -> bool:
        """Whether a command still waits here; it does no more."""
        line: MutableSequence[Envelope] | None = self._first if token in self._in_core else self._lines.get(payer)
        if line is None:
            return False
        for envelope in line:
            if envelope.token == token:
                line.remove(envelope)
                break
        else:
            return False
        if line is self._first:
            self.ended(token)
        elif not line:
            del self._lines[payer]
        return True

    def _join_round(self, payer: str) -> None:
        in_core = self._of_payer.get(payer, 0)
        if payer in self._lines and payer not in self._ready and in_core < self._each:
            self._ready[payer] = is_new = not in_core
            self._new += is_new
            self._round.append(payer)
