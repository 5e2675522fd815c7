"""Every field of every body, with what does not belong there: 400, and nothing changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from tests.web.venue import Json, Running

NEVER = ["true", "false", "[]", "{}", "[1]", '{"a": 1}', '["1"]']
"""What belongs in no field of one value."""

NO_DECIMAL = [
    *NEVER,
    "1e308",
    '"1e308"',
    "1e-18",
    "-1",
    "-0.01",
    "-9223372036854775808",
    "1" + "0" * 400,
    "1" + "0" * 5000,
    "0." + "0" * 400 + "1",
    "1e9999999999",
    '"1e9999999999"',
    "1e99999999999999999999",
    '"1e99999999999999999999"',
    *(
        json.dumps(text)
        for text in (
            "",
            " ",
            "NaN",
            "-NaN",
            "sNaN",
            "NaN123",
            "Infinity",
            "-Infinity",
            "inf",
            "1_0",
            " 1",
            "1 ",
            "1\n",
            "\t1",
            "+1",
            ".5",
            "5.",
            "01",
            "1e",
            "e1",
            "1e1.5",
            "--1",
            "0x10",
            "0b1",
            "1,000",
            "1.000,00",
            "$1",
            "1.5.5",
            "\u0661",
            "\uff11",
            "\u0967\u0966",
            "1\u00a0",
            "\u22121",
            "\u00bd",
            "one",
            "null",
            "1\u0000",
            "9" * 31,
            "0." + "9" * 31,
        )
    ),
]

NO_WHOLE_NUMBER = [*NEVER, "1.5", "1.0", "1e3", '"1"', "-1", "9223372036854775808", "1" + "0" * 30, "1" + "0" * 5000]

NO_WORDS = [
    *NEVER,
    "1",
    "1.5",
    '"\\u0000"',
    '"a\\u0000b"',
    '"a b\\n"',
    json.dumps("\u202e"),
    '"' + "x" * 300 + '"',
]

NO_TEXT = [*NO_WORDS, '""']

NO_NAME = [*NO_TEXT, '" "', '"a b"', '"../../etc/passwd"', '"\\u00e9"', '"a/b"', '"' + "A" * 65 + '"', '"*"', '"%2e"']

NO_CHOICE = [*NO_TEXT, '"Long"', '"LONG"', '"long "', '"other"']

NO_TIME = [
    *NO_TEXT,
    *(
        json.dumps(text)
        for text in (
            "now",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:01Z",
            "20260101T000000Z",
            "2026-01-01T00:00:00+0000",
            "2026-01-01T00:00:00+99:99",
            "\u0662026-01-01T00:00:00Z",
            "1767225600000",
            "-2026-01-01T00:00:00Z",
        )
    ),
]

AMOUNT = [*NO_DECIMAL, "0", "-0", '"-0.00"', "9223372036854775807", '"1000000000000.000001"', "0.0000001"]
PRICE = [*NO_DECIMAL, "0", '"-0"', "9223372036854775807", "0.001", "50000.001"]


@dataclass(frozen=True)
class Route:
    """A command and what does not belong in its fields, by field; ``required`` ones may not be null or missing."""

    path: str
    body: Json
    wrong: dict[str, list[str]]
    required: tuple[str, ...] = field(default=())


OPENING = {"ticker": "BTC-PERP", "side": "long", "size": "20", "leverage": 2, "userId": "ann"}
OPEN_FIELDS = {
    "ticker": NO_NAME,
    "side": NO_CHOICE,
    "size": AMOUNT,
    "leverage": [*NO_WHOLE_NUMBER, "0", "1000001"],
    "acceptablePrice": [*NO_DECIMAL, "0", "9223372036854775807"],
    "maxSlippageBps": [*NO_WHOLE_NUMBER, "10001"],
    "takeProfit": PRICE,
    "stopLoss": PRICE,
    "clientOrderId": [*NO_TEXT, '" a"', '"a "', '"\\u00e9"', '"' + "x" * 65 + '"'],
    "userId": NO_NAME,
}
MONEY_FIELDS = {"amount": AMOUNT, "clientOrderId": OPEN_FIELDS["clientOrderId"]}

ROUTES = [
    Route("/api/markets/perps/open", OPENING, OPEN_FIELDS, ("ticker", "side", "size", "leverage")),
    Route("/api/markets/perps/quote", OPENING, OPEN_FIELDS, ("ticker", "side", "size", "leverage")),
    Route(
        "/api/markets/perps/BTC-PERP-1/close",
        {},
        {
            "percentage": [*NO_DECIMAL, "0", "-0", "1.000000001", "100", "0.0000000001"],
            "acceptablePrice": OPEN_FIELDS["acceptablePrice"],
            "maxSlippageBps": OPEN_FIELDS["maxSlippageBps"],
            "clientOrderId": OPEN_FIELDS["clientOrderId"],
        },
    ),
    Route(
        "/api/markets/perps/BTC-PERP-1/triggers",
        {},
        {name: OPEN_FIELDS[name] for name in ("takeProfit", "stopLoss", "clientOrderId")},
    ),
    Route(
        "/api/markets/perps/BTC-PERP/price",
        {"price": "50000"},
        {
            "price": PRICE,
            "source": NO_CHOICE,
            "reason": NO_WORDS,
            "sequence": NO_WHOLE_NUMBER,
            "at": NO_TIME,
        },
        ("price", "source"),
    ),
    Route(
        "/api/admin/users",
        {"userId": "bob"},
        {"userId": NO_NAME, "deposit": [*NO_DECIMAL, "9223372036854775807", "0.0000001"], "referrer": NO_NAME},
        ("userId",),
    ),
    Route("/api/admin/users/ann/deposit", {"amount": "1"}, MONEY_FIELDS, ("amount",)),
    Route("/api/admin/users/ann/withdraw", {"amount": "1"}, MONEY_FIELDS, ("amount",)),
    Route(
        "/api/admin/keys",
        {"scopes": ["read"]},
        {
            "scopes": [
                "[]",
                "{}",
                '"read"',
                "1",
                "[1]",
                "[null]",
                '["root"]',
                '["Read"]',
                '["read", "root"]',
                '[["read"]]',
            ],
            "userId": NO_NAME,
            "label": NO_WORDS,
            "expiresAt": NO_TIME,
        },
        ("scopes",),
    ),
    Route("/api/admin/markets/BTC-PERP/mode", {"mode": "halted"}, {"mode": NO_CHOICE}, ("mode",)),
]


@pytest.mark.parametrize(
    ("route", "name"), [pytest.param(r, name, id=f"{r.path}-{name}") for r in ROUTES for name in r.wrong]
)
async def test_a_field_takes_only_what_belongs_there(venue: Running, route: Route, name: str) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    async with venue.unchanged():
        for literal in route.wrong[name]:
            body = json.dumps({**route.body, name: "@@"}).replace('"@@"', literal)
            answer = await venue.admin.post(route.path, body.encode())
            assert answer.error()["code"] == "validation_error", (literal[:60], answer.body)
            assert answer.status == 400
        if name in route.required:
            without = {key: value for key, value in route.body.items() if key != name}
            if name in route.body:
                (await venue.admin.post(route.path, without)).refused(400, "validation_error")
            (await venue.admin.post(route.path, {**route.body, name: None})).refused(400, "validation_error")


@pytest.mark.parametrize("route", ROUTES, ids=[route.path for route in ROUTES])
async def test_an_unknown_field_is_refused(venue: Running, route: Route) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    async with venue.unchanged():
        for name in ("unknown", "Ticker", "user_id", "", "__proto__", "\u0000"):
            (await venue.admin.post(route.path, {**route.body, name: 1})).refused(400, "validation_error")


async def test_an_amount_at_its_bounds_is_taken(venue: Running) -> None:
    ann = await venue.user("ann", "0.000001")

    (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "1000000000000"})).ok()
    (await venue.admin.post("/api/admin/users/ann/withdraw", b'{"amount": 1e12}')).ok()

    assert (await ann.balance())["balance"] == "0.000001"


async def test_deposits_stop_before_the_ledger_overflows(venue: Running) -> None:
    await venue.user("ann", "0")
    answer = await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "1000000000000"})
    while answer.status == 200:
        answer = await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "1000000000000"})

    assert "deposits" in answer.refused(400, "validation_error")["rule"]
    (await venue.anybody.get("/readyz")).ok()


async def test_house_deposits_stop_before_the_ledger_overflows(venue: Running) -> None:
    for number in range(6):
        body = {"ticker": f"M{number}", "organizationId": "o", "name": "n", "price": "1", "houseDeposit": "1e12"}
        answer = await venue.admin.post("/api/admin/markets", body)
        assert answer.status in (201, 400, 422), answer
    (await venue.anybody.get("/readyz")).ok()


async def test_a_price_stops_before_the_ledger_overflows(venue: Running) -> None:
    path = "/api/markets/perps/BTC-PERP/price"
    async with venue.unchanged():
        details = (await venue.admin.post(path, {"price": "2500000000.01"})).refused(400, "validation_error")

    assert details["price"] == "2500000000.01"
    await venue.price("2500000000")
    await venue.price("0.01")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
async def test_a_time_that_cannot_be_shown_again_is_refused(venue: Running, at: str) -> None:
    """It would be durable, and no list that holds it could be answered any more."""
    async with venue.unchanged():
        price = {"price": "50001", "source": "agent", "at": at}
        (await venue.admin.post("/api/markets/perps/BTC-PERP/price", price)).refused(400, "validation_error")
        key = {"scopes": ["read"], "expiresAt": at}
        (await venue.admin.post("/api/admin/keys", key)).refused(400, "validation_error")
    (await venue.anybody.get("/api/markets/perps")).ok()
    (await venue.admin.get("/api/admin/keys")).ok()
