"""The contract for programs: an OpenAPI 3.1 document, made from the table of operations and the types in it.

A number that comes in is a string or a number literal, exactly as written. What a field is by default is said in
words: generators of clients take ``default`` for "always there".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final, get_args, get_origin

import msgspec
from msgspec import Struct

from perps.wire.base import END, LITERAL, Limit, Number, encode
from perps.wire.contract.examples import EXAMPLES
from perps.wire.contract.operations import OPERATIONS
from perps.wire.errors import MEANING, STATUS, ErrorAnswer
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import EVENTS, ITEMS_MAX, NOTHING, PATH_TYPES, TAGS, UPGRADE, Operation, refusals_of

Json = dict[str, Any]

JSON: Final = "application/json"
REF: Final = "#/components/schemas/{name}"
KEY: Final = "key"
"""The document's name for the one way to prove who asks: an API key."""

ABOUT: Final = """\
A self-hosted venue for perpetual futures.

**A first trade on this page.** In the demo, `GET /api/demo` shows the keys of alice and bob: open it below, press
*Try it out* and *Execute*. Press *Authorize*, enter a key, press *Authorize* again and *Close*. Now go to
`POST /api/markets/perps/open`, press *Try it out* and *Execute*: the answer is your position. For another one, take
another `clientOrderId`, or leave it out. `GET /api/markets/positions/{userId}` lists what you have; `me` is the
key's user. To follow it live, execute `POST /api/streams/ticket` and open `/api/sse/users/me?ticket=…` with that
ticket in another tab.

In a bare venue there is nobody yet. Authorize with the administrator's key (`admin.key` in its data directory) and
execute the examples of `POST /api/admin/markets`, `POST /api/admin/users` and `POST /api/admin/keys`. Then press
*Authorize* and *Logout*, and authorize with the new key.

- **Numbers** come out as decimal strings. They go in as strings or number literals and are read exactly, never through
  a float. Times are RFC 3339 in UTC with milliseconds.
- **Keys.** Send `Authorization: Bearer <key>`. `admin` includes all scopes, `trade` includes `read`. Market data is
  public. Only the user and an administrator see a user's data.
- **Client order ids** make a command safe to repeat: the same id and body get the stored answer, with the header
  `Idempotent-Replay: true`. Repeat a command until there is an answer or a refusal; the venue does it once.
- **`offset`** is the number of the journal row that an answer is based on. A GET that you send after a command's answer
  has at least that command's offset.
- **Lists** begin with the newest item. Send `nextCursor` as `cursor` to get the next page.
- **Errors** have a `code` for programs and a `message` for people. The body is checked before the key.
"""


def document(version: str) -> bytes:
    """The whole document, as JSON. ``version`` is the venue's."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "perps",
                "version": version,
                "description": ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
            "paths": paths,
            "components": {
                "schemas": _components(),
                "headers": _HEADERS,
                "securitySchemes": {
                    KEY: {"type": "http", "scheme": "bearer", "description": "An API key, or the administrator's key."}
                },
            },
        }
    )


_HEADERS: Final[dict[str, Json]] = {
    "X-Request-Id": {
        "description": "The request's id. The logs show it as `trace`.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Send the request again after so many seconds.",
        "required": True,
        "schema": {"type": "integer"},
    },
    "Idempotent-Replay": {
        "description": "The command was done before: this is the stored answer.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": {"required": True, "schema": {"type": "string", "enum": ["Bearer"]}},
    "ETag": {"description": "For `If-None-Match`.", "required": True, "schema": {"type": "string"}},
}


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _operation(operation: Operation) -> Json:
    if operation.name not in EXAMPLES and operation.body is not None:
        raise TypeError(f"{operation.name} has no example: add one to EXAMPLES in perps/wire/contract/examples.py")
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": _security(operation),
        "parameters": list(_parameters(operation)),
        "responses": dict(_answers(operation)) | dict(_refusals(operation)),
    }
    about = [operation.description] if operation.description else []
    if operation.own:
        about.append(f"Needs the user's own key with the scope `{operation.scope}`, or an administrator's.")
    elif operation.scope is not None:
        about.append(f"Needs a key with the scope `{operation.scope}`.")
    if about:
        described["description"] = "\n\n".join(about)
    if operation.body is not None:
        content: Json = {"schema": _schema(operation.body)}
        if get_origin(operation.body) is list:
            content["schema"] |= {"minItems": 1, "maxItems": ITEMS_MAX}
        content |= _example(EXAMPLES[operation.name].body)
        described["requestBody"] = {"required": not operation.body_optional, "content": {JSON: content}}
    return described


def _security(operation: Operation) -> list[Json]:
    """The ways to prove who asks; any of them will do. No way, or an empty one: no key is needed.

    A page that tries operations out sends no key where none is named.
    """
    if operation.scope is not None:
        needed: Json = {KEY: [operation.scope]}
        return [{}, needed] if operation.may_be_public else [needed]
    if operation.any_key:
        return [{KEY: []}]
    return [{}, {KEY: []}] if Code.UNAUTHORIZED in operation.refusals else []


def _parameters(operation: Operation) -> Iterator[Json]:
    for part in operation.path.split("/"):
        if part.startswith("{"):
            yield _parameter("path", part[1:-1], _schema(PATH_TYPES[part[1:-1]]))
    for name, schema in _all_schemas()[1][operation.query.__name__]["properties"].items():
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        one = {**(kinds[0] if kinds else {}), **schema}
        one.pop("anyOf", None)
        yield _parameter("query", name, _tidied(one))
    if operation.answers[operation.status] == EVENTS:
        yield _parameter(
            "header",
            "Last-Event-ID",
            {"type": "string", "description": "The same as `since`. If both are sent, this one counts."},
        )


def _parameter(place: str, name: str, schema: Json) -> Json:
    described: Json = {"name": name, "in": place, "required": place == "path", "schema": schema}
    if "description" in schema:
        described["description"] = schema.pop("description")
    return described


def _answers(operation: Operation) -> Iterator[tuple[str, Json]]:
    """What an operation answers, by status; an example with its success."""
    for status, kind in operation.answers.items():
        names = ["ETag"] if NOTHING in operation.answers.values() else []
        if _has_client_id(operation):
            names.append("Idempotent-Replay")
        answer: Json = {"description": _about(kind), "headers": _headers(*names)}
        if kind == EVENTS:
            events = {name: _schema(data) for name, data in operation.events.items()}
            lines = [f"- `{name}`: {_about(data)}" for name, data in operation.events.items()]
            schema: Json = {"type": "string", "description": "\n".join(lines), "x-events": events}
            answer["content"] = {EVENTS: {"schema": schema}}
        elif kind == UPGRADE:
            lines = [f"- `{name}`: {_about(data)}" for name, data in operation.events.items()]
            answer["description"] = "\n".join(["The WebSocket is open. Its events:", "", *lines])
        elif kind == NOTHING:
            answer["description"] = "Nothing has changed since the answer that `If-None-Match` names."
        elif isinstance(kind, str):
            answer["content"] = {kind: {"schema": {"type": "string"}}}
        else:
            answer["content"] = {JSON: {"schema": _schema(kind)}}
            if status == operation.status and operation.name in EXAMPLES:
                answer["content"][JSON] |= _example(EXAMPLES[operation.name].answer)
        if status == operation.status and operation.links:
            answer["links"] = {
                name: {
                    "operationId": name,
                    "parameters": {place: f"$response.body#{pointer}" for place, pointer in places.items()},
                }
                for name, places in operation.links.items()
            }
        yield str(status), answer


def _refusals(operation: Operation) -> Iterator[tuple[str, Json]]:
    """The refusals of an operation by status, each with its codes."""
    codes = refusals_of(operation)
    for status in dict.fromkeys(STATUS[code] for code in codes):
        if status in operation.answers:
            continue
        here = [code for code in codes if STATUS[code] == status]
        names = {429: ["Retry-After"], 503: ["Retry-After"], 401: ["WWW-Authenticate"]}.get(status, [])
        code = {"type": "object", "properties": {"code": {"enum": here}}}
        schema = {"allOf": [_schema(ErrorAnswer), {"type": "object", "properties": {"error": code}}]}
        yield (
            str(status),
            {
                "description": "\n".join(f"- `{code}`: {MEANING[code]}" for code in here),
                "headers": _headers(*names),
                "content": {JSON: {"schema": schema}},
            },
        )


def _has_client_id(operation: Operation) -> bool:
    return operation.has_effect and "client_order_id" in getattr(operation.body, "__struct_fields__", ())


def _example(value: object) -> Json:
    return {} if value is None else {"example": value}


def _about(kind: Any) -> str:
    """What a type says about itself: its docstring, in Markdown."""
    text = kind.__doc__ if isinstance(kind, type) and issubclass(kind, Struct) else None
    return "Done." if text is None else text.replace("``", "`")


def _schema(kind: Any) -> Json:
    schema: Json = _tidied(_all_schemas()[0][id(kind)])
    return schema


def _components() -> dict[str, Json]:
    """Every type that is named, by name. Queries are no types of their own: they are parameters."""
    queries = {operation.query.__name__ for operation in OPERATIONS}
    return {name: _tidied(schema) for name, schema in _all_schemas()[1].items() if name not in queries}


def _kinds() -> Iterator[Any]:
    """All types that the operations have."""
    yield ErrorAnswer
    yield from PATH_TYPES.values()
    for operation in OPERATIONS:
        yield operation.query
        if operation.body is not None:
            yield operation.body
        yield from (kind for kind in operation.answers.values() if not isinstance(kind, str))
        yield from operation.events.values()


@cache
def _all_schemas() -> tuple[dict[int, Json], dict[str, Json]]:
    """The schema of each type by its ``id``, and those that they refer to by name."""
    kinds = list(_kinds())
    schemas, components = msgspec.json.schema_components(kinds, schema_hook=_own_type, ref_template=REF)
    for body in {body for operation in OPERATIONS for body in (operation.body, *get_args(operation.body))}:
        if isinstance(body, type) and issubclass(body, Struct):
            _say_defaults(body, components[body.__name__]["properties"])
    components["ErrorCode"]["description"] += "\n\n" + "\n".join(
        f"- `{code}` ({status}): {MEANING[code]}" for code, status in STATUS.items()
    )
    return {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}, components


def _say_defaults(body: type[Struct], properties: Json) -> None:
    """Say what each field of a body is by default, in its description."""
    for field in msgspec.structs.fields(body):
        value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if value not in (None, msgspec.UNSET, msgspec.NODEFAULT):
            schema, text = properties[field.encode_name], encode(value).decode().strip('"')
            schema["description"] = f"{schema.get('description', '')} By default `{text}`.".strip()
            schema.pop("default", None)


def _tidied(schema: Any) -> Any:
    """A schema that says the same to everybody: no word of Python's own, no null as a default."""
    if isinstance(schema, list):
        return [_tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    tidied = {name: _tidied(part) for name, part in schema.items() if (name, part) != ("default", None)}
    if isinstance(tidied.get("title"), str):
        del tidied["title"]
    if isinstance(pattern := tidied.get("pattern"), str):
        tidied["pattern"] = pattern.replace(END, "$").replace(r"\d", "[0-9]")
    if isinstance(about := tidied.get("description"), str):
        tidied["description"] = about.replace("``", "`")
    if "enum" in tidied:
        tidied["type"] = "string"
    return tidied


def _own_type(kind: type[Any]) -> Json:
    """``schema_hook``: of a number that comes in."""
    if issubclass(kind, Number):
        literal = LITERAL.pattern.replace(r"\d", "[0-9]")
        pattern = f"^(none|{literal})$" if kind is Limit else f"^{literal}$"
        return {"type": ["string", "number"], "pattern": pattern}
    raise NotImplementedError(kind)
