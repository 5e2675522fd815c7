"""Log lines as text, without any character that a terminal obeys.

By hand because JSON encoders escape 32 control characters and leave 33 (DEL and U+0080 to U+009F, of which U+009B alone
begins a command to a terminal), and structlog's console prints values as they are.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TextIO

import msgspec
import structlog
from msgspec import Struct
from structlog.typing import ExcInfo

_encoder = msgspec.json.Encoder(enc_hook=repr)


def escaped(text: str, keep: str = "") -> str:
    """The text with ``\\u001b`` in place of each character that is not printable, except those to ``keep``."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else json.dumps(char)[1:-1] for char in text)


def escape_values(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor for a terminal: paths, names and reasons come from outside."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = escaped(value)
    return event


def json_line(event: Mapping[str, Any]) -> bytes:
    """An event as one line of JSON."""
    return _harmless(_encoder.encode(event))


def json_lines(events: Sequence[Struct]) -> bytes:
    """Events as lines of JSON, without the last line's end: for less than one by one."""
    return _harmless(_encoder.encode_lines(events)[:-1])


def _harmless(lines: bytes) -> bytes:
    if lines.isascii() and b"\x7f" not in lines:
        return lines
    return escaped(lines.decode(), keep="\n").encode()


def traceback(file: TextIO, error: ExcInfo) -> None:
    """A traceback for a terminal: an exception may quote what came from outside."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, error)
    file.write(escaped(plain.getvalue(), keep="\n"))
