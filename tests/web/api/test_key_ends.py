"""A key ends when it is told to, in memory and in the store, whatever becomes of who made it or of who ends it."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from perps.journal import JournalUnavailable
from perps.query_rows import KeyRecord
from tests.support.memory import MemoryKeys
from tests.web.conftest import Starter
from tests.web.shapes import words
from tests.web.venue import Backend, OnMemory


async def test_a_key_ends_when_it_is_revoked(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    await venue.user("ann")
    made = (await venue.admin.post("/api/admin/keys", {"scopes": ["read"], "userId": "ann", "label": "phone"})).ok(201)
    assert set(made) >= {"keyId", "key"}
    assert words(made["keyId"])
    client = await venue.key("read", userId="ann")
    client.key = made["key"]
    (await client.get("/api/users/ann/balance")).ok()

    assert (await venue.admin.delete(f"/api/admin/keys/{made['keyId']}")).ok()["keyId"] == made["keyId"]

    (await client.get("/api/users/ann/balance")).refused(401, "unauthorized")
    again = await starter.restart(venue)
    client.url = again.url
    (await client.get("/api/users/ann/balance")).refused(401, "unauthorized")
    (await again.client("ann").get("/api/users/ann/balance")).ok()


async def test_revoking_a_key_again_says_that_it_is_revoked(starter: Starter, backend: Backend) -> None:
    venue = await starter(backend)
    made = (await venue.admin.post("/api/admin/keys", {"scopes": ["read"]})).ok(201)

    path = f"/api/admin/keys/{made['keyId']}"
    answers = await asyncio.gather(*(venue.admin.delete(path) for _ in range(5)))
    again = await starter.restart(venue)

    for answer in (*answers, await again.admin.delete(path)):
        assert answer.ok() == {"keyId": made["keyId"], "revoked": True}


class SlowKeys(MemoryKeys):
    """A key store that takes its time to revoke, and to add when it is told to."""

    def __init__(self, backend: OnMemory) -> None:
        super().__init__(backend.store)
        self.asked, self.answer, self.done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.adds_slowly = False

    async def add(self, key: KeyRecord) -> None:
        """As in memory, when the test says so."""
        await super().add(key)
        if self.adds_slowly:
            self.asked.set()
            await self.answer.wait()
            self.done.set()

    async def revoke(self, key_id: str, at: int) -> bool:
        """As in memory, when the test says so."""
        self.asked.set()
        await self.answer.wait()
        is_known = await super().revoke(key_id, at)
        self.done.set()
        return is_known


class DoubtfulKeys(MemoryKeys):
    """A key store that does what it is asked and then, when told to, fails to say so; or fails before."""

    def __init__(self, backend: OnMemory) -> None:
        super().__init__(backend.store)
        self.fails = ""

    async def add(self, key: KeyRecord) -> None:
        """As in memory, with the failure."""
        if self.fails != "before":
            await super().add(key)
        if self.fails:
            raise JournalUnavailable("the line broke")

    async def revoke(self, key_id: str, at: int) -> bool:
        """As in memory, with the failure."""
        is_known = self.fails == "before" or await super().revoke(key_id, at)
        if self.fails:
            raise JournalUnavailable("the line broke")
        return is_known


async def test_a_key_whose_maker_does_not_wait_can_be_ended(starter: Starter) -> None:
    backend = OnMemory()
    keys = SlowKeys(backend)
    venue = await starter(backend, stores=replace(backend.stores(), keys=keys))
    keys.adds_slowly = True
    making = asyncio.create_task(venue.admin.post("/api/admin/keys", {"scopes": ["price"]}))
    await keys.asked.wait()
    making.cancel()
    await venue.anybody.get("/healthz")
    keys.answer.set()
    async with asyncio.timeout(5):
        await keys.done.wait()

    (key_id,) = backend.store.api_keys
    (await venue.admin.delete(f"/api/admin/keys/{key_id}")).ok()

    (record,) = backend.store.api_keys.values()
    assert record.revoked_at is not None


async def test_a_key_whose_making_is_in_doubt_can_be_ended(starter: Starter) -> None:
    backend = OnMemory()
    keys = DoubtfulKeys(backend)
    venue = await starter(backend, stores=replace(backend.stores(), keys=keys))
    keys.fails = "after"
    (await venue.admin.post("/api/admin/keys", {"scopes": ["price"]})).refused(503, "unavailable")
    keys.fails = ""

    (listed,) = (await venue.admin.get("/api/admin/keys")).ok()["keys"]
    (await venue.admin.delete(f"/api/admin/keys/{listed['keyId']}")).ok()

    (listed,) = (await venue.admin.get("/api/admin/keys")).ok()["keys"]
    assert listed["revokedAt"] is not None


@pytest.mark.parametrize("fails", ["before", "after"])
async def test_a_key_whose_end_is_in_doubt_has_ended_here_and_can_be_ended_again(starter: Starter, fails: str) -> None:
    backend = OnMemory()
    keys = DoubtfulKeys(backend)
    venue = await starter(backend, stores=replace(backend.stores(), keys=keys))
    ann = await venue.user("ann")
    (key_id,) = backend.store.api_keys
    keys.fails = fails
    (await venue.admin.delete(f"/api/admin/keys/{key_id}")).refused(503, "unavailable")
    (await ann.get("/api/users/ann/balance")).refused(401, "unauthorized")
    keys.fails = ""

    (await venue.admin.delete(f"/api/admin/keys/{key_id}")).ok()

    assert backend.store.api_keys[key_id].revoked_at is not None
    again = await starter.restart(venue)
    ann.url = again.url
    (await ann.get("/api/users/ann/balance")).refused(401, "unauthorized")


@pytest.mark.parametrize("key_id", ["%00", "a%00b", "%ED%A0%80", "%C3%BC", "x" * 65, "a b"])
async def test_what_cannot_be_a_key_is_not_there(starter: Starter, backend: Backend, key_id: str) -> None:
    venue = await starter(backend)

    (await venue.admin.delete(f"/api/admin/keys/{key_id}")).refused(404, "not_found")


async def test_a_key_ends_also_when_who_revokes_it_does_not_wait(starter: Starter) -> None:
    backend = OnMemory()
    keys = SlowKeys(backend)
    venue = await starter(backend, stores=replace(backend.stores(), keys=keys))
    ann = await venue.user("ann")
    key_id = next(iter(backend.store.api_keys))
    revoking = asyncio.create_task(venue.admin.delete(f"/api/admin/keys/{key_id}"))
    await keys.asked.wait()

    revoking.cancel()
    await venue.anybody.get("/healthz")
    keys.answer.set()
    await keys.done.wait()

    (await ann.get("/api/users/ann/balance")).refused(401, "unauthorized")
