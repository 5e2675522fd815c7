"""Envelopes are requests: the same answers, refusals, scopes, budgets and ids as over HTTP."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Struct

from perps.wire.agents import ENVELOPES_MAX, IN_FLIGHT_MAX, JSON, KINDS, MSGPACK, OWN_KINDS
from perps.wire.base import decoder
from tests.web.agents.channel import PROTOCOLS, channel
from tests.web.conftest import Starter
from tests.web.venue import Json, OnMemory, Running
from web.compose import Limits
from web.limits.admission import RequestLimits

OPEN = {"ticker": "BTC-PERP", "side": "long", "size": "1000", "leverage": 10}


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    """Either subprotocol."""
    name: str = request.param
    return name


async def test_the_first_event_says_who_the_key_is_and_what_the_channel_takes(venue: Running, protocol: str) -> None:
    ann = await venue.user("ann")
    async with channel(ann, protocol) as agent:
        assert agent.socket.protocol == protocol
        assert agent.hello == {
            "version": agent.hello["version"],
            "protocol": protocol,
            "userId": "ann",
            "scopes": ["read", "trade"],
            "inFlightMax": IN_FLIGHT_MAX,
            "envelopesMax": ENVELOPES_MAX,
            "frameBytesMax": 65536,
            "heartbeat": 15,
            "offset": venue.venue.context.model.offset,
        }


async def test_every_kind_answers_what_its_operation_answers(venue: Running, protocol: str) -> None:
    """Each kind is done here once, in a story; each answer is of the operation's type, and has its status."""
    await venue.user("ann")
    ann = await venue.key("read", "trade", "price", userId="ann")
    order = {**OPEN, "type": "limit", "price": "40000"}
    story: list[tuple[str, Json | None]] = [
        ("open", {**OPEN, "clientOrderId": "one"}),
        ("increase", {**OPEN, "positionId": "BTC-PERP-1"}),
        ("close", {"positionId": "BTC-PERP-1", "percentage": "0.5"}),
        ("margin", {"positionId": "BTC-PERP-1", "amount": "10"}),
        ("triggers", {"positionId": "BTC-PERP-1", "takeProfit": "60000"}),
        ("order.place", order),
        ("order.replace", {"orderId": "BTC-PERP-o1", "price": "41000"}),
        ("order.cancel", {"orderId": "BTC-PERP-o1"}),
        ("order.place", order),
        ("order.cancelAll", {}),
        ("price", {"ticker": "BTC-PERP", "price": "50001"}),
        ("quote", OPEN),
        ("positions", {"limit": 5}),
        ("balance", None),
        ("markets", {}),
    ]
    assert {kind for kind, _ in story} == KINDS.keys()
    async with channel(ann, protocol) as agent:
        for number, (kind, body) in enumerate(story, 1):
            envelope = (number, kind) if body is None else (number, kind, body)
            ((status, answer),) = await agent.ask(envelope)
            operation = KINDS[kind].operation
            assert status == operation.status, (kind, answer)
            kind_of_answer = operation.answers[operation.status]
            assert issubclass(kind_of_answer, Struct)
            read = decoder(kind_of_answer).decode(msgspec.json.encode(answer))
            assert set(answer) <= set(kind_of_answer.__struct_encode_fields__), kind
            assert read.offset
    assert venue.venue.context.agents.kept.keys() == {f"{protocol} listMarkets"}


async def test_an_answer_has_the_fields_and_values_that_http_has(venue: Running, protocol: str) -> None:
    ann = await venue.user("ann")
    by_http = await ann.opened(clientOrderId="one")
    async with channel(ann, protocol) as agent:
        answers = await agent.ask(
            (1, "open", {**OPEN, "clientOrderId": "one"}), (2, "balance"), (3, "positions"), (4, "markets")
        )
        assert answers[0] == (201, by_http), "the id is known: the stored answer, whoever brought it"
        assert agent.headers[1] == {"Idempotent-Replay": "true"}
        assert answers[1] == (200, await ann.balance())
        assert answers[2][1] == (await ann.get("/api/markets/positions/ann")).ok()
        assert answers[3][1] == (await ann.get("/api/markets/perps")).ok()
        assert agent.headers[2] == {}


async def test_a_refusal_is_the_one_of_http(venue: Running, protocol: str) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await bob.opened()
    refused: list[tuple[str, Json, tuple[str, str, Json]]] = [
        ("open", {**OPEN, "leverage": 500}, ("POST", "/api/markets/perps/open", {**OPEN, "leverage": 500})),
        ("open", {**OPEN, "side": "up"}, ("POST", "/api/markets/perps/open", {**OPEN, "side": "up"})),
        ("open", {**OPEN, "extra": 1}, ("POST", "/api/markets/perps/open", {**OPEN, "extra": 1})),
        ("open", {**OPEN, "size": "many"}, ("POST", "/api/markets/perps/open", {**OPEN, "size": "many"})),
        ("open", {**OPEN, "ticker": "NO"}, ("POST", "/api/markets/perps/open", {**OPEN, "ticker": "NO"})),
        ("open", {**OPEN, "userId": "bob"}, ("POST", "/api/markets/perps/open", {**OPEN, "userId": "bob"})),
        ("close", {"positionId": "BTC-PERP-1"}, ("POST", "/api/markets/perps/BTC-PERP-1/close", {})),
        ("close", {"positionId": "BTC-PERP-9"}, ("POST", "/api/markets/perps/BTC-PERP-9/close", {})),
        ("margin", {"positionId": "x", "amount": "1"}, ("POST", "/api/markets/perps/x/margin", {"amount": "1"})),
        ("order.cancel", {"orderId": "BTC-PERP-o7"}, ("DELETE", "/api/orders/BTC-PERP-o7", {})),
        ("price", {"ticker": "BTC-PERP", "price": "1"}, ("POST", "/api/markets/perps/BTC-PERP/price", {"price": "1"})),
        ("balance", {"userId": "bob"}, ("GET", "/api/users/bob/balance", {})),
    ]
    async with venue.unchanged(), channel(ann, protocol) as agent:
        for number, (kind, body, (method, path, sent)) in enumerate(refused, 1):
            ((status, answer),) = await agent.ask((number, kind, body))
            by_http = await ann.ask(method, path, data=msgspec.json.encode(sent) if sent else None)
            error, expected = answer["error"], by_http.error()
            assert (status, error["code"], error["message"]) == (by_http.status, expected["code"], expected["message"])
            assert error["details"].keys() == expected["details"].keys(), kind
            assert len(error["requestId"]) == 24


async def test_fields_that_http_has_in_the_path_are_in_the_body(venue: Running, protocol: str) -> None:
    ann = await venue.user("ann")
    async with channel(ann, protocol) as agent:
        answers = await agent.ask(
            (1, "close", {}),
            (2, "close"),
            (3, "increase", OPEN),
            (4, "balance", {"userId": "no one"}),
            (5, "price", None),
        )
    assert [status for status, _ in answers] == [400] * 5
    assert [answer["error"]["message"] for _, answer in answers[:3]] == ["positionId is missing."] * 3
    assert [answer["error"]["details"]["field"] for _, answer in answers] == [
        "positionId",
        "positionId",
        "positionId",
        "userId",
        "ticker",
    ]


async def test_an_unknown_kind_is_not_found_and_the_others_of_its_frame_are_done(venue: Running, protocol: str) -> None:
    ann = await venue.user("ann")
    async with channel(ann, protocol) as agent:
        unknown, opened = await agent.ask((1, "deposit", {}), (2, "open", OPEN))
    assert (unknown[0], unknown[1]["error"]["code"]) == (404, "not_found")
    assert unknown[1]["error"]["details"] == {"allowed": [*KINDS, *OWN_KINDS]}
    assert opened[0] == 201


async def test_a_name_that_is_there_twice_is_an_error(venue: Running, protocol: str) -> None:
    ann = await venue.user("ann")
    async with venue.unchanged(), channel(ann, protocol) as agent:
        if protocol == JSON:
            await agent.send_raw(b'[[1,"balance",{"userId":"ann","userId":"ann"}]]')
        else:
            pair = msgspec.msgpack.encode("userId") + msgspec.msgpack.encode("ann")
            await agent.send_raw(b"\x91\x93\x01" + msgspec.msgpack.encode("balance") + b"\x82" + pair * 2)
        ((status, answer),) = await agent.until(1)
    assert (status, answer["error"]["code"]) == (400, "validation_error")


async def test_a_float_of_messagepack_is_no_number(venue: Running) -> None:
    ann = await venue.user("ann")
    async with venue.unchanged(), channel(ann, MSGPACK) as agent:
        ((status, answer),) = await agent.ask((1, "open", {**OPEN, "size": 100.5}))
    assert (status, answer["error"]["details"]) == (400, {"field": "size"})
    assert "float" in answer["error"]["message"]


async def test_numbers_are_read_as_they_are_written(venue: Running, protocol: str) -> None:
    ann = await venue.user("ann")
    async with channel(ann, protocol) as agent:
        whole, text = await agent.ask((1, "quote", {**OPEN, "size": 1000}), (2, "quote", {**OPEN, "size": "1e3"}))
    assert whole == text


async def test_each_envelope_pays_what_its_request_would_pay(starter: Starter) -> None:
    venue = await starter(OnMemory(), limits=Limits(requests=RequestLimits(key_points_per_s=10)))
    await venue.market()
    ann = await venue.user("ann")
    async with channel(ann) as agent:  # two points have gone: for a channel as for a stream
        await agent.ask(*((number, "quote", OPEN) for number in range(1, 19)))
        assert [status for status, _ in agent.answers.values()] == [200] * 18
        ((status, answer),) = await agent.ask((19, "open", OPEN))
        assert (status, answer["error"]["code"]) == (429, "rate_limited")
        assert answer["error"]["details"] == {"limit": 20, "weight": 2}
        assert int(agent.headers[19]["Retry-After"]) >= 1
    assert (await ann.get("/api/users/ann/balance")).status == 429, "one budget, whatever the way"


async def test_a_key_does_here_what_it_may_do_over_http(venue: Running, protocol: str) -> None:
    await venue.user("ann")
    reader = await venue.key("read", userId="ann")
    feed = await venue.key("price")
    async with channel(reader, protocol) as agent:
        answers = await agent.ask((1, "balance"), (2, "open", OPEN), (3, "quote", OPEN), (4, "order.cancelAll"))
        assert [status for status, _ in answers] == [200, 403, 403, 403]
    async with channel(feed, protocol) as agent:
        answers = await agent.ask((1, "price", {"ticker": "BTC-PERP", "price": "50500"}), (2, "balance"))
        assert [status for status, _ in answers] == [200, 403]
    async with channel(venue.admin, protocol) as agent:
        answers = await agent.ask((1, "open", {**OPEN, "userId": "ann"}), (2, "open", OPEN), (3, "balance"))
        assert [status for status, _ in answers] == [201, 400, 400]
