"""Refused for who asks, or for what is not there or is there already: status, details, and that nothing changes."""

from __future__ import annotations

import inspect
import re

import pytest

from perps import commands
from perps.wire.contract.operations import OPERATIONS
from tests.web.refused import OPEN, open_body, refused
from tests.web.venue import Json, Running
from web.api.bodies import commands as command_bodies
from web.api.bodies import orders as order_bodies
from web.api.bodies import twap as twap_bodies
from web.api.serving.app import MODULES


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/users/ann/balance"),
        ("GET", "/api/users/ann/transactions"),
        ("GET", "/api/users/ann/trades"),
        ("GET", "/api/markets/positions/ann"),
        ("GET", "/api/markets/net-positions/ann"),
        ("GET", "/api/admin/stats"),
        ("DELETE", "/api/admin/keys/key_1"),
    ],
)
async def test_without_a_key_nothing_private_is_answered(venue: Running, method: str, path: str) -> None:
    answer = await venue.anybody.ask(method, path)

    answer.refused(401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


MARGIN = {"amount": "1", "userId": "ann"}
COMMANDS: list[tuple[str, object]] = [
    (OPEN, open_body()),
    (
        "/api/orders/quote",
        {"ticker": "BTC-PERP", "type": "limit", "side": "long", "size": "100", "leverage": 1, "price": "1"},
    ),
    ("/api/markets/perps/quote", open_body()),
    ("/api/markets/perps/trade", open_body()),
    ("/api/markets/perps/BTC-PERP-1/close", {}),
    ("/api/markets/perps/BTC-PERP-1/margin", {"amount": "1"}),
    ("/api/positions/close-all", {}),
    ("/api/markets/perps/BTC-PERP-1/triggers", {}),
    ("/api/markets/perps/BTC-PERP/price", {"price": "1"}),
    ("/api/markets/prices", [{"ticker": "BTC-PERP", "price": "1"}]),
    ("/api/admin/users", {"userId": "bob"}),
    ("/api/admin/users/ann/deposit", {"amount": "1"}),
    ("/api/admin/users/ann/withdraw", {"amount": "1"}),
    ("/api/admin/keys", {"scopes": ["read"]}),
    ("/api/admin/markets", {"ticker": "A", "organizationId": "o", "name": "n", "price": "1"}),
    ("/api/admin/markets/BTC-PERP/mode", {"mode": "halted"}),
    ("/api/admin/markets/BTC-PERP/settle", None),
    ("/api/admin/markets/BTC-PERP/fund", {"account": "house", "amount": "1"}),
    ("/api/admin/snapshots", {}),
    ("/api/orders", {"type": "limit", "price": "1", **open_body()}),
    ("/api/orders/batch", [{"type": "limit", "price": "1", **open_body()}]),
    ("/api/orders/cancel-all-after", {"ticker": "BTC-PERP", "seconds": 60}),
    ("/api/admin/clock/advance", {"seconds": 1}),
]


def test_every_route_that_does_something_is_among_them() -> None:
    wanted = {operation.path for operation in OPERATIONS if operation.method == "POST" and operation.scope != "read"}
    patterns = {path: re.compile(re.sub(r"\{\w+}", "[^/]+", path)) for path in wanted}

    missed = {path for path, pattern in patterns.items() if not any(pattern.fullmatch(known) for known, _ in COMMANDS)}
    assert not missed, "add the route and a body for it to COMMANDS above"


def test_every_command_has_a_route() -> None:
    code = "".join(inspect.getsource(module) for module in (*MODULES, command_bodies, order_bodies, twap_bodies))
    assert [kind.__name__ for kind in commands.COMMANDS if not re.search(rf"\b{kind.__name__}\b", code)] == []


@pytest.mark.parametrize(("path", "body"), COMMANDS)
async def test_without_a_key_nothing_is_done(venue: Running, path: str, body: object) -> None:
    await refused(venue, venue.anybody, path, body, 401, "unauthorized")


@pytest.mark.parametrize(("path", "body"), COMMANDS)
async def test_a_key_that_only_reads_does_nothing(venue: Running, path: str, body: object) -> None:
    await venue.user("ann")
    reader = await venue.key("read", userId="ann")

    details = await refused(venue, reader, path, body, 403, "forbidden")

    assert details["scope"] in ("trade", "price", "admin")


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "details"),
    [
        (OPEN, open_body("NONE", userId="ann"), 404, "market_not_found", {"ticker": "NONE"}),
        ("/api/markets/perps/quote", open_body("NONE", userId="ann"), 404, "market_not_found", {"ticker": "NONE"}),
        ("/api/markets/perps/trade", open_body("NONE", userId="ann"), 404, "market_not_found", {"ticker": "NONE"}),
        ("/api/markets/perps/trade", open_body(userId="nobody"), 404, "user_not_found", {"user": "nobody"}),
        (OPEN, open_body(userId="nobody"), 404, "user_not_found", {"user": "nobody"}),
        ("/api/markets/perps/quote", open_body(userId="nobody"), 404, "user_not_found", {"userId": "nobody"}),
        ("/api/markets/perps/BTC-PERP-1/close", {}, 404, "position_not_found", {"position": "BTC-PERP-1"}),
        ("/api/markets/perps/NONE-1/close", {}, 404, "position_not_found", {"position": "NONE-1"}),
        ("/api/markets/perps/junk/close", {}, 404, "position_not_found", {"position": "junk"}),
        ("/api/markets/perps/A-1/margin", MARGIN, 404, "position_not_found", {"position": "A-1"}),
        ("/api/markets/perps/junk/margin", MARGIN, 404, "position_not_found", {"position": "junk"}),
        ("/api/markets/perps/BTC-PERP-1/triggers", {}, 404, "position_not_found", {"position": "BTC-PERP-1"}),
        ("/api/markets/perps/NONE-1/triggers", {}, 404, "position_not_found", {"position": "NONE-1"}),
        ("/api/markets/perps/junk/triggers", {}, 404, "position_not_found", {"position": "junk"}),
        ("/api/markets/perps/NONE/price", {"price": "1"}, 404, "market_not_found", {"ticker": "NONE"}),
        ("/api/admin/users/nobody/deposit", {"amount": "1"}, 404, "user_not_found", {"user": "nobody"}),
        ("/api/admin/users/nobody/withdraw", {"amount": "1"}, 404, "user_not_found", {"user": "nobody"}),
        ("/api/admin/users", {"userId": "bob", "referrer": "no"}, 404, "user_not_found", {"referrer": "no"}),
        ("/api/admin/keys", {"scopes": ["read"], "userId": "no"}, 404, "user_not_found", {"userId": "no"}),
        ("/api/admin/markets/NONE/mode", {"mode": "halted"}, 404, "market_not_found", {"ticker": "NONE"}),
        ("/api/nothing", {}, 404, "not_found", {}),
    ],
)
async def test_what_is_not_there_is_not_found(
    venue: Running, path: str, body: object, status: int, code: str, details: Json
) -> None:
    assert await refused(venue, venue.admin, path, body, status, code) == details


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/markets/perps/NONE", 404, "market_not_found"),
        ("/api/markets/perps/NONE/candles", 404, "market_not_found"),
        ("/api/markets/perps/NONE/trades", 404, "market_not_found"),
        ("/api/markets/perps/NONE/prices", 404, "market_not_found"),
        ("/api/markets/perps/NONE/funding", 404, "market_not_found"),
        ("/api/markets/perps/NONE/liquidations", 404, "market_not_found"),
        ("/api/sse/markets?tickers=BTC-PERP,NONE", 404, "market_not_found"),
        ("/api/users/nobody/balance", 404, "user_not_found"),
        ("/api/users/nobody/transactions", 404, "user_not_found"),
        ("/api/users/nobody/trades", 404, "user_not_found"),
        ("/api/markets/positions/nobody", 404, "user_not_found"),
        ("/api/markets/net-positions/nobody", 404, "user_not_found"),
        ("/nothing", 404, "not_found"),
        ("/api/markets/perps/BTC-PERP/", 404, "not_found"),
    ],
)
async def test_what_is_not_there_cannot_be_read(venue: Running, path: str, status: int, code: str) -> None:
    (await venue.admin.get(path)).refused(status, code)


async def test_a_key_that_is_not_there_cannot_be_revoked(venue: Running) -> None:
    assert (await venue.admin.delete("/api/admin/keys/key_0")).refused(404, "not_found") == {"keyId": "key_0"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", OPEN + "x/close", "POST"),
        ("PUT", OPEN, "POST"),
        ("GET", OPEN, "POST"),
        ("GET", "/api/markets/perps/quote", "POST"),
        ("GET", "/api/markets/prices", "POST"),
        ("DELETE", "/api/users/ann/balance", "GET,HEAD"),
        ("DELETE", "/api/markets/perps/BTC-PERP", "GET,HEAD"),
    ],
)
async def test_a_path_takes_its_methods_only_and_says_which(
    venue: Running, method: str, path: str, allowed: str
) -> None:
    answer = await venue.admin.ask(method, path)

    assert answer.refused(405, "method_not_allowed") == {"allowed": allowed.split(",")}
    assert answer.headers["Allow"] == allowed.replace(",", ", ")


async def test_what_is_there_cannot_be_made_again(venue: Running) -> None:
    await venue.user("ann")
    listing = {"ticker": "BTC-PERP", "organizationId": "o", "name": "n", "price": "1"}

    user = await refused(venue, venue.admin, "/api/admin/users", {"userId": "ann"}, 409, "user_exists")
    market = await refused(venue, venue.admin, "/api/admin/markets", listing, 409, "market_exists")

    assert (user, market) == ({"user": "ann"}, {"ticker": "BTC-PERP"})


async def test_a_user_does_not_refer_himself(venue: Running) -> None:
    body = {"userId": "ann", "referrer": "ann"}

    details = await refused(venue, venue.admin, "/api/admin/users", body, 422, "parameters_inconsistent")

    assert "refer" in details["rule"]
