"""What a client asked for, each time he asked, and what he was told: the outside's own books."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from actors.messages import Token
from perps.commands import Command, ListMarket
from perps.fingerprints import fingerprint


class Status(Enum):
    """What a caller knows of one attempt."""

    OPEN = auto()
    DONE = auto()
    NOT_DONE = auto()
    """Refused, or failed with the word that it has no effect."""
    UNKNOWN = auto()


@dataclass(frozen=True)
class Order:
    """A command under a client's own id (or none)."""

    command: Command
    sender: str
    order_id: str | None
    fresh: bool

    @property
    def digest(self) -> bytes:
        """Tells it from another command under the same id."""
        return fingerprint(self.command)

    def __str__(self) -> str:
        """One line of a trace."""
        fields = self.command.params if isinstance(self.command, ListMarket) else self.command
        shown = ("ticker", "user", "position_id", "side", "size", "leverage", "share", "amount", "price", "mode")
        words = [str(getattr(fields, name)) for name in shown if hasattr(fields, name)]
        return f"{type(self.command).__name__} {' '.join(words)} of {self.sender} as {self.order_id}"


@dataclass
class Attempt:
    """One sending of an order."""

    order: Order
    digest: bytes
    token: Token
    generation: int
    """Which process it was sent to: the number grows."""
    status: Status = Status.OPEN
    offset: int = 0
    """Of the row that answered it."""


@dataclass
class Orders:
    """Every attempt of a run, by token and by id."""

    by_token: dict[Token, Attempt] = field(default_factory=dict)
    by_id: dict[tuple[str, str], list[Attempt]] = field(default_factory=dict)
    recent: list[Order] = field(default_factory=list)
    """Orders with an id of their own, for retries."""

    def sent(self, order: Order, token: Token, generation: int) -> Attempt:
        """Note an attempt."""
        attempt = Attempt(order, order.digest, token, generation)
        self.by_token[token] = attempt
        if order.order_id is not None:
            key = (order.sender, order.order_id)
            if key not in self.by_id:
                self.recent.append(order)
            self.by_id.setdefault(key, []).append(attempt)
        return attempt

    def may_become_a_row(self, sender: str, order_id: str, digest: bytes) -> bool:
        """Whether a row for this id and command is news that contradicts nothing that was said.

        It is not when every attempt of it has been told that it has no effect. What was unknown may still be done,
        until a later attempt has been refused: then it was never seen, and never will be.
        """
        return any(
            attempt.status in (Status.OPEN, Status.UNKNOWN)
            for attempt in self.by_id.get((sender, order_id), ())
            if attempt.digest == digest
        )

    def refused(self, attempt: Attempt, *, for_good: bool) -> None:
        """Note that an attempt has no effect; ``for_good``: nor do earlier ones of the same order."""
        attempt.status = Status.NOT_DONE
        if not for_good or attempt.order.order_id is None:
            return
        for other in self.by_id[attempt.order.sender, attempt.order.order_id]:
            if other is attempt:
                break
            earlier = other.generation <= attempt.generation
            if earlier and other.status is Status.UNKNOWN and other.digest == attempt.digest:
                other.status = Status.NOT_DONE

    def in_doubt(self) -> list[Order]:
        """Orders with an id whose outcome nobody knows yet."""
        found: list[Order] = []
        for attempts in self.by_id.values():
            unknown = {each.digest: each.order for each in attempts if each.status is Status.UNKNOWN}
            for each in attempts:
                if each.status is Status.DONE:
                    unknown.pop(each.digest, None)
            found.extend(unknown.values())
        return found
