"""How events are written down: as server-sent events, or as another protocol has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from perps.wire.base import Answer, encode
from web.streams.subscribers import Place


class Form(Protocol):
    """One way to write events down. Events become blocks, and the blocks that a reader gets of a row become bytes."""

    def event(self, name: str, data: Answer) -> bytes:
        """One event."""
        ...

    def block(self, events: Sequence[bytes]) -> bytes:
        """Events about the same, in order."""
        ...

    def row(self, blocks: Sequence[bytes], place: Place | None) -> bytes:
        """Blocks of one row, in order, with the row's place on the last event; None: it has none."""
        ...


class ServerSent:
    """Server-sent events. A block's events have an empty line between them; a row ends with one."""

    def event(self, name: str, data: Answer) -> bytes:
        """One event, without the empty line that ends it."""
        return b"event: %s\ndata: %s\n" % (name.encode(), encode(data))

    def block(self, events: Sequence[bytes]) -> bytes:
        """Events about the same, in order."""
        return b"\n".join(events)

    def row(self, blocks: Sequence[bytes], place: Place | None) -> bytes:
        """Blocks of one row, in order."""
        return b"\n".join(blocks) + (b"\n" if place is None else b"id: %d-%d\n\n" % place)


SERVER_SENT: Final = ServerSent()
