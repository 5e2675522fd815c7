"""Kinds of stream as short as can be, and a connection, for tests of the hub."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from perps.events import PriceUpdated
from perps.journal import Entry, Row
from web.readside.money import PastMoney
from web.streams.subscribers import Block, Place
from web.streams.topics import Topics

ALL = frozenset(("all",))


class ByMarket:
    """A stream of markets: of each row its offset, as text."""

    def __init__(self) -> None:
        self.encoded: list[int] = []
        self.framed = 0
        self.cannot: set[int] = set()

    def concerns(self, row: Row, wanted: Topics) -> bool:
        """Any row may."""
        return True

    def past(self, wanted: Topics) -> PastMoney | None:
        """It needs to know nothing of the time before."""
        return None

    def tell(
        self, entries: Sequence[Entry], wanted: Container[str], past: PastMoney | None = None
    ) -> Iterator[list[Block]]:
        """One block a row; nothing for the ledger's rows."""
        for entry in entries:
            if entry.row.offset in self.cannot:
                raise KeyError(entry.row.offset)
            yield list(self._blocks(entry))

    def _blocks(self, entry: Entry) -> Iterator[Block]:
        row = entry.row
        if not row.stream.startswith("@"):
            self.encoded.append(row.offset)
            yield (row.stream, "all"), b"%d" % row.offset

    def row(self, blocks: Sequence[bytes], place: Place) -> bytes:
        """The blocks, with a space behind the last."""
        self.framed += 1
        return b" ".join(blocks) + b" "

    def reset(self, since: str, offset: int) -> bytes:
        """That it begins anew."""
        return b"reset(%s) " % since.encode()

    def snapshot(self, wanted: Topics) -> bytes:
        """What it follows."""
        return b"now(%s) " % ",".join(sorted(wanted)).encode()


class Mine(ByMarket):
    """A stream of markets and of users: prices by ticker, and whose position a row changed, user by user."""

    def _blocks(self, entry: Entry) -> Iterator[Block]:
        row = entry.row
        for event in entry.events:
            user = event.subject
            topic = row.stream if isinstance(event, PriceUpdated) else f"user:{user}"
            if user is not None or topic == row.stream:
                yield (topic, "all"), f"{topic}@{row.offset}".encode()


class Wire:
    """A connection that takes bytes at once while ``has_room``."""

    def __init__(self) -> None:
        self.took = list[str]()
        self.has_room = True

    def put(self, data: bytes) -> bool:
        """Take them, and say whether there is room for more."""
        self.took.append(data.decode())
        return self.has_room
