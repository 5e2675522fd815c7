"""Commands whose consequences fill further rows: the answer waits for the last of them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from actors.messages import NO_TOKEN, Settled, Token
from perps.commands import SWEEP


class Unfinished:
    """What is durable of commands that go on in further rows, by stream. One stream has one at a time."""

    def __init__(self) -> None:
        self._begun: dict[str, Settled] = {}

    def ended(self, rows: Sequence[Settled]) -> list[Settled]:
        """Those whose callers get their answer now that ``rows`` are durable: each command's own row.

        Its ``liquidations`` are those of its further rows, too.
        """
        ended: list[Settled] = []
        for settled in rows:
            begun = self._begun.pop(settled.entry.row.stream, None) if self._begun else None
            if begun is not None:
                if settled.entry.row.kind == SWEEP:
                    settled = _and(begun, settled)
                else:
                    ended.append(begun)
            if settled.token != NO_TOKEN:
                if settled.goes_on:
                    self._begun[settled.entry.row.stream] = settled
                else:
                    ended.append(settled)
        return ended

    def so_far(self, token: Token) -> Settled | None:
        """The row of a command that goes on, with what is durable of its consequences."""
        return next((begun for begun in self._begun.values() if begun.token == token), None)


def _and(begun: Settled, further: Settled) -> Settled:
    liquidations = begun.liquidations + further.liquidations
    return replace(begun, liquidations=liquidations, goes_on=further.goes_on)
