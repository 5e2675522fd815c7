"""Bodies, read: all of it, in time, decoded, and told what is wrong with it, at a bounded cost to everybody else.

A body is looked at before the key is (400 comes before 401), so anybody may have one looked at. Therefore large bodies
take turns, one to a turn of the event loop, callers with a key in a line of their own, a few of each sender's at a
time; long lists are checked a part at a time; and only who has a key is told in detail what is wrong. A small body
waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from web.answers.errors import RequestError, invalid
from web.api import body_errors, exact_json
from web.api.context import CONTEXT
from web.api.requests import TEXT_MAX

BODY_BYTES_MAX: Final = 64 * 1024

BODY_S: Final = 30.0
"""How long a body may take to arrive, from when its head is there."""

SMALL_BYTES: Final = 4 * 1024
"""A body up to this size costs so little that it takes no turn: every command's is one."""

ITEMS_PER_TURN: Final = 200
"""Items of a list that are checked in one turn of the event loop."""


T = TypeVar("T")
S = TypeVar("S", bound=Struct)

_readers: dict[Any, tuple[msgspec.json.Decoder[Any], Callable[[bytes], None]]] = {}


async def body(request: web.Request, kind: type[T], *, optional: bool = False) -> T:
    """The request's body as ``kind``. Raises ``invalid_json``, ``validation_error`` or ``payload_too_large``."""
    raw = await _received(request)
    if not raw and optional:
        raw = b"{}"
    if len(raw) <= SMALL_BYTES:
        small: T = _decoded(request, raw, kind)
        _check_exact(request, raw, kind)
        return small
    async with _turn(request):
        decoded: T = _decoded(request, raw, kind)
        await asyncio.sleep(0)
        _check_exact(request, raw, kind)
        return decoded


async def body_list(request: web.Request, kind: type[S], *, most: int, check: Callable[[S], None]) -> list[S]:
    """The request's body as 1 to ``most`` of a kind, each of which has passed ``check``. Raises like ``body``."""
    raw, of = await _received(request), list[kind]  # type: ignore[valid-type]
    async with _turn(request) if len(raw) > SMALL_BYTES else nullcontext():
        items: list[S] = _decoded(request, raw, of)
        if not 1 <= len(items) <= most:
            raise invalid(f"The list must have 1 to {most} items.", maximum=most)
        await asyncio.sleep(0)
        _check_exact(request, raw, of)
        for first in range(0, len(items), ITEMS_PER_TURN):
            if first:
                await asyncio.sleep(0)
            for item in items[first : first + ITEMS_PER_TURN]:
                check(item)
    return items


async def _received(request: web.Request) -> bytes:
    try:
        if request.content.is_eof():
            return await request.read()
        async with request.app[CONTEXT].arrivals.one(BODY_S):
            return await request.read()
    except TimeoutError as error:
        if request.app[CONTEXT].draining:
            raise RequestError("unavailable", "The venue is stopping. Nothing was done; retry in 1 s.") from error
        raise RequestError("invalid_json", f"The body did not arrive within {BODY_S:.0f} s.") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestError(
            "payload_too_large", f"The body is larger than {BODY_BYTES_MAX} bytes.", {"maxBytes": BODY_BYTES_MAX}
        ) from error
    except web.RequestPayloadError as error:
        raise RequestError("invalid_json", "The body's chunked encoding is malformed.") from error


def _turn(request: web.Request) -> AbstractAsyncContextManager[None]:
    context = request.app[CONTEXT]
    return context.turns.one(context.keys.payer(request))


def _is_known(request: web.Request) -> bool:
    return request.app[CONTEXT].keys.payer(request) is not None


def _reader(kind: Any) -> tuple[msgspec.json.Decoder[Any], Callable[[bytes], None]]:
    reader = _readers.get(kind)
    if reader is None:
        reader = _readers[kind] = msgspec.json.Decoder(kind), exact_json.checker(kind)
    return reader


def _decoded(request: web.Request, raw: bytes, kind: Any) -> Any:
    try:
        return _reader(kind)[0].decode(raw)
    except msgspec.ValidationError as error:
        explain = body_errors.misfit if _is_known(request) else body_errors.misfit_briefly
        raise explain(raw, kind, error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise (body_errors.malformed(raw) if _is_known(request) else body_errors.malformed_briefly()) from error


def _check_exact(request: web.Request, raw: bytes, kind: Any) -> None:
    """Raise unless what was decoded can be read in one way only."""
    try:
        _reader(kind)[1](raw)
    except exact_json.NotExact as error:
        raise invalid(f"{error}.", field=error.field[:TEXT_MAX]) from error
    except RecursionError as error:
        raise (body_errors.malformed(raw) if _is_known(request) else body_errors.malformed_briefly()) from error
