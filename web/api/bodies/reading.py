"""Reads bodies, queries and paths: decodes them into the contract's types, or says what is wrong.

A body is looked at before the key is (400 comes before 401), so anybody may have one looked at. Therefore large bodies
take turns, one to a turn of the event loop, callers with a key in a line of their own, a few of each sender's at a
time; long lists are read a part at a time; and only a caller with a key learns in detail what is wrong. A small
body does not wait.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any, Final, get_args, get_origin

import msgspec
from aiohttp import web
from msgspec import Raw, Struct

from perps.wire.base import decoder, unpacker
from perps.wire.contract.operations import OPERATIONS
from perps.wire.operation import ITEMS_MAX, PATH_TYPES, NoQuery, Operation
from web.answers.errors import RequestError, invalid, of_item
from web.api.bodies import misfits
from web.api.call import Call
from web.api.context import Context

BODY_BYTES_MAX: Final = 64 * 1024

BODY_S: Final = 30.0
"""How long a body may take to arrive, from when its head is there."""

SMALL_BYTES: Final = 4 * 1024
"""A body up to this size costs so little that it takes no turn: every command's is one."""

ITEMS_PER_TURN: Final = 100
"""Items of a list that are read in one turn of the event loop."""

DIGITS: Final = re.compile(r"\d{1,18}", re.ASCII)

MAP_16: Final = 0xDE
"""How MessagePack begins a map whose length is in the two bytes behind; one less than that, in the byte itself."""

JSON: Final = "application/json"

OTHER_TYPES: Final = ("text/", "multipart/")
"""What a body with effects must not call itself: a page of another site can send these without being asked."""


class Reader:
    """Reads one kind of struct from JSON, and says in the contract's words what is wrong with it."""

    def __init__(self, kind: type[Struct]) -> None:
        self.fields = misfits.fields_of(kind)
        self._decode: Callable[[bytes | Raw], Any] = decoder(kind).decode
        self._names = [f'"{name}"'.encode() for name in self.fields]

    def read(self, raw: bytes | Raw) -> Any:
        """Raises ``invalid_json`` or ``validation_error``."""
        try:
            body = self._decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._misfit(bytes(raw), error) from error
        self._check_names(bytes(raw))
        return body

    def _misfit(self, raw: bytes, error: Exception) -> RequestError:
        return misfits.of_body(raw, self.fields, error)

    def _check_names(self, text: bytes) -> None:
        """Raise if a name is there twice. Without an escape, each is written in one way only."""
        if b"\\" in text:
            self._check_repeated(text)
            return
        for name in self._names:
            if text.count(name) > 1:
                self._check_repeated(text)
                return

    def _check_repeated(self, raw: bytes) -> None:
        """Raise unless every name is there once: ``msgspec`` takes the last of two."""

        def check(pairs: list[tuple[str, Any]]) -> None:
            seen = set[str]()
            for name, _ in pairs:
                if name in seen:
                    raise invalid(f"{name} appears twice.", field=name[:64])
                seen.add(name)

        json.JSONDecoder(object_pairs_hook=check).decode(raw.decode())


class PackedReader(Reader):
    """The same of MessagePack."""

    def __init__(self, kind: type[Struct]) -> None:
        super().__init__(kind)
        self._decode = unpacker(kind).decode

    def _misfit(self, raw: bytes, error: Exception) -> RequestError:
        if isinstance(error, msgspec.ValidationError):
            return misfits.of_value(self.fields, error)
        return RequestError("invalid_json", "The body is not valid MessagePack, or is nested too deeply.")

    def _check_names(self, text: bytes) -> None:
        """Raise unless there are as many names as the map says."""
        first = text[0]
        said = first & 0x0F if first < MAP_16 else int.from_bytes(text[1 : 3 if first == MAP_16 else 5], "big")
        if said != len(_names(text)):
            raise invalid("A name appears twice.")


def _kinds() -> Iterator[type[Struct]]:
    for operation in OPERATIONS:
        yield operation.query
        if operation.body is not None:
            yield get_args(operation.body)[0] if get_origin(operation.body) is list else operation.body


_NO_QUERY: Final = NoQuery()
_READERS: Final = {kind: Reader(kind) for kind in _kinds()}
_names: Final = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_items: Final = msgspec.json.Decoder(list[Raw])


async def body(call: Call[Any, Any], operation: Operation) -> Any:
    """The request's body. Raises ``invalid_json``, ``validation_error``, ``payload_too_large``, ``rate_limited``."""
    context, request, kind = call.context, call.request, operation.body
    if call.caller.principal is None and request.content_length is None and not request.content.is_eof():
        raise invalid("Without a valid API key, a body needs the header Content-Length.")
    raw = await _received(context, request)
    if raw and request.headers.get("Content-Type") != JSON and request.content_type.startswith(OTHER_TYPES):
        raise invalid("Send JSON, with Content-Type: application/json.", contentType=request.content_type[:64])
    if not raw and operation.body_optional:
        return kind()
    try:
        reader = _READERS.get(kind)
        if reader is not None and len(raw) <= SMALL_BYTES:
            return reader.read(raw)
        async with nullcontext() if len(raw) <= SMALL_BYTES else context.turns.one(context.keys.payer(request)):
            return await _list(raw, get_args(kind)[0]) if reader is None else reader.read(raw)
    except RequestError as error:
        if error.details and error.code in ("invalid_json", "validation_error") and not _is_known(context, request):
            raise RequestError(error.code, error.message) from error
        raise


async def _list(raw: bytes, kind: type[Struct]) -> list[Any]:
    try:
        items = _items.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise misfits.of_list(raw, error) from error
    if not 1 <= len(items) <= ITEMS_MAX:
        raise invalid(f"The list must have 1 to {ITEMS_MAX} items.", maximum=ITEMS_MAX)
    reader, read = _READERS[kind], list[Any]()
    for index, item in enumerate(items):
        if index and not index % ITEMS_PER_TURN:
            await asyncio.sleep(0)
        try:
            read.append(reader.read(item))
        except RequestError as error:
            raise of_item(index, error) from error
    return read


def query(request: web.BaseRequest, operation: Operation) -> Any:
    """The parameters after the path. Raises ``validation_error``. If a name is there twice, the first one counts."""
    kind = operation.query
    if kind is NoQuery:
        return _NO_QUERY
    if not request.query_string:
        return kind()
    fields, asked = _READERS[kind].fields, request.query
    given = {name: asked[name] for name in fields if name in asked}
    try:
        for name, text in given.items():
            if fields[name].is_whole and not DIGITS.fullmatch(text):
                raise invalid(f"{name} must be {fields[name].takes}.", field=name)
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise misfits.of_value(fields, error) from error


def check_path(places: Iterable[tuple[str, str]]) -> None:
    """Raise ``validation_error`` unless a path names what can be named so."""
    for name, value in places:
        try:
            msgspec.convert(value, PATH_TYPES[name])
        except msgspec.ValidationError as error:
            raise misfits.of_place(name, PATH_TYPES[name]) from error


async def _received(context: Context, request: web.BaseRequest) -> bytes:
    try:
        content = request.content
        if content.is_eof():  # it came with its head
            raw = content.read_nowait()
            if len(raw) > BODY_BYTES_MAX:
                raise web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX, len(raw))
            return raw
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        async with context.arrivals.one(BODY_S):
            return await request.read()
    except TimeoutError as error:
        if context.draining:
            raise RequestError("unavailable", "The venue is stopping. Nothing was done; retry in 1 s.") from error
        raise RequestError("invalid_json", f"The body did not arrive within {BODY_S:.0f} s.") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestError(
            "payload_too_large", f"The body is larger than {BODY_BYTES_MAX} bytes.", {"maxBytes": BODY_BYTES_MAX}
        ) from error
    except web.RequestPayloadError as error:
        raise RequestError("invalid_json", "The body's chunked encoding is malformed.") from error


def _is_known(context: Context, request: web.BaseRequest) -> bool:
    return context.keys.payer(request) is not None
