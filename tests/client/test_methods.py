"""The client has a method for every operation, with the operation's own names and types, and needs no venue's code."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from http import HTTPStatus
from typing import Any, Union, get_args, get_type_hints

import pytest

from perps.client import NOTHING, Listing, Venue
from perps.client.orders import OrderCalls
from perps.client.requests import request_of
from perps.wire.base import Answer
from perps.wire.contract.operations import OPERATIONS
from perps.wire.operation import TEXT, Operation
from perps.wire.orders.placing import REPLACE
from perps.wire.orders.reading import GET

ASKED = [
    operation
    for operation in OPERATIONS
    if operation.answers[operation.status] == TEXT
    or (
        isinstance(operation.answers[operation.status], type)
        and issubclass(operation.answers[operation.status], Answer)
    )
]
"""Streams have one method, ``stream``, with parameters. The contract and its page are not for a program that has it."""


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda capital: "_" + capital.group().lower(), name)


def method_of(operation: Operation) -> Any:
    return getattr(Venue, snake(operation.name))


@pytest.mark.parametrize("operation", ASKED, ids=lambda operation: operation.name)
def test_every_operation_is_a_method_that_answers_its_type(operation: Operation) -> None:
    answer = operation.answers[operation.status]
    says = get_type_hints(method_of(operation))["return"]
    if getattr(says, "__origin__", None) is Listing:
        says = get_args(says)[0]
    others = [kind for status, kind in operation.answers.items() if status == HTTPStatus.ACCEPTED]
    assert says == Union[(str if answer == TEXT else answer), *others]


@pytest.mark.parametrize("operation", ASKED, ids=lambda operation: operation.name)
def test_a_method_takes_what_the_operation_takes(operation: Operation) -> None:
    parameters = inspect.signature(method_of(operation)).parameters
    takes = set(parameters) - {"self"}
    fields = getattr(operation.body or operation.query, "__struct_fields__", ("items",))
    known = {snake(place) for place in re.findall(r"\{(\w+)\}", operation.path)} | set(fields)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        takes = takes - {"parameters"} | known
    without_effect = {"client_order_id", "user_id"} if operation.name == "quotePosition" else set()
    assert takes == known - without_effect


def test_no_method_is_left_of_an_operation_that_is_gone() -> None:
    members = {name: value for kind in Venue.__mro__[:-1] for name, value in vars(kind).items()}
    public = {name for name, value in members.items() if inspect.isfunction(value) and not name.startswith("_")}
    others = {"call", "get", "stream", "be_patient", "open", "close", "quote", "call_or_wait", "wait_for_order"}
    others |= {"exit_position", "trail_position", "place_twap", "leave", "index_prices"}
    assert public - others == {snake(operation.name) for operation in ASKED}


def test_the_client_loads_nothing_of_the_process_that_serves() -> None:
    script = "import sys, perps.client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"aiohttp", "msgspec", "perps"} <= loaded
    assert not loaded & {"actors", "web", "persistence", "tools", "pykka", "asyncpg", "structlog", "sortedcontainers"}


def test_nothing_takes_a_term_away_and_none_leaves_it() -> None:
    request = request_of(
        REPLACE, {"order_id": "BTC-PERP-o1", "stop_loss": NOTHING, "price": None, "client_order_id": "a"}
    )
    assert (request.target, json.loads(request.body or b"")) == (
        "/api/orders/BTC-PERP-o1",
        {"stopLoss": None, "clientOrderId": "a"},
    )


async def test_an_exit_is_an_order_with_a_position_and_without_a_side() -> None:
    class Noting(OrderCalls):
        async def call(self, operation: Operation, kind: type[Any], /, **values: object) -> Any:
            return json.loads(request_of(operation, values).body or b"")

    asked: Any = await Noting().exit_position("BTC-PERP-1", "stop", "9500", percentage="0.5", client_order_id="a")
    terms = {"positionId": "BTC-PERP-1", "type": "stop", "price": "9500", "percentage": "0.5"}
    assert asked == {**terms, "clientOrderId": "a"}


@pytest.mark.parametrize("order_id", ["", ".", ".."])
def test_what_a_path_cannot_have_is_no_id(order_id: str) -> None:
    with pytest.raises(ValueError, match=r"orderId: '.*' is no id"):
        request_of(GET, {"order_id": order_id})
    assert request_of(GET, {"order_id": "..."}).target == "/api/orders/..."


async def test_a_trailing_stop_has_a_callback_and_no_price() -> None:
    class Noting(OrderCalls):
        async def call(self, operation: Operation, kind: type[Any], /, **values: object) -> Any:
            return json.loads(request_of(operation, values).body or b"")

    asked: Any = await Noting().trail_position("BTC-PERP-1", "0.02", client_order_id="a")
    assert asked == {
        "positionId": "BTC-PERP-1",
        "type": "trailing_stop",
        "callback": "0.02",
        "clientOrderId": "a",
    }
