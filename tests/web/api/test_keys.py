"""Keys and users as an administrator sees them: useless keys are refused, a lost id is found again."""

from __future__ import annotations

import pytest

from tests.web.conftest import Starter
from tests.web.shapes import CURSOR, MONEY, TIME, fits, maybe, number, words
from tests.web.venue import Backend, Client, Json, ManualClock, Running

KEYS = "/api/admin/keys"
USERS = "/api/admin/users"


@pytest.mark.parametrize("expires", ["2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00.000Z", "1970-01-01T00:00:00Z"])
async def test_a_key_that_has_expired_already_is_not_made(venue: Running, expires: str) -> None:
    answer = await venue.admin.post(KEYS, {"scopes": ["price"], "expiresAt": expires})

    details = answer.refused(400, "validation_error")
    assert details == {"field": "expiresAt", "now": "2026-01-01T00:00:00.000Z"}
    assert (await venue.admin.get(KEYS)).ok()["keys"] == []


@pytest.mark.parametrize("scopes", [["trade"], ["read", "trade"], ["price", "trade"]])
async def test_a_key_to_trade_with_names_whose_wallet_it_trades_from(venue: Running, scopes: list[str]) -> None:
    answer = await venue.admin.post(KEYS, {"scopes": scopes})

    assert answer.refused(400, "validation_error") == {"field": "userId"}
    assert "wallet" in answer.error()["message"]


@pytest.mark.parametrize("scopes", [["read"], ["price"], ["admin"], ["admin", "trade"]])
async def test_other_keys_need_no_user(venue: Running, scopes: list[str]) -> None:
    (await venue.admin.post(KEYS, {"scopes": scopes})).ok(201)


async def test_a_trading_key_of_nobody_is_not_told_to_do_what_it_may_not(venue: Running) -> None:
    _, key = await venue.venue.context.keys.create(user=None, scopes=["trade"], label=None, expires_at=None)
    loose = Client(venue.session, venue.url, key)

    answer = await loose.open()

    assert answer.refused(400, "validation_error") == {"field": "userId"}
    assert "administrator" in answer.error()["message"], "what would help: another key"
    (await venue.admin.open()).refused(400, "validation_error")


async def test_keys_are_listed_newest_first_and_never_shown(
    starter: Starter, backend: Backend, clock: ManualClock
) -> None:
    venue = await starter(backend, clock=clock)
    ann = await venue.user("ann")
    clock.advance(1)
    until = "2026-06-01T00:00:00.000Z"
    made = (await venue.admin.post(KEYS, {"scopes": ["price"], "label": "feed", "expiresAt": until})).ok(201)
    clock.advance(1)
    (await venue.admin.delete(f"{KEYS}/{made['keyId']}")).ok()

    answer = await venue.admin.get(KEYS)

    feed, anns = answer.ok()["keys"]
    for key in (feed, anns):
        fits(key, {"keyId": words, "createdAt": TIME, "expiresAt": maybe(TIME), "revokedAt": maybe(TIME)})
    assert feed == {
        "keyId": made["keyId"],
        "userId": None,
        "scopes": ["price"],
        "label": "feed",
        "createdAt": "2026-01-01T00:00:01.000Z",
        "expiresAt": until,
        "revokedAt": "2026-01-01T00:00:02.000Z",
    }
    assert (anns["userId"], anns["scopes"], anns["label"]) == ("ann", ["read", "trade"], "")
    assert (anns["expiresAt"], anns["revokedAt"]) == (None, None)
    assert made["key"].encode() not in answer.body
    assert (ann.key or "-").encode() not in answer.body
    assert b"digest" not in answer.body


async def _pages(client: Client, path: str, name: str, limit: int) -> list[list[Json]]:
    pages, cursor = [], ""
    for _ in range(20):
        body = (await client.get(f"{path}?limit={limit}{cursor}")).ok()
        fits(body, {"nextCursor": CURSOR if name == "users" else maybe(words)})
        pages.append(body[name])
        if body["nextCursor"] is None:
            break
        cursor = f"&cursor={body['nextCursor']}"
    return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
async def test_every_key_is_on_one_page(starter: Starter, backend: Backend, limit: int) -> None:
    venue = await starter(backend)  # the clock stands still: all are made at the same time
    made = [(await venue.admin.post(KEYS, {"scopes": ["price"]})).ok(201)["keyId"] for _ in range(5)]

    pages = await _pages(venue.admin, KEYS, "keys", limit)

    assert all(len(page) <= limit for page in pages)
    listed = [key["keyId"] for page in pages for key in page]
    assert sorted(listed) == sorted(made)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
async def test_every_user_is_on_one_page_also_of_users_made_meanwhile(venue: Running, limit: int) -> None:
    for number_ in range(5):
        (await venue.admin.post(USERS, {"userId": f"u{number_}"})).ok(201)
    first = (await venue.admin.get(f"{USERS}?limit={limit}")).ok()
    (await venue.admin.post(USERS, {"userId": "late"})).ok(201)
    cursor = first["nextCursor"]
    rest: list[str] = []
    while cursor is not None:
        body = (await venue.admin.get(f"{USERS}?limit={limit}&cursor={cursor}")).ok()
        rest += [user["userId"] for user in body["users"]]
        cursor = body["nextCursor"]

    assert [user["userId"] for user in first["users"]] + rest == ["u4", "u3", "u2", "u1", "u0"]


async def test_users_are_listed_with_what_they_have(venue: Running) -> None:
    ann, bob = await venue.user("ann", "1000"), await venue.user("bob", "0", referrer="ann")
    await ann.opened()

    body = (await venue.admin.get(USERS)).ok()

    fits(body, {"offset": number, "nextCursor": CURSOR})
    shown = {user["userId"]: user for user in body["users"]}
    assert list(shown) == ["bob", "ann"]
    for name, client in (("ann", ann), ("bob", bob)):
        balance = await client.balance()
        fits(shown[name], dict.fromkeys(("balance", "available", "margin", "totalDeposited"), MONEY))
        assert {**balance, **shown[name]} == {**shown[name], **balance}, "the same figures as the user's own balance"
    assert (shown["ann"]["openPositions"], shown["ann"]["referrer"]) == (1, None)
    assert (shown["bob"]["openPositions"], shown["bob"]["referrer"]) == (0, "ann")


@pytest.mark.parametrize("path", [KEYS, USERS])
async def test_lists_of_people_and_keys_are_for_administrators(venue: Running, path: str) -> None:
    ann, feed = await venue.user("ann"), await venue.key("read", "price")

    for client in (ann, feed):
        (await client.get(path)).refused(403, "forbidden")
    (await venue.anybody.get(path)).refused(401, "unauthorized")


@pytest.mark.parametrize("path", [KEYS, USERS])
@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "cursor=x", "cursor=1-", "cursor="])
async def test_a_page_that_cannot_be_is_refused(venue: Running, path: str, query: str) -> None:
    details = (await venue.admin.get(f"{path}?{query}")).refused(400, "validation_error")

    assert details["field"] == query.partition("=")[0]


async def test_users_keep_their_order_over_a_restart(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    for name in ("zoe", "adam", "mia"):
        (await venue.admin.post(USERS, {"userId": name})).ok(201)

    again = await starter.restart(venue)

    users = (await again.admin.get(USERS)).ok()["users"]
    assert [user["userId"] for user in users] == ["mia", "adam", "zoe"]
