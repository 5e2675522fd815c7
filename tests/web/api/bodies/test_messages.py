"""What a refused request is told: in words of the venue, naming the field and what it takes."""

from __future__ import annotations

import pytest

from tests.web.venue import Json, Running

OPEN = "/api/markets/perps/open"
OPENING = {"ticker": "BTC-PERP", "side": "long", "size": "20", "leverage": 2}
PRICE = "/api/markets/perps/BTC-PERP/price"
LISTING = {"ticker": "NEW", "organizationId": "acme", "name": "New", "price": "100"}

SAID: list[tuple[str, object, str, Json]] = [
    (OPEN, {**OPENING, "side": "buy"}, "side must be one of long, short", {"field": "side"}),
    (OPEN, {**OPENING, "side": "buy"}, "side must be one of", {"allowed": ["long", "short"]}),
    (OPEN, {**OPENING, "side": 1}, "side must be one of long, short", {"field": "side"}),
    (OPEN, {**OPENING, "leverage": "10"}, "leverage must be a whole number", {"field": "leverage"}),
    (OPEN, {**OPENING, "leverage": 1.5}, "leverage must be a whole number", {"field": "leverage"}),
    (OPEN, {**OPENING, "leverage": None}, "leverage must be a whole number", {"field": "leverage"}),
    (OPEN, {**OPENING, "size": "ten"}, "size must be a decimal number", {"field": "size"}),
    (OPEN, {**OPENING, "size": True}, "size must be a decimal number", {"field": "size"}),
    (OPEN, {**OPENING, "size": "1_0"}, "size must be a decimal number", {"field": "size"}),
    (OPEN, {**OPENING, "size": "-1"}, "size must be positive", {"field": "size"}),
    (OPEN, {**OPENING, "ticker": 5}, "ticker must be text", {"field": "ticker"}),
    (OPEN, {**OPENING, "clientOrderId": 5}, "clientOrderId must be text", {"field": "clientOrderId"}),
    (OPEN, {"ticker": "BTC-PERP"}, "side is missing", {"field": "side"}),
    (OPEN, {**OPENING, "sise": "1"}, "Unknown field 'sise'", {"field": "sise"}),
    (OPEN, {**OPENING, "takeProfit": "1.001"}, "takeProfit must be a positive multiple", {"tickSize": "0.01"}),
    (OPEN, {**OPENING, "stopLoss": "0"}, "stopLoss must be positive", {"field": "stopLoss"}),
    (OPEN, [], "must be a JSON object", {}),
    (
        OPEN,
        b'{"ticker":"BTC-PERP","side":"long","size":"20","leverage":2,"size":"2000"}',
        "size appears twice",
        {"field": "size"},
    ),
    (OPEN, b"", "The body is empty", {}),
    (OPEN, b'{"a": 1,\n b}', "not valid JSON: line 2", {"line": 2}),
    (OPEN, b'{"side": "long"', "not valid JSON: line 1", {"line": 1}),
    (OPEN, b"\xff\xfe", "not valid JSON", {}),
    ("/api/admin/markets", b'{"houseCreditLimit": ' + b"[" * 30_000, "too deeply", {}),
    ("/api/markets/perps/BTC-PERP-1/close", {"percentage": "half"}, "percentage must be a decimal number", {}),
    ("/api/markets/perps/BTC-PERP-1/close", {"percentage": "1." + 60_000 * "1"}, "percentage has too many digits.", {}),
    (
        PRICE,
        {"price": "1", "source": "me"},
        "source must be one of",
        {"allowed": ["oracle", "event", "agent", "system"]},
    ),
    (PRICE, {"price": "1.001"}, "price must be a positive multiple of the tick size, 0.01", {"tickSize": "0.01"}),
    (PRICE, {"price": "1.001"}, "price must be", {"field": "price", "price": "1.001"}),
    ("/api/markets/prices", [{"ticker": "BTC-PERP", "price": "1"}, {"ticker": "X"}], "price is missing", {"index": 1}),
    ("/api/markets/prices", {}, "must be a JSON list", {}),
    ("/api/markets/prices", [5], "must be a JSON object", {"index": 0}),
    ("/api/admin/keys", {"scopes": "read"}, "scopes must be one or more of", {"field": "scopes"}),
    ("/api/admin/keys", {"scopes": [1]}, "scopes must be one or more of", {"field": "scopes"}),
    ("/api/admin/keys", {"scopes": ["root"]}, "scopes must be", {"allowed": ["read", "trade", "price", "admin"]}),
    (
        "/api/admin/markets/BTC-PERP/mode",
        {"mode": "off"},
        "mode must be",
        {"allowed": ["enabled", "reduce_only", "halted"]},
    ),
    ("/api/admin/markets", {**LISTING, "markSource": "x"}, "markSource must be", {"allowed": ["index", "quote"]}),
    ("/api/admin/markets", {**LISTING, "lotSize": "0.5", "maxSkew": "1.25"}, "lot size, 0.5", {"lotSize": "0.5"}),
    ("/api/admin/markets", {**LISTING, "price": "100.005"}, "tick size, 0.01", {"tickSize": "0.01", "field": "price"}),
    ("/api/admin/markets", {**LISTING, "lotSize": "0"}, "lotSize must be positive", {"field": "lotSize"}),
]


@pytest.mark.parametrize(("path", "body", "message", "details"), SAID)
async def test_a_mistake_is_told_with_its_field_and_what_would_do(
    venue: Running, path: str, body: object, message: str, details: Json
) -> None:
    answer = await venue.admin.post(path, body)

    error = answer.error()
    assert answer.status == 400
    assert message in error["message"]
    assert error["message"].endswith(".")
    for foreign in ("Expected `", "$.", "enum value", "Input data", "msgspec", "`"):
        assert foreign not in error["message"]
    assert {**error["details"], **details} == error["details"]


@pytest.mark.parametrize(
    ("path", "field", "allowed"),
    [
        ("/api/markets/perps/BTC-PERP/candles?interval=2m", "interval", ["1m", "5m", "15m", "1h", "4h", "1d"]),
        ("/api/markets/positions/ann?status=gone", "status", ["open", "closed", "all"]),
    ],
)
async def test_a_choice_in_a_query_names_the_others(venue: Running, path: str, field: str, allowed: list[str]) -> None:
    await venue.user("ann")

    assert (await venue.admin.get(path)).refused(400, "validation_error") == {"field": field, "allowed": allowed}


RULES: list[tuple[Json, Json]] = [
    (
        {"liquidationFee": "0.0045"},
        {
            "liquidationFee": "0.0045",
            "takerFee": "0.001",
            "worstExitImpact": "0.002",
            "needed": "0.0075",
            "maintenanceRate": "0.005",
        },
    ),
    ({"maxLeverage": 1001}, {"maxLeverage": 1001, "allowed": 1000}),
    ({"maintenanceRate": "0.01"}, {"maintenanceRate": "0.01", "maxLeverage": 100}),
    ({"takerFee": "0.002", "liquidationFee": "0.0019"}, {"takerFee": "0.002", "liquidationFee": "0.0019"}),
    ({"skewScale": "1000", "maxSkew": "1000"}, {"maxSkew": "1000.00", "skewScale": "1000.00"}),
    ({"maxOpenInterest": "10000000001"}, {"worth": "1000000000100.00", "worthMax": "1000000000000.00"}),
    (
        {"markSource": "quote", "maxOpenInterest": "400000"},
        {"maintenanceRate": "0.005", "needed": "0.008032129"},
    ),
    ({"tickSize": "0.001", "lotSize": "0.0001"}, {"tickSize": "0.001", "lotSize": "0.0001"}),
]


@pytest.mark.parametrize(("changes", "numbers"), RULES)
async def test_a_broken_listing_rule_names_the_numbers_it_compared(
    venue: Running, changes: Json, numbers: Json
) -> None:
    answer = await venue.admin.post("/api/admin/markets", {**LISTING, **changes})

    details = answer.refused(422, "parameters_inconsistent")

    assert {**details, **numbers} == details
    assert details["rule"] in answer.error()["message"]
