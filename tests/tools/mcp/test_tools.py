"""Tools are the contract's operations: their names, words and schemas, and what a call becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from yarl import URL

from perps.client import Venue
from tests.client.scripted import Relay, listening, refusal, serving
from tests.tools.mcp.session import DOCS, a_venue, in_the_page, played
from tests.web.venue import ADMIN_KEY, Running
from tools.mcp.calls import Answer, answer
from tools.mcp.server import server
from tools.mcp.tools import NAMED, TOOLS, description_of, fields_of, input_schema, output_schema, title_of, tools

CHANGING = ["open_position", "close_position", "set_triggers", "place_order", "cancel_order"]
OPENING: Mapping[str, Any] = {"ticker": "BTC-PERP", "side": "long", "size": "100", "leverage": 10}


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue with BTC-PERP at 10,000 and ann, who has 1,000 US dollars."""
    async with a_venue() as running:
        yield running


async def call(venue: Running, name: str, **arguments: Any) -> Answer:
    """A call with ann's key."""
    return await answer(venue.url, venue.keys["ann"], NAMED[name], arguments)


def code_of(said: Answer) -> str:
    """Of an answer that must be an error."""
    assert said.is_error, said.value
    code: str = said.value["error"]["code"]
    return code


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_is_described_in_the_contracts_words(tool: Any) -> None:
    Draft202012Validator.check_schema(input_schema(tool.name))
    Draft202012Validator.check_schema(output_schema(tool.name))
    assert title_of(tool)
    assert "userId" not in input_schema(tool.name)["properties"], "it acts for the user of its key"
    if tool.operation is None:
        return
    assert description_of(tool).startswith(tool.operation.summary)
    assert tool.is_read_only is not tool.operation.has_effect
    assert input_schema(tool.name)["properties"].keys() == fields_of(tool.name).keys() - {"userId"}
    if tool.operation.body is not None:
        assert set(tool.operation.body.__struct_encode_fields__) <= fields_of(tool.name).keys()


def test_the_list_of_tools_is_short_enough_to_be_read_again_and_again() -> None:
    told = [(description_of(tool), input_schema(tool.name)) for tool in TOOLS]
    assert len(json.dumps(told)) < 20_000
    assert len(json.dumps([output_schema(tool.name) for tool in TOOLS])) < 40_000


def test_a_server_that_only_reads_offers_nothing_that_changes() -> None:
    assert [tool.name for tool in TOOLS if tool not in tools(read_only=True)] == CHANGING


def test_every_tool_is_in_the_page() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert all(f"`{tool.name}`" in page for tool in TOOLS)


async def test_the_session_of_the_page_is_what_a_venue_answers() -> None:
    assert (await asyncio.to_thread(in_the_page)).strip() == (await played()).strip(), (
        "python -m tests.tools.mcp.session writes it anew"
    )


async def test_every_answer_fits_the_schema_that_its_tool_promises(venue: Running) -> None:
    order = {**OPENING, "type": "limit", "price": "9000"}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_markets", {}),
        ("get_market", {"ticker": "BTC-PERP"}),
        ("quote_open", {**OPENING}),
        ("open_position", {**OPENING}),
        ("set_triggers", {"positionId": "BTC-PERP-1", "takeProfit": "11000"}),
        ("list_positions", {}),
        ("close_position", {"positionId": "BTC-PERP-1"}),
        ("place_order", order),
        ("list_orders", {"status": "all"}),
        ("get_order", {"orderId": "BTC-PERP-o1"}),
        ("cancel_order", {"orderId": "BTC-PERP-o1"}),
        ("get_balance", {}),
        ("get_candles", {"ticker": "BTC-PERP", "interval": "1m", "limit": 5}),
        ("get_events", {"after": "1-2", "waitSeconds": 1}),
    ]
    assert {name for name, _ in calls} == set(NAMED)
    for name, arguments in calls:
        said = await call(venue, name, **arguments)
        assert not said.is_error, said.value
        Draft202012Validator(output_schema(name)).validate(said.value)
        assert json.loads(said.text) == said.value


async def test_a_number_arrives_exactly_as_it_was_written(venue: Running) -> None:
    await call(venue, "open_position", **{**OPENING, "size": 100.1})
    said = await call(venue, "close_position", positionId="BTC-PERP-1", percentage=0.1)
    assert said.value["fill"]["quantity"] == "0.001"


@pytest.mark.parametrize(
    ("name", "arguments", "code", "words"),
    [
        ("open_position", {**OPENING, "leverage": 500}, "leverage_too_high", '"maxLeverage": 100'),
        ("open_position", {**OPENING, "size": "1"}, "position_size_too_small", "minOrderSize"),
        ("open_position", {**OPENING, "size": "9000000"}, "insufficient_funds", "required"),
        ("get_order", {"orderId": ".."}, "validation_error", "orderId: '..' is no id"),
        ("get_candles", {"ticker": ".", "interval": "1m"}, "validation_error", "ticker: '.' does not match"),
        ("get_market", {"ticker": ""}, "validation_error", "ticker"),
        ("open_position", {**OPENING, "userId": "bob"}, "validation_error", "userId"),
        ("open_position", {"ticker": "BTC-PERP"}, "validation_error", "is a required property"),
        ("open_position", {**OPENING, "side": "up"}, "validation_error", "'up' is not one of"),
        ("get_market", {"ticker": "DOGE"}, "market_not_found", "market"),
        ("get_market", {}, "validation_error", "'ticker' is a required property"),
        ("close_position", {"positionId": "BTC-PERP-9"}, "position_not_found", "position"),
        ("get_events", {"limit": 0}, "validation_error", "limit"),
    ],
)
async def test_a_refusal_says_its_code_and_what_would_fit(
    venue: Running, name: str, arguments: Mapping[str, Any], code: str, words: str
) -> None:
    said = await call(venue, name, **arguments)
    assert code_of(said) == code
    assert said.text.startswith(f"{code}: ")
    assert words in said.text


async def test_without_a_key_there_is_market_data_alone(venue: Running) -> None:
    nothing: Mapping[str, Any] = {}
    for name in ("list_markets", "get_events"):
        assert not (await answer(venue.url, None, NAMED[name], nothing)).is_error
    for name, arguments in (("get_balance", nothing), ("open_position", OPENING), ("list_positions", nothing)):
        assert code_of(await answer(venue.url, None, NAMED[name], arguments)) == "unauthorized"


async def test_a_command_gets_an_id_and_however_often_answers_are_lost_it_is_done_once(venue: Running) -> None:
    relay = Relay(URL(venue.url).port or 0)
    async with listening(relay.serve) as url:
        relay.lost = 2
        said = await answer(url, venue.keys["ann"], NAMED["open_position"], OPENING)
    assert not said.is_error, said.value
    assert said.value["clientOrderId"]
    again = await call(venue, "open_position", **OPENING, clientOrderId=said.value["clientOrderId"])
    assert again.value == said.value
    async with Venue(venue.url, ADMIN_KEY) as admin:
        assert len([trade async for trade in admin.list_user_trades("ann")]) == 1


async def test_an_outcome_that_stays_unknown_tells_the_id_to_send_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.mcp.calls.RETRY_S", 0.2)
    async with serving(refusal(503, "outcome_unknown", **{"Retry-After": "0"})) as scripted:
        said = await answer(scripted.url, "key", NAMED["open_position"], OPENING)
    assert code_of(said) == "outcome_unknown"
    sent = {asked.json["clientOrderId"] for asked in scripted.asked}
    assert sent == {said.value["error"]["details"]["clientOrderId"]}
    assert len(scripted.asked) > 1


async def test_events_come_once_in_order_and_go_on_where_the_last_call_ended(venue: Running) -> None:
    here = (await call(venue, "get_events")).value
    assert (here["events"], here["missed"]) == ([], False)
    await call(venue, "open_position", **OPENING)
    await venue.price("10100", reason="A fund buys in")
    first = (await call(venue, "get_events", after=here["next"], limit=1)).value
    second = (await call(venue, "get_events", after=first["next"])).value
    assert {event["event"] for event in first["events"]} == {"trade", "position", "balance"}
    assert [(event["event"], event["data"]["reason"]) for event in second["events"]] == [("price", "A fund buys in")]
    nothing = (await call(venue, "get_events", after=second["next"], waitSeconds=0.1)).value
    assert (nothing["events"], nothing["next"]) == ([], second["next"])


async def test_a_place_that_is_too_old_says_that_events_are_missing(venue: Running) -> None:
    said = (await call(venue, "get_events", after="99-1")).value
    assert (said["events"], said["missed"]) == ([], True)
    assert said["next"] != "99-1"


async def test_a_server_that_only_reads_refuses_what_changes(venue: Running) -> None:
    async with Client(server(venue.url, lambda _: venue.keys["ann"], read_only=True)) as client:
        assert not {tool.name for tool in (await client.list_tools()).tools} & set(CHANGING)
        result = await client.call_tool("open_position", {**OPENING})
        assert result.is_error
        assert "this server only reads" in result.content[0].text  # type: ignore[union-attr]
        assert "there is no tool 'buy'" in (await client.call_tool("buy", {})).content[0].text  # type: ignore[union-attr]
