"""Frames and their answers, for clients in other languages: ``python -m tests.web.agents.vectors`` writes them.

They go to ``docs/agents-vectors.json``. ``test_vectors.py`` sends them to a venue, in both subprotocols.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from perps.wire.agents import ENVELOPES_MAX, MSGPACK
from tests.web.agents.channel import Channel, channel
from tests.web.venue import Client, Json, OnMemory, Running, start

PAGE: Final = Path(__file__).parents[3] / "docs" / "agents-vectors.json"
ANY: Final = "*"
"""Stands for any value: times, ids of requests, the version."""

VOLATILE: Final = ("requestId", "version", "protocol")
MADE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|req-[0-9a-f]{24}")
"""Values that the venue makes: a time, a client order id."""

BEFORE: Final[list[Json]] = [
    {
        "method": "POST",
        "path": "/api/admin/markets",
        "body": {"ticker": "BTC-PERP", "organizationId": "acme", "name": "Bitcoin", "price": "50000"},
    },
    {"method": "POST", "path": "/api/admin/users", "body": {"userId": "ann", "deposit": "10000"}},
    {"method": "POST", "path": "/api/admin/keys", "body": {"scopes": ["read", "trade", "price"], "userId": "ann"}},
]
"""Over HTTP, with the administrator's key. The last answer has the key that the channel is opened with."""

OPEN: Final = {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10, "clientOrderId": "a-1"}
SHORT: Final = {"ticker": "BTC-PERP", "side": "short", "leverage": 10}
ORDER: Final = {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "500", "leverage": 5, "price": "40000"}

STORY: Final[list[Json]] = [
    {"name": "a ping, without a body", "frame": [[1, "ping"]]},
    {"name": "a body that is null", "frame": [[2, "balance", None]]},
    {"name": "an open", "frame": [[3, "open", OPEN]]},
    {"name": "the same again: the stored answer, and its header", "frame": [[4, "open", OPEN]]},
    {"name": "the same id for something else", "frame": [[5, "open", {**OPEN, "size": "2000"}]]},
    {"name": "a whole number for an amount", "frame": [[6, "quote", {**SHORT, "size": 1000}]]},
    {"name": "text with an exponent", "frame": [[28, "quote", {**SHORT, "size": "1e3"}]]},
    {"name": "an increase", "frame": [[7, "increase", {**OPEN, "positionId": "BTC-PERP-1", "clientOrderId": "a-2"}]]},
    {"name": "an increase of nothing", "frame": [[8, "increase", {**OPEN, "clientOrderId": "a-3"}]]},
    {"name": "exits", "frame": [[9, "triggers", {"positionId": "BTC-PERP-1", "stopLoss": "45000"}]]},
    {"name": "margin", "frame": [[10, "margin", {"positionId": "BTC-PERP-1", "amount": "25.5"}]]},
    {"name": "an order that waits", "frame": [[11, "order.place", {**ORDER, "clientOrderId": "a-5"}]]},
    {"name": "other terms for it", "frame": [[12, "order.replace", {"orderId": "BTC-PERP-o1", "price": "41000"}]]},
    {"name": "its end", "frame": [[13, "order.cancel", {"orderId": "BTC-PERP-o1"}]]},
    {"name": "the end of all orders", "frame": [[14, "order.cancelAll", {}]]},
    {"name": "a price", "frame": [[15, "price", {"ticker": "BTC-PERP", "price": "50100", "sequence": 1}]]},
    {"name": "markets", "frame": [[16, "markets"]]},
    {"name": "positions", "frame": [[17, "positions", {"userId": "me", "limit": 1}]]},
    {"name": "a close of a half", "frame": [[18, "close", {"positionId": "BTC-PERP-1", "percentage": "0.5"}]]},
    {
        "name": "several in one frame: each answered for itself",
        "frame": [
            [19, "open", {**OPEN, "leverage": 1000, "clientOrderId": "a-6"}],
            [20, "close", {"positionId": "BTC-PERP-9"}],
            [21, "withdraw", {}],
            [22, "open", {**OPEN, "side": "up"}],
            [23, "balance", {"userId": "bob"}],
            [24, "ping", {}],
        ],
    },
    {"name": "events of a user", "frame": [[25, "subscribe", {"user": "me"}]], "count": 1},
    {"name": "what an open tells", "frame": [[26, "open", {**OPEN, "clientOrderId": "a-7"}]], "count": 3},
    {"name": "no more events", "frame": [[27, "unsubscribe"]]},
    {"name": "nothing", "frame": [], "closes": 1009},
    {"name": "too many", "frame": [[number, "ping"] for number in range(1, ENVELOPES_MAX + 2)], "closes": 1009},
    {"name": "no array", "frame": {"id": 1, "kind": "ping"}, "closes": 1007},
    {"name": "an id that is 0", "frame": [[0, "ping"]], "closes": 1007},
    {"name": "half a frame", "text": '[[1, "ping"', "msgpack": "9192", "closes": 1007},
]


async def prepared(venue: Running) -> Client:
    """What the vectors need, and the key that they are sent with."""
    key = ""
    for request in BEFORE:
        answer = await venue.admin.ask(request["method"], request["path"], data=msgspec.json.encode(request["body"]))
        assert answer.status == 201, answer.body
        key = answer.json.get("key", key)
    return Client(venue.session, venue.url, key, "ann")


def sent(vector: Json, protocol: str) -> bytes:
    """A vector's frame, byte by byte."""
    if protocol == MSGPACK:
        return bytes.fromhex(vector["msgpack"])
    text = vector["text"] if "text" in vector else json.dumps(vector["frame"])
    return str(text).encode()


async def replied(agent: Channel, vector: Json, protocol: str, *, answers: int, events: int) -> Json:
    """What comes back: so many answers and events, or the code that the channel is closed with."""
    agent.answers.clear()
    agent.headers.clear()
    agent.events.clear()
    await agent.send_raw(sent(vector, protocol))
    if "closes" in vector:
        return {"closes": (await agent.closed())[0]}
    while len(agent.answers) < answers or len(agent.events) < events:
        await agent.frame()
    found: Json = {
        "answers": [
            [one, *agent.answers[one], *([agent.headers[one]] if agent.headers[one] else [])]
            for one in sorted(agent.answers)
        ]
    }
    return found | ({"events": [[0, *event] for event in agent.events]} if events else {})


def steady(value: Any, name: str = "") -> Any:
    """What came, with ``ANY`` for what differs from one venue to the next."""
    if isinstance(value, dict):
        return {key: steady(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [steady(inner) for inner in value]
    if name in VOLATILE or (isinstance(value, str) and MADE.fullmatch(value)):
        return ANY
    return value


async def recorded() -> Json:
    """All vectors, as a venue answers them."""
    vectors: list[Json] = []
    async with aiohttp.ClientSession() as session, AsyncExitStack() as stack:
        venue = await start(OnMemory(), session)
        ann = await prepared(venue)
        agent = await stack.enter_async_context(channel(ann, MSGPACK))
        hello = steady(agent.hello)
        for told in STORY:
            vector = {name: value for name, value in told.items() if name != "count"}
            if "frame" in vector:
                vector["msgpack"] = msgspec.msgpack.encode(vector["frame"]).hex()
            found = await replied(
                agent, vector, MSGPACK, answers=len(vector.get("frame", ())), events=told.get("count", 0)
            )
            vectors.append(vector | steady(found))
            if "closes" in vector:
                agent = await stack.enter_async_context(channel(ann, MSGPACK))
        await stack.aclose()
        await venue.venue.close()
    return {"before": BEFORE, "hello": hello, "vectors": vectors}


if __name__ == "__main__":
    lines = asyncio.run(recorded())
    each = ",\n    ".join(json.dumps(vector, ensure_ascii=False) for vector in lines.pop("vectors"))
    head = json.dumps(lines, ensure_ascii=False, indent=1)[:-2]
    PAGE.write_text(f'{head},\n "vectors": [\n    {each}\n ]\n}}\n')
