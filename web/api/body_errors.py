"""What is wrong with a body that could not be read: the field, what it takes, and where the JSON ends.

The decoder stops at the first mistake, in words of its own. Here the body is taken apart field by field, with the
same decoder, until the one that does not fit is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Final, NoReturn, get_args, get_origin

import msgspec
from msgspec import Raw, Struct

from web.answers.errors import RequestError, invalid

TAKES: Final[dict[Any, str]] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    Decimal: 'a decimal number, such as 12.5 or "12.5"',
}
"""What a field of a type is told to be."""


Fields = Mapping[str, msgspec.structs.FieldInfo]
"""By their names in JSON."""


def malformed(raw: bytes) -> RequestError:
    """``invalid_json`` for bytes that are no JSON: empty, or where they stop making sense."""
    if not raw.strip():
        return RequestError("invalid_json", "The body is empty. Send JSON.")
    try:
        json.loads(raw, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno}
        return RequestError(
            "invalid_json", f"The body is not valid JSON: line {error.lineno}, column {error.colno}.", place
        )
    except RecursionError:
        return RequestError("invalid_json", "The body is nested too deeply.")
    except ValueError:  # not UTF-8, or NaN
        pass
    return RequestError("invalid_json", "The body is not valid JSON.")


EXPLAINED_MAX: Final = 100
"""Items of a list that are looked through for what is wrong."""

BRIEF_MAX: Final = 200
"""Characters of the decoder's own words: they may quote the body."""


def malformed_briefly() -> RequestError:
    """``invalid_json``, without looking for the place."""
    return RequestError("invalid_json", "The body is not valid JSON.")


def misfit_briefly(raw: bytes, _: Any, error: msgspec.ValidationError) -> RequestError:
    """What ``misfit`` says, in the decoder's own words: the same code, and no search for the field."""
    if not _is_json(raw):
        return malformed_briefly()
    return invalid(f"The body does not fit this path: {str(error)[:BRIEF_MAX]}.")


def misfit(raw: bytes, kind: Any, _: msgspec.ValidationError) -> RequestError:
    """``validation_error`` for JSON that is not a ``kind``: a ``Struct``, or a list of them.

    ``invalid_json`` where it is no JSON either: the decoder stops at a wrong field before it sees that.
    """
    if not _is_json(raw):
        return malformed(raw)
    if get_origin(kind) is list:
        problem = _of_list(raw, get_args(kind)[0])
    else:
        given = _try(raw, dict[str, Raw])
        problem = invalid("The body must be a JSON object.") if given is None else _of_struct(given, _fields(kind))
    return problem or invalid("The body does not fit this path.")


def _of_list(raw: bytes, kind: type[Struct]) -> RequestError | None:
    items = _try(raw, list[Raw])
    if items is None:
        return invalid("The body must be a JSON list.")
    fields = _fields(kind)
    for index, item in enumerate(items[:EXPLAINED_MAX]):
        given = _try(bytes(item), dict[str, Raw])
        if given is None:
            return invalid(f"Item {index} must be a JSON object.", index=index)
        problem = _of_struct(given, fields)
        if problem is not None:
            return invalid(f"Item {index}: {problem.message}", index=index, **problem.details)
    return None


def _fields(kind: type[Struct]) -> Fields:
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _of_struct(given: Mapping[str, Raw], fields: Fields) -> RequestError | None:
    for name, value in given.items():
        field = fields.get(name)
        if field is None:
            return invalid(f"Unknown field {name[:64]!r}.", field=name[:64], allowed=list(fields))
        if _try(bytes(value), field.type) is None and not (bytes(value) == b"null" and _may_be_none(field.type)):
            return _wrong(name, field.type)
    for name, field in fields.items():
        if field.required and name not in given:
            return invalid(f"{name} is missing.", field=name)
    return None


def _wrong(name: str, kind: Any) -> RequestError:
    wanted = next(part for part in _parts(kind) if part is not NoneType)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        allowed = [str(member.value) for member in wanted]
        return invalid(f"{name} must be one of {', '.join(allowed)}.", field=name, allowed=allowed)
    if get_origin(wanted) is list:
        return invalid(f"{name} must be a list of {TAKES[get_args(wanted)[0]]}.", field=name)
    return invalid(f"{name} must be {TAKES[wanted]}.", field=name)


def _parts(kind: Any) -> Iterator[Any]:
    """The members of a union, or the type itself."""
    if get_origin(kind) is list:
        yield kind
    else:
        yield from get_args(kind) or (kind,)


def _may_be_none(kind: Any) -> bool:
    return NoneType in _parts(kind)


def _try(raw: bytes, kind: Any) -> Any:
    """The value, or None where it is no ``kind``."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_json(raw: bytes) -> bool:
    """Whether it is JSON from end to end, whatever it says. Builds nothing."""
    try:
        raw.decode()
        msgspec.json.decode(raw, type=Raw)
    except RecursionError:  # deep, but JSON as far as anybody looks
        return True
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
