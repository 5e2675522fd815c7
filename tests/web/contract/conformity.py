"""What every test of a venue checks by the way: an answer is one that the contract has for its operation."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from perps.wire.base import decoder
from perps.wire.contract.operations import OPERATIONS
from perps.wire.errors import STATUS, ErrorAnswer, ErrorCode
from perps.wire.operation import refusals_of

_PATTERNS: Final = [
    (operation, re.compile(re.sub(r"{\w+}", "[^/]+", operation.path)))
    for operation in sorted(OPERATIONS, key=lambda operation: operation.path.count("{"))
]
_answers: Final = {
    (operation.name, status): decoder(kind)
    for operation in OPERATIONS
    for status, kind in operation.answers.items()
    if isinstance(kind, type) and issubclass(kind, Struct)
}
_error: Final = msgspec.json.Decoder(ErrorAnswer)


def check(method: str, path: str, status: int, body: bytes) -> None:
    """Fail if an operation answers with what its contract does not have: a status, a code, a field that does not fit.

    What is no operation may refuse as it likes.
    """
    for operation, pattern in _PATTERNS:
        if operation.method == method and pattern.fullmatch(path.partition("?")[0]):
            break
    else:
        return
    if (operation.name, status) in _answers:
        _answers[operation.name, status].decode(body)
    elif status >= 400:
        code = _error.decode(body).error.code
        assert STATUS[code] == status
        is_known = code in refusals_of(operation) or code is ErrorCode.METHOD_NOT_ALLOWED
        assert is_known, f"{operation.name} has no {code} among its refusals"
    else:
        assert status in operation.answers
