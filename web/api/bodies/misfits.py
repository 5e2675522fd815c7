"""What is wrong with something that was sent, in the contract's words: which field, and what it takes.

The decoder says where it stopped and why; here that becomes ``field``, ``allowed`` and a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

import msgspec
from msgspec import Raw, Struct, inspect

from perps.wire.base import ALLOWED, END, NO_NUMBER, TAKES, Number
from web.answers.errors import RequestError, invalid

SHOWN_MAX: Final = 64
"""Characters of an unknown name that a refusal repeats."""


class Field(NamedTuple):
    """What a field takes, in words; and the values, where there is a choice."""

    takes: str
    allowed: list[str]
    is_whole: bool = False
    inner: Mapping[str, Field] = {}
    """Of a list of objects: the fields of one."""


Fields = Mapping[str, Field]
"""By their names in JSON."""

_PLACE: Final = re.compile(r" - at `\$\.?([^`\[]*)(?:\[[^`]*)?`$")
_INNER: Final = re.compile(r" - at `\$\.(\w+)\[(\d+)\](?:\.(\w+))?(?:\[[^`]*)?`$")
_NAMED: Final = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_OWN: Final = re.compile(r"(must|has) ")
"""How the messages of the contract's own types begin."""


def fields_of(kind: type[Struct]) -> Fields:
    """The fields of a struct."""
    info = inspect.type_info(kind)
    if not isinstance(info, inspect.StructType):
        raise TypeError(kind)
    return {field.encode_name: _field(field.type) for field in info.fields}


def of_body(raw: bytes, fields: Fields, error: Exception) -> RequestError:
    """``invalid_json`` for bytes that are not JSON (the decoder may stop at a wrong field before it sees that), else
    ``validation_error``.
    """
    if not isinstance(error, msgspec.ValidationError) or not _is_json(raw):
        return _malformed(raw)
    return of_value(fields, error)


def of_list(raw: bytes, error: Exception) -> RequestError:
    """As ``of_body``, for what should be a list."""
    if not isinstance(error, msgspec.ValidationError) or not _is_json(raw):
        return _malformed(raw)
    return invalid("The body must be a JSON list.")


def of_value(fields: Fields, error: msgspec.ValidationError) -> RequestError:
    """``validation_error``: which field, and what it takes."""
    text = str(error)
    within = _INNER.search(text)
    if within is not None and fields.get(within[1], Field("", [])).inner:
        return _of_item(fields[within[1]].inner, text[: within.start()], f"{within[1]}[{within[2]}]", within[3])
    named = _NAMED.match(text)
    if named is not None:
        name = named[2]
        if named[1] == "missing required":
            return invalid(f"{name} is missing.", field=name)
        return invalid(f"Unknown field {name[:SHOWN_MAX]!r}.", field=name[:SHOWN_MAX], allowed=list(fields))
    place = _PLACE.search(text)
    name = place[1] if place is not None else ""
    field = fields.get(name)
    if field is None:
        return invalid("The body must be a JSON object.")
    if field.allowed:
        takes = field.takes or f"one of {', '.join(field.allowed)}"
        return invalid(f"{name} must be {takes}.", field=name, allowed=field.allowed)
    said = text[: place.start()] if place is not None else text
    return invalid(f"{name} {said}." if _OWN.match(said) else f"{name} must be {field.takes}.", field=name)


def _of_item(fields: Fields, said: str, item: str, name: str | None) -> RequestError:
    """What is wrong with one object of a list, or with a field of it."""
    if name is None and _NAMED.match(said) is None:
        return invalid(f"{item} must be a JSON object.", field=item)
    of = of_value(fields, msgspec.ValidationError(said if name is None else f"{said} - at `$.{name}`"))
    return RequestError(of.code, f"{item}: {of.message}", {**of.details, "field": f"{item}.{of.details['field']}"})


def of_place(name: str, kind: Any) -> RequestError:
    """``validation_error`` for something in a path."""
    return invalid(f"{name} must be {_field(inspect.type_info(kind)).takes}.", field=name)


def _field(info: inspect.Type) -> Field:
    if isinstance(info, inspect.Metadata):
        extra = info.extra or {}
        inner = _field(info.type)
        takes, allowed = extra.get(TAKES) or inner.takes, list(extra.get(ALLOWED, inner.allowed))
        return Field(takes, allowed, inner.is_whole, inner.inner)
    if isinstance(info, inspect.UnionType):
        return _field(next(part for part in info.types if not isinstance(part, inspect.NoneType)))
    if isinstance(info, inspect.EnumType):
        return Field("", [str(member.value) for member in info.cls])
    if isinstance(info, inspect.LiteralType):
        return Field("", [str(value) for value in info.values])
    if isinstance(info, inspect.ListType):
        item = info.item_type
        most = "" if info.max_length is None else f"at most {info.max_length} "
        if isinstance(item, inspect.StructType):
            return Field(f"a list of {most}objects", [], inner=fields_of(item.cls))
        of = _field(item)
        return Field(f"a list of {most}{', '.join(of.allowed) or of.takes}", [])
    return Field(_takes(info), [], isinstance(info, inspect.IntType))


def _takes(info: inspect.Type) -> str:
    match info:
        case inspect.IntType(ge=low, le=high):
            bounds = "" if low is None else f" from {low} to {high}" if high is not None else f", at least {low}"
            return f"a whole number{bounds}"
        case inspect.StrType(pattern=pattern, max_length=length):
            if pattern is not None:
                return f"text that matches {pattern.replace(END, '$')}"
            return "text" if length is None else f"text of at most {length} characters"
        case inspect.CustomType(cls=kind) if issubclass(kind, Number):
            return NO_NUMBER.removeprefix("must be ")
        case inspect.FloatType(gt=low, le=high):
            bounds = "" if low is None else f" above {low:g}" + ("" if high is None else f", at most {high:g}")
            return f"a number{bounds}"
        case inspect.BoolType():
            return "true or false"
        case _:
            return "something else"


def _malformed(raw: bytes) -> RequestError:
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
