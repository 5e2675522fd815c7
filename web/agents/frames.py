"""Frames of both subprotocols: envelopes out of bytes, answers and events into bytes.

What goes out has its WebSocket head already, so that what one row says is put together once for all who get the same,
and several frames can be one write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import pack as packed
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import WSCloseCode

from perps.wire import agents
from perps.wire.agents import ENVELOPES_MAX, EVENT, Envelope
from perps.wire.base import Answer, encode, pack
from web.answers.markets import packable
from web.streams.subscribers import Place

TEXT: Final = 0x81
BINARY: Final = 0x82
"""How a WebSocket frame that is a whole message begins."""

SHORT: Final = 125
MEDIUM: Final = 0xFFFF
"""Bytes of a message whose length is in the head's second byte, and in two bytes behind it."""

COUNT_BYTES: Final = 4
"""Before a block of MessagePack: how many events are in it. An array of MessagePack begins with its length."""


class FrameError(Exception):
    """What came is no frame: the channel ends."""

    def __init__(self, reason: str, code: int = WSCloseCode.INVALID_TEXT) -> None:
        super().__init__(reason)
        self.reason, self.code = reason, code


class Replied(NamedTuple):
    """What an envelope came to."""

    id: int
    status: int
    body: Answer | msgspec.Raw
    headers: Mapping[str, str] = {}
    """Of the answer in HTTP, those that say something here."""


class Frames:
    """One subprotocol, without what JSON and MessagePack do differently."""

    name: str
    opcode: int
    encoded: Callable[[Any], bytes]
    writable: Callable[[Answer], Answer]
    """An answer as ``encoded`` takes it."""
    _decode: Callable[[bytes], list[Envelope]]

    def envelopes(self, raw: bytes) -> list[Envelope]:
        """The envelopes of a frame. Raises ``FrameError``."""
        try:
            found = self._decode(raw)
        except RecursionError:
            raise FrameError("The frame is nested too deeply.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(f"A frame is an array of [id, kind, body]: {error}") from None
        if not 1 <= len(found) <= ENVELOPES_MAX:
            raise FrameError(
                f"A frame has 1 to {ENVELOPES_MAX} envelopes, not {len(found)}.", WSCloseCode.MESSAGE_TOO_BIG
            )
        return found

    def answers(self, replied: Sequence[Replied]) -> bytes:
        """A frame of answers. What follows the body of one is there only if it says something."""
        return self.framed(self.encoded([reply if reply.headers else reply[:3] for reply in replied]))

    def body(self, answer: Answer) -> msgspec.Raw:
        """An answer as it will be in a frame."""
        return msgspec.Raw(self.encoded(self.writable(answer)))

    def framed(self, payload: bytes) -> bytes:
        """A message with its WebSocket head."""
        size = len(payload)
        if size <= SHORT:
            return bytes((self.opcode, size)) + payload
        if size <= MEDIUM:
            return packed("!BBH", self.opcode, SHORT + 1, size) + payload
        return packed("!BBQ", self.opcode, SHORT + 2, size) + payload


def _unchanged(answer: Answer) -> Answer:
    return answer


class JsonFrames(Frames):
    """``perps.v1.json``; also the form of its events."""

    name, opcode = agents.JSON, TEXT
    encoded = staticmethod(encode)
    writable = staticmethod(_unchanged)
    _decode = staticmethod(msgspec.json.Decoder(list[Envelope]).decode)

    def event(self, name: str, data: Answer) -> bytes:
        """One event, without a place."""
        return encode((EVENT, name, data, None))

    def block(self, events: Sequence[bytes]) -> bytes:
        """Events about the same, in order."""
        return b",".join(events)

    def row(self, blocks: Sequence[bytes], place: Place | None) -> bytes:
        """A frame of all that a reader gets of a row."""
        events = b",".join(blocks)
        return self.framed(b"[%b]" % (events if place is None else b'%b"%d-%d"]' % (events[: -len("null]")], *place)))


class PackedFrames(Frames):
    """``perps.v1.msgpack``; also the form of its events."""

    name, opcode = agents.MSGPACK, BINARY
    encoded = staticmethod(pack)
    writable = staticmethod(packable)
    _decode = staticmethod(msgspec.msgpack.Decoder(list[Envelope]).decode)

    def event(self, name: str, data: Answer) -> bytes:
        """One event, without a place."""
        return pack((EVENT, name, packable(data), None))

    def block(self, events: Sequence[bytes]) -> bytes:
        """Events about the same, in order, behind their number."""
        return len(events).to_bytes(COUNT_BYTES, "big") + b"".join(events)

    def row(self, blocks: Sequence[bytes], place: Place | None) -> bytes:
        """A frame of all that a reader gets of a row."""
        count = sum(int.from_bytes(block[:COUNT_BYTES], "big") for block in blocks)
        events = b"".join([block[COUNT_BYTES:] for block in blocks])
        if place is not None:
            events = events[: -len(pack(None))] + pack(f"{place[0]}-{place[1]}")
        return self.framed(packed("!BI", ARRAY_32, count) + events)


ARRAY_32: Final = 0xDD
"""How an array of MessagePack begins whose length is in the four bytes behind."""

JSON: Final = JsonFrames()
MSGPACK: Final = PackedFrames()
FORMS: Final[Mapping[str, JsonFrames | PackedFrames]] = {form.name: form for form in (MSGPACK, JSON)}
"""By subprotocol."""
