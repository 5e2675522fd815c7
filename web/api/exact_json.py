"""JSON that means one thing: no name twice in an object, and no number that only Python can read.

``msgspec`` takes the last of two equal names, and ``Decimal`` reads ``"1_0"``, ``" 1"``, ``"NaN"`` and the digits of
every script. Both are looked for after a body has been decoded, so what comes here is well-formed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, get_args

import msgspec

LITERAL: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
"""A number as JSON writes it; the same between quotes."""


class NotExact(ValueError):
    """A body that could be read in two ways: which field, and why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field = field


def checker(kind: Any) -> Callable[[bytes], None]:
    """What checks the bodies of ``kind``, a ``Struct`` or a list of them. It raises ``NotExact``."""
    struct = get_args(kind)[0] if get_args(kind) else kind
    numbers = frozenset(
        field.encode_name for field in msgspec.structs.fields(struct) if Decimal in (field.type, *get_args(field.type))
    )

    def check_object(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) < len(pairs):
            raise NotExact(_repeated(pairs), "appears twice")
        for name, value in pairs:
            if name in numbers and isinstance(value, str) and not LITERAL.fullmatch(value):
                raise NotExact(name, 'must be a decimal number, such as 12.5 or "12.5"')

    decoder = json.JSONDecoder(object_pairs_hook=check_object, parse_int=str, parse_float=str)

    def check(raw: bytes) -> None:
        decoder.decode(raw.decode())

    return check


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    """The first name that has been there before."""
    seen = set[str]()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    return ""
