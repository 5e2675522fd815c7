"""What is whose: users' data is theirs, market data names nobody, keys do what they are for and no more."""

from __future__ import annotations

import pytest

from tests.web.conftest import Starter
from tests.web.venue import Backend, Client, ManualClock, OnMemory, Running

PRIVATE = [
    "/api/users/ann/balance",
    "/api/users/ann/transactions",
    "/api/users/ann/trades",
    "/api/markets/positions/ann",
]


@pytest.mark.parametrize("path", PRIVATE)
async def test_a_users_data_is_for_him_and_the_administrator(venue: Running, path: str) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    nobodys = await venue.key("read", "price")

    assert (await bob.get(path)).refused(403, "forbidden") == {"userId": "ann"}
    (await nobodys.get(path)).refused(403, "forbidden")
    (await venue.anybody.get(path)).refused(401, "unauthorized")
    (await ann.get(path)).ok()
    (await venue.admin.get(path)).ok()


@pytest.mark.parametrize(("scope", "may"), [("read", True), ("trade", True), ("price", False)])
async def test_a_users_key_reads_his_data_if_it_reads_or_trades(venue: Running, scope: str, may: bool) -> None:
    await venue.user("ann")
    client = await venue.key(scope, userId="ann")

    for path in PRIVATE:
        answer = await client.get(path)
        if may:
            answer.ok()
        else:
            assert answer.refused(403, "forbidden") == {"scope": "read"}


async def test_who_may_not_read_a_user_does_not_learn_whether_he_exists(venue: Running) -> None:
    await venue.user("ann")
    bob = await venue.user("bob")

    there, not_there = await bob.get("/api/users/ann/balance"), await bob.get("/api/users/nobody/balance")

    assert there.error()["code"] == not_there.error()["code"] == "forbidden"
    assert there.error()["message"] == not_there.error()["message"]


async def test_another_users_position_cannot_be_closed_or_traded_for(venue: Running) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    await ann.opened()

    async with venue.unchanged():
        assert (await bob.close("BTC-PERP-1")).refused(403, "forbidden") == {"position": "BTC-PERP-1"}
        assert (await bob.open(userId="ann")).refused(403, "forbidden") == {"userId": "ann"}
        asked = {"ticker": "BTC-PERP", "side": "long", "size": "20", "leverage": 2, "userId": "ann"}
        (await bob.post("/api/markets/perps/quote", asked)).refused(403, "forbidden")
    (await bob.open(userId="bob")).ok(201)


async def test_a_stranger_does_not_learn_whether_a_position_is_still_open(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.market()
    ann, bob = await venue.user("ann"), await venue.user("bob")
    for _ in range(2):
        await ann.opened(clientOrderId=None)
    (await ann.close("BTC-PERP-1", clientOrderId="out")).ok()

    is_open, is_closed = await bob.close("BTC-PERP-2"), await bob.close("BTC-PERP-1")

    assert is_open.refused(403, "forbidden") == {"position": "BTC-PERP-2"}
    assert is_closed.refused(403, "forbidden") == {"position": "BTC-PERP-1"}
    assert is_open.error()["message"] == is_closed.error()["message"]
    (await ann.close("BTC-PERP-1")).refused(409, "position_closed")
    assert (await ann.close("BTC-PERP-1", clientOrderId="out")).headers["Idempotent-Replay"] == "true"
    (await venue.admin.close("BTC-PERP-1")).refused(409, "position_closed")
    (await bob.close("BTC-PERP-3")).refused(404, "position_not_found")


async def test_public_market_data_names_nobody(venue: Running) -> None:
    ann = await venue.user("ann-the-user")
    await ann.opened(leverage=100)
    await ann.opened(side="short")
    (await ann.close("BTC-PERP-2")).ok()
    await venue.price("40000")

    for path in (
        "",
        "/BTC-PERP",
        "/BTC-PERP/trades",
        "/BTC-PERP/liquidations",
        "/BTC-PERP/prices",
        "/BTC-PERP/candles",
    ):
        answer = await venue.anybody.get(f"/api/markets/perps{path}")
        answer.ok()
        for secret in (b"ann-the-user", b"BTC-PERP-1", b"BTC-PERP-2", b"positionId", b"userId", b"clientOrderId"):
            assert secret not in answer.body, (path, secret)
    trades = (await venue.anybody.get("/api/markets/perps/BTC-PERP/trades")).ok()["trades"]
    assert [trade["kind"] for trade in trades] == ["liquidation", "close", "open", "open"]


SCOPED = [
    ("trade", "POST", "/api/markets/perps/BTC-PERP/price", 403),
    ("trade", "POST", "/api/admin/users", 403),
    ("price", "POST", "/api/markets/perps/quote", 403),
    ("price", "POST", "/api/admin/users/ann/deposit", 403),
    ("price", "GET", "/api/admin/stats", 403),
    ("read", "GET", "/api/admin/stats", 403),
    ("read", "DELETE", "/api/admin/keys/key_1", 403),
]
BODIES: dict[str, object] = {
    "quote": {"ticker": "BTC-PERP", "side": "long", "size": "20", "leverage": 2},
    "price": {"price": "1"},
    "users": {"userId": "new"},
    "deposit": {"amount": "1"},
}


@pytest.mark.parametrize(("scope", "method", "path", "status"), SCOPED)
async def test_a_key_does_what_its_scopes_say(venue: Running, scope: str, method: str, path: str, status: int) -> None:
    await venue.user("ann")
    client = await venue.key(scope, userId="ann")

    if method == "POST":
        answer = await client.post(path, BODIES[path.rpartition("/")[2]])
    else:
        answer = await client.ask(method, path)

    assert answer.status == status
    assert answer.error()["code"] == "forbidden"


async def test_a_key_with_a_scope_may(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    feed, manager = await venue.key("price"), await venue.key("admin")

    (await feed.post("/api/markets/perps/BTC-PERP/price", {"price": "50001"})).ok()
    (await manager.post("/api/admin/users", {"userId": "bob"})).ok(201)
    (await manager.get("/api/users/ann/balance")).ok()
    (await manager.close("BTC-PERP-1")).ok()


async def test_a_trading_key_without_a_user_trades_for_nobody(venue: Running) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    _, key = await venue.venue.context.keys.create(user=None, scopes=["trade"], label=None, expires_at=None)
    loose = Client(venue.session, venue.url, key)

    async with venue.unchanged():
        assert (await loose.open()).refused(400, "validation_error") == {"field": "userId"}
        (await loose.open(userId="ann")).refused(403, "forbidden")
        (await loose.close("BTC-PERP-1")).refused(403, "forbidden")


async def test_a_key_ends_at_its_time(venue: Running, clock: ManualClock) -> None:
    await venue.user("ann")
    client = await venue.key("read", userId="ann", expiresAt="2026-01-01T00:00:10.001Z")
    clock.advance(10)
    (await client.get("/api/users/ann/balance")).ok()

    clock.advance(0.001)

    (await client.get("/api/users/ann/balance")).refused(401, "unauthorized")


async def test_a_key_is_kept_as_a_digest_only(starter: Starter) -> None:
    backend = OnMemory()
    venue = await starter(backend)
    ann = await venue.user("ann")
    assert ann.key is not None

    kept = repr(backend.store.api_keys).encode() + repr(backend.store.journal).encode()

    assert len(ann.key) >= 43, "256 bits"
    assert ann.key.encode() not in kept
    assert ann.key[6:].encode() not in kept


async def test_a_key_nearly_right_is_wrong(venue: Running) -> None:
    ann = await venue.user("ann")
    key = ann.key or ""

    for wrong in (key[:-1], key + "x", key.upper(), key[::-1], f"{key} {key}", "the-administrator "[:-2]):
        ann.key = wrong
        (await ann.get("/api/users/ann/balance")).refused(401, "unauthorized")


async def test_an_error_does_not_show_the_key_that_was_sent(venue: Running) -> None:
    answer = await venue.anybody.ask("GET", "/api/admin/stats", headers={"Authorization": "Bearer s3cret"})

    answer.refused(401, "unauthorized")
    assert b"s3cret" not in answer.body
