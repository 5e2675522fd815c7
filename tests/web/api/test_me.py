"""Who am I, and ``me`` in the paths of a user's own data."""

from __future__ import annotations

import pytest

from tests.web.shapes import BALANCE, fits
from tests.web.venue import Running

OWN = [
    "/api/users/{}/balance",
    "/api/users/{}/transactions",
    "/api/users/{}/trades",
    "/api/users/{}/equity",
    "/api/markets/positions/{}",
]


async def test_a_key_learns_whose_it_is_and_what_it_allows(venue: Running) -> None:
    await venue.user("ann")
    client = await venue.key("trade", "read", userId="ann", label="phone", expiresAt="2026-01-01T00:00:10.001Z")

    me = (await client.get("/api/me")).ok()

    assert me.pop("keyId").startswith("key_")
    assert me == {
        "userId": "ann",
        "scopes": ["read", "trade"],
        "label": "phone",
        "expiresAt": "2026-01-01T00:00:10.001Z",
    }


async def test_any_key_may_ask_and_nobody_without_one(venue: Running) -> None:
    feed = await venue.key("price")

    assert (await feed.get("/api/me")).ok()["scopes"] == ["price"]
    assert (await venue.admin.get("/api/me")).ok() == {
        "userId": None,
        "scopes": ["admin", "price", "read", "trade"],
        "keyId": "admin",
        "label": "",
        "expiresAt": None,
    }
    (await venue.anybody.get("/api/me")).refused(401, "unauthorized")


@pytest.mark.parametrize("path", OWN)
async def test_me_is_the_keys_user(venue: Running, path: str) -> None:
    ann = await venue.user("ann")
    await ann.opened()

    mine, named = (await ann.get(path.format("me"))).ok(), (await ann.get(path.format("ann"))).ok()

    assert {**mine, "timestamp": ""} == {**named, "timestamp": ""}


@pytest.mark.parametrize("path", OWN)
async def test_a_key_without_a_user_has_no_me(venue: Running, path: str) -> None:
    answer = await venue.admin.get(path.format("me"))

    assert answer.refused(400, "validation_error") == {"field": "userId"}
    assert "belongs to no user" in answer.error()["message"]
    (await (await venue.key("price")).get(path.format("me"))).refused(403, "forbidden")
    (await venue.anybody.get(path.format("me"))).refused(401, "unauthorized")


async def test_nobody_can_be_called_me(venue: Running) -> None:
    answer = await venue.admin.post("/api/admin/users", {"userId": "me"})

    assert answer.refused(400, "validation_error") == {"field": "userId"}


async def test_who_was_called_me_before_keeps_their_data(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.api.users.ME", "")
    me = await venue.user("me")

    for reader in (me, venue.admin):
        fits((await reader.get("/api/users/me/balance")).ok(), BALANCE)
