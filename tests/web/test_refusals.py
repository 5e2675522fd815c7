"""Every refusal a command can get, over HTTP: its status, the numbers it compared, and that nothing has changed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.web.shapes import amount
from tests.web.venue import Client, Json, ManualClock, Running

OPEN = "/api/markets/perps/open"
STEEP = {
    "maxLeverage": 10,
    "maintenanceRate": "0.09",
    "takerFee": "0",
    "liquidationFee": "0",
    "skewScale": "100",
    "maxSkew": "5",
    "maxOpenInterest": "5",
    "lotSize": "0.001",
}
"""A market so shallow that the largest order at full leverage is born due."""


async def _refused(venue: Running, client: Client, path: str, body: object, status: int, code: str) -> Json:
    """Post what must be refused, and see that nothing has changed."""
    async with venue.unchanged():
        return (await client.post(path, body)).refused(status, code)


def _open(ticker: str = "BTC-PERP", size: str = "1000", **more: object) -> Json:
    return {"ticker": ticker, "side": "long", "size": size, "leverage": 10, **more}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/users/ann/balance"),
        ("GET", "/api/users/ann/transactions"),
        ("GET", "/api/users/ann/trades"),
        ("GET", "/api/markets/positions/ann"),
        ("GET", "/api/admin/stats"),
        ("DELETE", "/api/admin/keys/key_1"),
    ],
)
async def test_without_a_key_nothing_private_is_answered(venue: Running, method: str, path: str) -> None:
    answer = await venue.anybody.ask(method, path)

    answer.refused(401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


COMMANDS: list[tuple[str, object]] = [
    (OPEN, _open()),
    ("/api/markets/perps/quote", _open()),
    ("/api/markets/perps/BTC-PERP-1/close", {}),
    ("/api/markets/perps/BTC-PERP/price", {"price": "1"}),
    ("/api/markets/prices", [{"ticker": "BTC-PERP", "price": "1"}]),
    ("/api/admin/users", {"userId": "bob"}),
    ("/api/admin/users/ann/deposit", {"amount": "1"}),
    ("/api/admin/users/ann/withdraw", {"amount": "1"}),
    ("/api/admin/keys", {"scopes": ["read"]}),
    ("/api/admin/markets", {"ticker": "A", "organizationId": "o", "name": "n", "price": "1"}),
    ("/api/admin/markets/BTC-PERP/mode", {"mode": "halted"}),
]


@pytest.mark.parametrize(("path", "body"), COMMANDS)
async def test_without_a_key_nothing_is_done(venue: Running, path: str, body: object) -> None:
    await _refused(venue, venue.anybody, path, body, 401, "unauthorized")


@pytest.mark.parametrize(("path", "body"), COMMANDS)
async def test_a_key_that_only_reads_does_nothing(venue: Running, path: str, body: object) -> None:
    await venue.user("ann")
    reader = await venue.key("read", userId="ann")

    details = await _refused(venue, reader, path, body, 403, "forbidden")

    assert details["scope"] in ("trade", "price", "admin")


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "details"),
    [
        (OPEN, _open("NONE", userId="ann"), 404, "market_not_found", {"ticker": "NONE"}),
        ("/api/markets/perps/quote", _open("NONE", userId="ann"), 404, "market_not_found", {"ticker": "NONE"}),
        (OPEN, _open(userId="nobody"), 404, "user_not_found", {"user": "nobody"}),
        ("/api/markets/perps/quote", _open(userId="nobody"), 404, "user_not_found", {"userId": "nobody"}),
        ("/api/markets/perps/BTC-PERP-1/close", {}, 404, "position_not_found", {"position": "BTC-PERP-1"}),
        ("/api/markets/perps/NONE-1/close", {}, 404, "position_not_found", {"position": "NONE-1"}),
        ("/api/markets/perps/junk/close", {}, 404, "position_not_found", {"position": "junk"}),
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
    assert await _refused(venue, venue.admin, path, body, status, code) == details


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

    user = await _refused(venue, venue.admin, "/api/admin/users", {"userId": "ann"}, 409, "user_exists")
    market = await _refused(venue, venue.admin, "/api/admin/markets", listing, 409, "market_exists")

    assert (user, market) == ({"user": "ann"}, {"ticker": "BTC-PERP"})


async def test_a_user_does_not_refer_himself(venue: Running) -> None:
    body = {"userId": "ann", "referrer": "ann"}

    details = await _refused(venue, venue.admin, "/api/admin/users", body, 422, "parameters_inconsistent")

    assert "refer" in details["rule"]


async def test_a_halted_market_trades_nothing(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    await venue.mode("halted")
    stopped = {"mode": "halted", "reason": "administrator"}

    assert await _refused(venue, ann, OPEN, _open(), 409, "market_halted") == stopped
    assert await _refused(venue, ann, "/api/markets/perps/quote", _open(), 409, "market_halted") == stopped
    assert await _refused(venue, ann, "/api/markets/perps/BTC-PERP-1/close", {}, 409, "market_halted") == stopped


async def test_a_market_that_only_reduces_closes_and_does_not_open(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    await venue.mode("reduce_only")

    details = await _refused(venue, ann, OPEN, _open(), 409, "market_reduce_only")

    assert details == {"mode": "reduce_only", "reason": "administrator"}
    (await ann.close("BTC-PERP-1")).ok()


async def test_a_house_that_cannot_pay_halts_its_market(venue: Running) -> None:
    await venue.market("POOR", "100", houseCreditLimit="0", houseDeposit="5")
    ann = await venue.user("ann")
    opened = await ann.opened("POOR", "1000")
    await venue.price("110", "POOR")
    before = await ann.balance()

    details = (await ann.close("POOR-1")).refused(409, "market_halted")

    assert (details["reason"], details["house"], details["creditLimit"]) == ("house_empty", "5.00", "0.00")
    assert 99 < amount(details["payout"]) < 101
    again = (await ann.close("POOR-1")).refused(409, "market_halted")
    assert again == {"mode": "halted", "reason": "house_empty"}
    balance = await ann.balance()
    assert (balance["balance"], balance["margin"]) == (before["balance"], opened["marginPaid"])


async def test_a_price_that_is_too_old_is_not_traded_at(venue: Running, clock: ManualClock) -> None:
    await venue.market("SWIFT", "100", maxPriceAge="2.5")
    ann = await venue.user("ann")
    await ann.opened("SWIFT")
    clock.advance(2.5)
    await ann.opened("SWIFT")
    clock.advance(0.001)

    too_old = {"ageMs": 2501, "maxAgeMs": 2500}
    assert await _refused(venue, ann, OPEN, _open("SWIFT"), 409, "price_stale") == too_old
    assert await _refused(venue, ann, "/api/markets/perps/SWIFT-1/close", {}, 409, "price_stale") == too_old
    await venue.price("100", "SWIFT")
    (await ann.close("SWIFT-1")).ok()


@pytest.mark.parametrize("sequence", [0, 6, 7])
async def test_a_price_out_of_its_sources_sequence_is_refused(venue: Running, sequence: int) -> None:
    await venue.price("50001", source="oracle", sequence=7)
    path, late = "/api/markets/perps/BTC-PERP/price", {"price": "50002", "source": "oracle", "sequence": sequence}

    details = await _refused(venue, venue.admin, path, late, 409, "price_stale")

    assert details == {"sequence": sequence, "knownSequence": 7}
    await venue.price("50003", source="agent", sequence=1)
    await venue.price("50004", source="oracle", sequence=8)


async def test_a_price_older_than_the_one_known_is_refused(venue: Running, clock: ManualClock) -> None:
    await venue.price("50001", at="2026-01-01T00:00:00.000Z")
    path, old = "/api/markets/perps/BTC-PERP/price", {"price": "50002", "at": "2025-12-31T23:59:59.999Z"}

    details = await _refused(venue, venue.admin, path, old, 409, "price_stale")

    assert details == {"atMs": clock.ms - 1, "knownAtMs": clock.ms}
    await venue.price("50003", at="2026-01-01T01:00:00.000+01:00")


async def test_a_price_from_the_future_is_refused(venue: Running, clock: ManualClock) -> None:
    path, later = "/api/markets/perps/BTC-PERP/price", {"price": "50002", "at": "2026-01-01T00:00:05.001Z"}

    details = await _refused(venue, venue.admin, path, later, 400, "validation_error")

    assert (details["atMs"], details["nowMs"]) == (clock.ms + 5001, clock.ms)
    await venue.price("50003", at="2026-01-01T00:00:05.000Z")


async def test_a_closed_position_cannot_be_closed_again(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    (await ann.close("BTC-PERP-1", clientOrderId="one")).ok()

    details = await _refused(venue, ann, "/api/markets/perps/BTC-PERP-1/close", {}, 409, "position_closed")

    assert details == {"position": "BTC-PERP-1"}


async def test_an_order_below_the_minimum_is_too_small(venue: Running) -> None:
    ann = await venue.user("ann")

    details = await _refused(venue, ann, OPEN, _open(size="9.99"), 422, "position_size_too_small")

    assert details == {"size": "9.99", "minOrderSize": "10.00"}
    await ann.opened(size="10")


async def test_an_order_below_one_lot_is_too_small(venue: Running) -> None:
    await venue.market("COARSE", "50000", lotSize="1")
    ann = await venue.user("ann")

    details = await _refused(venue, ann, OPEN, _open("COARSE", "49999"), 422, "position_size_too_small")

    assert details["size"] == "49999.00"
    assert amount(details["oneLot"]) > 50000


async def test_an_order_above_a_whole_side_is_too_large(venue: Running) -> None:
    ann = await venue.user("ann")

    details = await _refused(venue, ann, OPEN, _open(size="21000000"), 422, "position_size_too_large")

    assert amount(details["quantity"]) > amount(details["maxOpenInterest"]) == 400


async def test_more_leverage_than_the_market_allows_is_refused(venue: Running) -> None:
    ann = await venue.user("ann")

    details = await _refused(venue, ann, OPEN, _open(leverage=101), 422, "leverage_too_high")

    assert details == {"leverage": 101, "maxLeverage": 100}
    await ann.opened(leverage=100)


async def test_an_order_that_tilts_the_market_too_far_is_refused(venue: Running) -> None:
    ann = await venue.user("ann", "2000000")
    await ann.opened(size="6000000")

    details = await _refused(venue, ann, OPEN, _open(size="6000000"), 422, "max_skew_exceeded")

    assert amount(details["skew"]) > amount(details["maxSkew"]) == 200
    await ann.opened(size="9000000", side="short")


async def test_an_order_that_fills_a_side_beyond_its_cap_is_refused(venue: Running) -> None:
    await venue.market("SMALL", "100", skewScale="1000000", maxSkew="1000", maxOpenInterest="10")
    ann = await venue.user("ann")
    await ann.opened("SMALL", "600")

    details = await _refused(venue, ann, OPEN, _open("SMALL", "600"), 422, "open_interest_exceeded")

    assert amount(details["openInterest"]) > amount(details["maxOpenInterest"]) == 10
    await ann.opened("SMALL", "600", side="short")


async def test_an_order_that_would_be_due_at_once_is_refused(venue: Running) -> None:
    await venue.market("STEEP", "100", **STEEP)
    ann = await venue.user("ann")

    details = await _refused(venue, ann, OPEN, _open("STEEP", "500"), 422, "would_be_liquidated")

    assert amount(details["equity"]) <= amount(details["maintenance"])
    await ann.opened("STEEP", "500", leverage=5)


@pytest.mark.parametrize(
    ("side", "limit"),
    [
        ("long", {"acceptablePrice": "49999.99"}),
        ("short", {"acceptablePrice": "50000.01"}),
        ("long", {"maxSlippageBps": 0}),
        ("short", {"maxSlippageBps": 0}),
    ],
)
async def test_a_fill_beyond_the_callers_limit_is_refused(venue: Running, side: str, limit: Json) -> None:
    ann = await venue.user("ann", "1000000")

    body = _open(size="100000", side=side, **limit)
    details = await _refused(venue, ann, OPEN, body, 422, "price_beyond_limit")

    paid, accepted = amount(details["paid"]), amount(details["accepted"])
    assert (paid > accepted) if side == "long" else (paid < accepted)
    price, acceptable = amount(details["price"]), amount(details["acceptablePrice"])
    assert abs(acceptable - amount(limit.get("acceptablePrice", "50000"))) < Decimal("0.01")
    assert (price > acceptable) if side == "long" else (price < acceptable)


@pytest.mark.parametrize("limit", [{"acceptablePrice": "50000.01"}, {"maxSlippageBps": 0}])
async def test_a_close_beyond_the_callers_limit_is_refused(venue: Running, limit: Json) -> None:
    ann = await venue.user("ann", "1000000")
    await ann.opened(size="100000")
    await venue.price("49999")

    details = await _refused(venue, ann, "/api/markets/perps/BTC-PERP-1/close", limit, 422, "price_beyond_limit")

    assert amount(details["paid"]) < amount(details["accepted"])


async def test_a_fill_within_the_callers_limit_is_taken(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")

    await ann.opened(size="100000", acceptablePrice="50001", maxSlippageBps=1)
    (await ann.close("BTC-PERP-1", acceptablePrice="49999", maxSlippageBps=1)).ok()


async def test_a_wallet_must_hold_margin_and_fee(venue: Running) -> None:
    ann = await venue.user("ann", "100")
    body = _open(size="1000.01")

    details = await _refused(venue, ann, OPEN, body, 422, "insufficient_funds")

    assert details["available"] == "100.00"
    missing = amount(details["required"]) - 100
    assert missing == amount("1.000006"), "a tenth of 0.02 at 50,000.0025 and a thousandth as fee, less 100"
    (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": str(missing)})).ok()
    assert (await ann.opened(size="1000.01"))["newBalance"] == "0.00"


async def test_a_refused_open_holds_nothing_back(venue: Running) -> None:
    ann = await venue.user("ann", "200")
    for _ in range(5):
        (await ann.open(size="1500", acceptablePrice="1")).refused(422, "price_beyond_limit")

    (await venue.admin.post("/api/admin/users/ann/withdraw", {"amount": "200"})).ok()


async def test_a_withdrawal_takes_no_more_than_there_is(venue: Running) -> None:
    await venue.user("ann", "100")
    path, body = "/api/admin/users/ann/withdraw", {"amount": "100.000001"}

    details = await _refused(venue, venue.admin, path, body, 422, "insufficient_funds")

    assert details == {"required": "100.000001", "available": "100.00"}
