"""``/openapi.json`` says what the venue does: a valid document, examples that fit, types that take what it takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from perps.wire.base import Answer, decoder
from perps.wire.contract.examples import EXAMPLES
from perps.wire.contract.openapi import document
from perps.wire.contract.operations import OPERATIONS
from perps.wire.errors import STATUS
from perps.wire.operation import EVENTS, TAGS, Operation, refusals_of
from perps.wire.trading import OpenBody
from tests.web.events import listening
from tests.web.venue import Running

Json = dict[str, Any]

API = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
DOCUMENT: Json = json.loads(document("1.2.3"))
BY_NAME = {operation.name: operation for operation in OPERATIONS}


def _parts(value: object) -> Iterator[Json]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(inner)


def _closed(value: Any) -> Any:
    """A schema that takes only the fields it names: what an answer has is to be in the contract."""
    if isinstance(value, list):
        return [_closed(part) for part in value]
    if not isinstance(value, dict):
        return value
    closed = {name: _closed(part) for name, part in value.items()}
    if "properties" in closed and closed.get("type") == "object" and "required" in closed:
        closed["additionalProperties"] = False
    return closed


CLOSED: Json = _closed(DOCUMENT)


def _check(schema: Json, value: object) -> None:
    whole = {**schema, "components": CLOSED["components"]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def _described(operation: Operation) -> Json:
    found: Json = DOCUMENT["paths"][operation.path][operation.method.lower()]
    return found


def _answers_json(operation: Operation) -> bool:
    kind = operation.answers[operation.status]
    return isinstance(kind, type) and issubclass(kind, Answer)


def test_the_document_is_valid(tmp_path: Path) -> None:
    """In a process of its own: the validator leaves objects behind that read files when a test looks at them."""
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    command = (sys.executable, "-m", "openapi_spec_validator", "--schema", "3.1", "openapi.json")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "openapi.json: OK\n"), done.stdout + done.stderr


def test_it_says_which_venue_it_is_of() -> None:
    assert DOCUMENT["info"]["version"] == "1.2.3"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_in_it_with_its_key_and_its_statuses(operation: Operation) -> None:
    described = _described(operation)

    assert described["operationId"] == operation.name
    assert described["tags"] == [operation.tag]
    assert operation.tag in TAGS
    scopes = [operation.scope] if operation.scope else []
    assert ({"key": scopes} in described["security"]) == ("401" in described["responses"])
    is_for_anybody = not described["security"] or {} in described["security"]
    assert is_for_anybody == (operation.may_be_public or (operation.scope is None and not operation.any_key))
    statuses = {STATUS[code] for code in refusals_of(operation)} | set(operation.answers)
    assert {int(status) for status in described["responses"]} == statuses
    for status, answer in described["responses"].items():
        assert ("Retry-After" in answer["headers"]) == (
            int(status) in (429, 503) and int(status) not in operation.answers
        )
        assert "X-Request-Id" in answer["headers"]


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if _answers_json(each)], ids=lambda each: each.name)
def test_every_operation_has_an_example_that_fits_its_types(operation: Operation) -> None:
    assert operation.name in EXAMPLES, "it needs an example in perps/wire/contract/examples.py"
    example, described = EXAMPLES[operation.name], CLOSED["paths"][operation.path][operation.method.lower()]

    answer = described["responses"][str(operation.status)]["content"]["application/json"]
    assert answer["example"] == example.answer
    _check(answer["schema"], example.answer)
    assert (example.body is None) == (operation.body is None)
    if operation.body is not None:
        body = described["requestBody"]["content"]["application/json"]
        assert body["example"] == example.body
        _check(body["schema"], example.body)
        decoder(operation.body).decode(json.dumps(example.body))


def test_the_samples_of_the_documentation_are_the_examples() -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", API, re.DOTALL)]
    known = [value for example in EXAMPLES.values() for value in (example.answer, example.body)]
    others = [block for block in blocks if block not in known]

    assert [set(block) for block in others if "error" not in block] == [
        {"order", "newBalance", "clientOrderId", "offset"},
        {"ticker", "price", "preset"},
        {"ticker", "price", "maxOpenInterest", "tiers"},
    ], "a sample of docs/api.md is an answer or a body in perps/wire/contract/examples.py, word for word"
    for block in others:
        kind = "ErrorAnswer" if "error" in block else "Pending" if "order" in block else "MarketBody"
        _check({"$ref": f"#/components/schemas/{kind}"}, block)


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.links], ids=lambda each: each.name)
def test_every_link_leads_to_an_operation_with_all_places_of_its_path(operation: Operation) -> None:
    for name, places in operation.links.items():
        assert set(re.findall(r"{(\w+)}", BY_NAME[name].path)) == set(places)
        for pointer in places.values():
            value = EXAMPLES[operation.name].answer
            for part in pointer.split("/")[1:]:
                value = value[part]
            assert isinstance(value, str)


def test_it_has_no_word_of_pythons_own_and_no_null_by_default() -> None:
    for part in _parts(DOCUMENT):
        assert part.get("default", "") is not None
        if isinstance(pattern := part.get("pattern"), str):
            assert r"\s" not in pattern
            assert r"\d" not in pattern, "what a digit is depends on the engine"


def test_a_field_with_a_default_is_optional_and_says_its_default_in_words() -> None:
    listing = DOCUMENT["components"]["schemas"]["MarketBody"]

    assert set(listing["required"]) == {"ticker", "price"}
    assert "By default `10`." in listing["properties"]["minOrderSize"]["description"]
    assert "By default `none`." in listing["properties"]["houseCreditLimit"]["description"]
    bodies = [DOCUMENT["components"]["schemas"][name] for name in DOCUMENT["components"]["schemas"] if "Body" in name]
    assert not [part for body in bodies for part in _parts(body) if "default" in part]


@pytest.mark.parametrize(
    "text", ["12", "12.5", "-0.1", "1e3", '"12.5"', '"1E-2"', '"abc"', '"1,5"', '""', '"0x1"', '"01"', "true"]
)
def test_a_number_is_what_the_venue_takes_as_one(text: str) -> None:
    body = f'{{"ticker": "A", "side": "long", "size": {text}, "leverage": 1}}'
    try:
        decoder(OpenBody).decode(body)
        is_taken = True
    except msgspec.DecodeError:
        is_taken = False

    schema = {"$ref": "#/components/schemas/OpenBody", "components": DOCUMENT["components"]}
    assert Draft202012Validator(schema).is_valid(json.loads(body)) == is_taken


def test_every_code_is_explained_in_the_catalogue() -> None:
    catalogue = DOCUMENT["components"]["schemas"]["ErrorCode"]["description"]

    for code, status in STATUS.items():
        assert f"- `{code}` ({status}): " in catalogue


async def test_every_event_of_a_stream_fits_its_type(venue: Running) -> None:
    operation = BY_NAME["streamMarkets"]
    schema = CLOSED["paths"][operation.path]["get"]["responses"]["200"]["content"][EVENTS]["schema"]["x-events"]
    ann = await venue.user("ann", "100000")
    async with listening(venue) as stream:
        await ann.opened(leverage=100)
        await venue.price("40000")
        await venue.market("ETH-PERP", priceBand="0.1")
        await venue.price("1", "ETH-PERP")
        (await venue.admin.patch("/api/admin/markets/BTC-PERP", {"maxLeverage": 50})).ok()
        await venue.mode("halted")
        events = await stream.until_offset(venue.venue.context.model.offset)
    async with listening(venue, "?since=99-1") as stream:
        events.append(await stream.next())

    assert {event.name for event in events} == set(schema) - {"funding", "flow"}, (
        "which come once an hour and once a minute"
    )
    for event in events:
        _check(schema[event.name], event.data)


async def test_links_lead_from_an_open_to_its_close(venue: Running) -> None:
    ann = await venue.user("ann")
    opened = await ann.opened()

    link = _described(BY_NAME["openPosition"])["responses"]["201"]["links"]["closePosition"]
    assert link == {"operationId": "closePosition", "parameters": {"positionId": "$response.body#/position/id"}}
    (await ann.close(opened["position"]["id"])).ok()


async def test_the_venue_serves_it_once_to_each_caller(venue: Running) -> None:
    answer = await venue.anybody.get("/openapi.json")
    again = await venue.anybody.ask("GET", "/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    head = await venue.anybody.ask("HEAD", "/openapi.json")

    served = answer.ok()
    assert {**served, "info": None} == {**DOCUMENT, "info": None}
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", answer.headers["ETag"])
    assert again.headers["X-Request-Id"] != answer.headers["X-Request-Id"]
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(answer.body)))


async def test_the_index_says_where_it_is(venue: Running) -> None:
    index = (await venue.anybody.get("/")).ok()

    (await venue.anybody.get(index["openapi"])).ok()
    assert (await venue.anybody.get(index["reference"])).status == 200
