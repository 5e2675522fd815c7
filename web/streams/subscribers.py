"""Who follows a stream, what of, and how what a row says gets to all of them.

A kind of stream turns a row into blocks, each with its topics. Subscribers who follow the same topics are one group:
what a group sees of a row is put together once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final, Protocol

from perps.journal import Entry, Row
from web.readside.money import PastMoney
from web.streams.deliveries import Deliveries
from web.streams.topics import Topics

BEHIND_BYTES_MAX: Final = 1 << 20
"""What a subscriber that has caught up may have waiting behind the write under way before it is cut off."""

Place = tuple[int, int]
"""(epoch, offset) of a row: how far a subscriber has come. As text ``<epoch>-<offset>``."""

Block = tuple[tuple[str, ...], bytes]
"""One piece of what a row says, encoded, and the topics that it is about."""


class Kind(Protocol):
    """One kind of stream: its topics (a ticker, say, or a user) and its encoding. One object for all subscribers."""

    def concerns(self, row: Row, wanted: Topics) -> bool:
        """Whether a row may say something on these topics: False only if it is sure that it does not."""
        ...

    def past(self, wanted: Topics) -> PastMoney | None:
        """What must be known of the time before missed rows, to tell them on these topics; None: nothing."""
        ...

    def tell(
        self, entries: Sequence[Entry], wanted: Container[str], past: PastMoney | None = None
    ) -> Iterable[list[Block]]:
        """What each of some rows says on these topics, in order.

        ``past`` is what was asked for; without it, these are the rows that the read model has taken last.
        """
        ...

    def row(self, blocks: Sequence[bytes], place: Place) -> bytes:
        """Those blocks of a row that a reader gets. It knows the row's place once it has read all of them."""
        ...

    def reset(self, since: str, offset: int) -> bytes:
        """That the stream cannot go on at the place ``since`` (as the reader gave it) and begins anew at ``offset``."""
        ...

    def snapshot(self, wanted: Topics) -> bytes:
        """The present state of these topics, and its place."""
        ...


class Subscriber:
    """One open stream: what it wants and what waits for it."""

    def __init__(
        self, kind: Kind, topics: Topics, deliveries: Deliveries, *, behind_bytes_max: int = BEHIND_BYTES_MAX
    ) -> None:
        self.kind, self.topics = kind, topics
        self._deliveries = deliveries
        self._behind_bytes_max = behind_bytes_max
        self._blocks: list[bytes] = []
        self._bytes_waiting = 0
        self.wake = asyncio.Event()
        self.ended = False
        """It has left, or has been cut off: it gets nothing more."""
        self.is_behind = False
        """Its transport is still busy with what it was given last."""
        self.is_idle = False
        """It has been given everything and waits for more."""
        self.write: Callable[[bytes], bool] | None = None
        """Hands bytes to its connection at once; False if that has enough now. None: it can only wait for its turn."""
        self.abort: Callable[[], None] = lambda: None
        """Ends its connection at once, also while a write to it waits. Set by the transport."""

    def push(self, block: bytes) -> None:
        """Give it bytes, which it gets when its turn comes.

        A subscriber that is behind and had more than the limit waiting already is cut off instead. One commit may be
        larger than the limit (a crash that liquidates thousands): it cuts off nobody who reads. Nor is anybody cut off
        to whom the venue has not come to write: then it writes at once.
        """
        if self.ended:
            return
        if self._can_be_written:
            if self._bytes_waiting > self._behind_bytes_max:
                self.deliver()
            if not self._blocks and self._can_be_written:
                self._deliveries.add(self)
        elif self._bytes_waiting > self._behind_bytes_max:
            self._blocks.clear()
            self.end()
            self.abort()
            return
        self._blocks.append(block)
        self._bytes_waiting += len(block)
        if not self._can_be_written:
            self.wake.set()

    @property
    def _can_be_written(self) -> bool:
        """Whether it has taken all that it was given, and is written to in its turn rather than by its own task."""
        return self.is_idle and self.write is not None and not self.wake.is_set()

    def deliver(self) -> None:
        """Write what waits, if its own task has not taken it meanwhile."""
        if self.ended or not self._blocks or self.write is None or not self._can_be_written:
            return
        if not self.write(self._joined()):
            self.is_behind = True
            self.wake.set()

    def end(self) -> None:
        """Give it nothing more."""
        self.ended = True
        self.wake.set()

    def dismiss(self) -> None:
        """Give it nothing more, not even what waits; end its connection at once if that is busy."""
        self.end()
        if self.is_behind:
            self.abort()

    def take(self) -> bytes:
        """All that waits, joined."""
        self.wake.clear()
        return self._joined()

    def _joined(self) -> bytes:
        data = self._blocks[0] if len(self._blocks) == 1 else b"".join(self._blocks)
        self._blocks.clear()
        self._bytes_waiting = 0
        return data


class Followers:
    """The subscribers of a kind that have caught up, in groups of those who follow the same."""

    def __init__(self) -> None:
        self.groups: dict[Topics, set[Subscriber]] = {}
        self.by_topic: dict[str, set[Topics]] = {}

    def add(self, subscriber: Subscriber) -> None:
        """One more."""
        followed = subscriber.topics
        self.groups.setdefault(followed, set()).add(subscriber)
        for topic in followed:
            self.by_topic.setdefault(topic, set()).add(followed)

    def remove(self, subscriber: Subscriber) -> None:
        """One less, if it was there."""
        followed = subscriber.topics
        group = self.groups.get(followed, set())
        group.discard(subscriber)
        if group or followed not in self.groups:
            return
        del self.groups[followed]
        for topic in followed:
            self.by_topic[topic].discard(followed)
            if not self.by_topic[topic]:
                del self.by_topic[topic]

    def feed(self, kind: Kind, entries: Sequence[Entry]) -> None:
        """Encode rows, once for all who see the same of them, and give each what it follows."""
        due: dict[Topics, list[bytes]] = {}
        for entry, blocks in zip(entries, kind.tell(entries, self.by_topic), strict=True):
            chosen: dict[Topics, list[int]] = {}
            for number, (topics, _) in enumerate(blocks):
                for followed in {followed for topic in topics for followed in self.by_topic.get(topic, ())}:
                    chosen.setdefault(followed, []).append(number)
            framed: dict[tuple[int, ...], bytes] = {}
            for followed, numbers in chosen.items():
                seen = tuple(numbers)
                data = framed.get(seen)
                if data is None:
                    data = framed[seen] = kind.row([blocks[number][1] for number in seen], place_of(entry.row))
                due.setdefault(followed, []).append(data)
        for followed, parts in due.items():
            data = parts[0] if len(parts) == 1 else b"".join(parts)
            for subscriber in self.groups[followed]:
                subscriber.push(data)


def place_of(row: Row) -> Place:
    """A row's place."""
    return row.epoch, row.offset
