"""Whatever comes, by Hypothesis: an answer or a refusal in the contract's shape, never a fault; and exact numbers."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.api.bodies.test_fields import ROUTES, Route
from tests.web.shapes import amount
from tests.web.venue import Running

FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
TEXT = st.text(st.characters(), max_size=80)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.decimals().map(str)
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


Fields = dict[str, Any]


def _with_fields(route: Route) -> st.SearchStrategy[tuple[Route, Fields]]:
    names = st.sampled_from(list(route.wrong))
    return st.tuples(st.just(route), st.dictionaries(names, JSON, min_size=1, max_size=3))


async def _user(venue: Running) -> None:
    if "ann" not in venue.keys:
        ann = await venue.user("ann", "1000000")
        await ann.opened()


@FUZZ
@given(st.sampled_from(ROUTES).flatmap(_with_fields))
async def test_any_value_in_any_field_is_answered_or_refused(venue: Running, asked: tuple[Route, Fields]) -> None:
    await _user(venue)
    route, fields = asked
    before = await venue.admin.get("/api/admin/stats")

    answer = await venue.admin.post(route.path, {**route.body, **fields})

    if answer.status >= 400:
        assert answer.status < 500, answer
        answer.error()
        after = await venue.admin.get("/api/admin/stats")
        assert after.json["accounts"] == before.json["accounts"]
        assert after.json["offset"] == before.json["offset"]
    else:
        answer.ok(answer.status)
        stats = (await venue.admin.get("/api/admin/stats")).ok()
        assert stats["accounts"]["total"] == "0.00"


@FUZZ
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from(ROUTES))
async def test_any_bytes_are_answered_or_refused(venue: Running, body: bytes, route: Route) -> None:
    await _user(venue)

    answer = await venue.admin.post(route.path, body)

    assert answer.status < 500, answer
    if answer.status >= 400:
        answer.error()


DECIMAL_TEXT = (
    st.decimals(min_value=0, max_value=10**13, places=7).map(str)
    | st.from_regex(r"\A-?[0-9]{1,14}(\.[0-9]{0,8})?([eE][+-]?[0-9]{1,3})?\Z")
    | st.text("0123456789.eE+-_ \u0661\uff15", min_size=1, max_size=8)
)


@FUZZ
@given(DECIMAL_TEXT)
async def test_a_number_is_read_exactly_or_not_at_all(venue: Running, text: str) -> None:
    await _user(venue)
    before = amount((await venue.client("ann").balance())["balance"])

    answer = await venue.admin.post("/api/admin/users/ann/deposit", {"amount": text})

    value = Decimal(text) if NUMBER.fullmatch(text) and len(text) < 40 else None
    good = value is not None and 0 < value <= 10**12 and value == value.quantize(Decimal("0.000001"))
    now = amount((await venue.client("ann").balance())["balance"])
    if answer.status == 200:
        assert good, text
        assert value is not None
        assert now - before == value == amount(answer.json["amount"])
        (await venue.admin.post("/api/admin/users/ann/withdraw", {"amount": text})).ok()
    else:
        assert answer.refused(400, "validation_error") is not None
        assert not good, text
        assert now == before
