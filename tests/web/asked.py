"""A core that only keeps what it is asked, and a journal without rows."""

from __future__ import annotations

from typing import Any

from actors.messages import Outcome
from perps.commands import (
    Command,
)
from perps.journal import Row
from perps.query_rows import OrderRecord


class Asked:
    """A core that does nothing: it keeps what it was asked and answers what it was told to."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.commands: list[Command] = []
        self.how: list[dict[str, Any]] = []

    async def send(self, command: Command, **how: Any) -> Outcome:
        """As the bridge."""
        self.commands.append(command)
        self.how.append(how)
        return self.outcome


class Nothing:
    """A journal whose rows have all been archived, and whose positions are nobody's."""

    async def row(self, offset: int) -> Row | None:
        """None."""

    async def owner(self, position_id: str) -> str | None:
        """None."""

    async def order(self, order_id: str) -> OrderRecord | None:
        """None."""
