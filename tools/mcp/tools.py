"""Which operations of the contract are tools, and how they are described. All words and schemas are the contract's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from msgspec import Struct

from perps.wire import history, markets, trading, triggers, users
from perps.wire.contract.openapi import document
from perps.wire.operation import Operation
from perps.wire.orders import cancelling, placing, reading

Json = dict[str, Any]

VERSION: Final = version("perps")

REF: Final = "#/components/schemas/"
DEFS: Final = "#/$defs/"
JSON: Final = "application/json"
WORDS: Final = frozenset(("description", "examples", "pattern", "format"))
ABOUT_ID: Final = " Made for you if you leave it out; send a call again with the id of its answer, and it is done once."


class Tool(Struct, frozen=True):
    """One tool. Its annotations are hints for whoever asks the user before a call."""

    name: str
    operation: Operation | None
    """None: ``get_events``, which reads a stream."""
    is_read_only: bool = True
    is_destructive: bool = False
    """It takes something away that was there: a position, an order, a trigger."""
    is_idempotent: bool = True
    """A second call with the same arguments changes nothing more."""
    hint: str = ""
    """What a model should know besides what the contract says."""


TOOLS: Final = (
    Tool("list_markets", markets.LIST_MARKETS, hint="Long. Use get_market if you know the ticker."),
    Tool("get_market", markets.GET_MARKET),
    Tool("get_candles", history.CANDLES),
    Tool("quote_open", trading.QUOTE, hint="Ask before you open: price, fee, margin and liquidation price."),
    Tool(
        "open_position",
        trading.OPEN,
        is_read_only=False,
        is_idempotent=False,
        hint="It spends the user's money. size is notional in US dollars; the margin is about size / leverage.",
    ),
    Tool("close_position", trading.CLOSE, is_read_only=False, is_destructive=True, is_idempotent=False),
    Tool(
        "set_triggers",
        triggers.TRIGGERS,
        is_read_only=False,
        is_destructive=True,
        hint="Both are set anew: what you leave out is taken away.",
    ),
    Tool("place_order", placing.PLACE, is_read_only=False, is_idempotent=False),
    Tool("cancel_order", cancelling.CANCEL, is_read_only=False, is_destructive=True),
    Tool("list_positions", trading.POSITIONS),
    Tool("list_orders", reading.LIST),
    Tool("get_balance", users.BALANCE),
    Tool("get_order", reading.GET),
    Tool("get_events", None),
)
"""In the order in which they are listed."""

NAMED: Final = {tool.name: tool for tool in TOOLS}

OWN: Final = "userId"
"""A tool acts for the user of its key: nobody says whose."""

EVENTS_MAX: Final = 200
WAIT_S_MAX: Final = 20

EVENTS_ABOUT: Final = (
    "What has happened since an earlier call: prices, trades, liquidations, funding; of your own account orders, "
    "positions and balance. Without `after` it says only where the stream is now. Send its `next` as `after` to hear "
    "what came since. Each event comes once and in order."
)
EVENTS_INPUT: Final[Json] = {
    "type": "object",
    "properties": {
        "after": {"type": "string", "description": "The `next` of an earlier call."},
        "tickers": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Only these markets. By default all.",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": EVENTS_MAX,
            "description": "Stop after about so many events. By default 50.",
        },
        "waitSeconds": {
            "type": "number",
            "minimum": 0,
            "maximum": WAIT_S_MAX,
            "description": "How long to wait for the first event. By default 2.",
        },
    },
    "additionalProperties": False,
}
EVENTS_OUTPUT: Final[Json] = {
    "type": "object",
    "properties": {
        "events": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"event": {"type": "string"}, "data": {"type": "object"}},
                "required": ["event", "data"],
            },
        },
        "next": {"type": ["string", "null"], "description": "Send it as `after`."},
        "missed": {"type": "boolean", "description": "`after` is too old: events are missing. Look at lists instead."},
    },
    "required": ["events", "next", "missed"],
}


def tools(*, read_only: bool) -> tuple[Tool, ...]:
    """All tools, or those that change nothing."""
    return tuple(tool for tool in TOOLS if tool.is_read_only or not read_only)


def title_of(tool: Tool) -> str:
    """For people."""
    return "See what has happened" if tool.operation is None else tool.operation.summary.partition(". ")[0]


def description_of(tool: Tool) -> str:
    """For models."""
    if tool.operation is None:
        return EVENTS_ABOUT
    parts = (tool.operation.summary, tool.operation.description, tool.hint)
    return " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)


@cache
def input_schema(name: str) -> Json:
    """What a tool takes, as JSON Schema: path, query and body of its operation in one object, without whose it is."""
    operation = NAMED[name].operation
    if operation is None:
        return EVENTS_INPUT
    described = _described(operation)
    properties: Json = {}
    required: list[str] = []
    for parameter in described["parameters"]:
        if parameter["name"] == OWN or parameter["in"] == "header":
            continue
        properties[parameter["name"]] = {**parameter["schema"], "description": parameter.get("description", "")}
        required += [parameter["name"]] if parameter["required"] else []
    body = described.get("requestBody")
    if body is not None:
        schema = _component(body["content"][JSON]["schema"]["$ref"])
        properties |= {field: value for field, value in schema["properties"].items() if field != OWN}
        required += schema.get("required", [])
    if "clientOrderId" in properties:
        told = properties["clientOrderId"]
        properties["clientOrderId"] = {**told, "description": told.get("description", "") + ABOUT_ID}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return _whole(schema | ({"required": required} if required else {}))


@cache
def output_schema(name: str) -> Json:
    """What a tool answers, as JSON Schema: names and types. With its words the list of tools would be three times as
    long, and a model reads it again and again.
    """
    operation = NAMED[name].operation
    if operation is None:
        return EVENTS_OUTPUT
    answer = _described(operation)["responses"][str(operation.status)]
    found: Json = _without_words(_whole(_component(answer["content"][JSON]["schema"]["$ref"])))
    return found


@cache
def fields_of(name: str) -> Mapping[str, str]:
    """What the client calls each argument, by the contract's name."""
    operation = NAMED[name].operation
    if operation is None:
        raise ValueError(f"{name} is no operation")
    kinds = [operation.query, *([] if operation.body is None else [operation.body])]
    found = {
        outside: inside
        for kind in kinds
        for inside, outside in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    }
    places = {part[1:-1] for part in operation.path.split("/") if part.startswith("{")}
    return found | {place: _snake(place) for place in places}


@cache
def _contract() -> Json:
    found: Json = json.loads(document(VERSION))
    return found


def _described(operation: Operation) -> Json:
    found: Json = _contract()["paths"][operation.path][operation.method.lower()]
    return found


def _component(ref: str) -> Json:
    found: Json = _contract()["components"]["schemas"][ref.removeprefix(REF)]
    return found


def _whole(schema: Json) -> Json:
    """A schema with all that it refers to inside."""
    needed: dict[str, Json] = {}
    waiting = list(_refs(schema))
    while waiting:
        ref = waiting.pop()
        if ref not in needed:
            needed[ref] = _component(ref)
            waiting += _refs(needed[ref])
    definitions = {ref.removeprefix(REF): _inside(found) for ref, found in sorted(needed.items())}
    found: Json = _inside(schema)
    return found | ({"$defs": definitions} if definitions else {})


def _refs(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for name, part in schema.items():
            if name == "$ref":
                yield part
            else:
                yield from _refs(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _refs(part)


def _inside(schema: Any) -> Any:
    """The same with references to its own definitions."""
    if isinstance(schema, dict):
        return {
            name: part.replace(REF, DEFS) if name == "$ref" else _inside(part)
            for name, part in schema.items()
            if name != "discriminator"
        }
    return [_inside(part) for part in schema] if isinstance(schema, list) else schema


def _without_words(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: _without_words(part)
            for name, part in schema.items()
            if name not in WORDS or not isinstance(part, str | list)
        }
    return [_without_words(part) for part in schema] if isinstance(schema, list) else schema


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
