"""Tickets: good once, soon, and only as long as their key; and streams that end with their key."""

from __future__ import annotations

import pytest

from tests.support.slowness import soon
from tests.web.events import following
from tests.web.venue import Client, ManualClock, Running
from web import tickets
from web.auth import digest


async def _ticket(client: Client) -> str:
    made = (await client.post("/api/streams/ticket")).ok()
    assert made["expiresAt"] == "2026-01-01T00:01:00.000Z"
    return str(made["ticket"])


async def _refused(venue: Running, ticket: str, path: str = "/api/sse/users/me") -> None:
    (await venue.anybody.get(f"{path}?ticket={ticket}")).refused(401, "unauthorized")


async def test_a_ticket_opens_one_stream_without_a_header(venue: Running) -> None:
    ann = await venue.user("ann")
    for path in ("/api/sse/users/me", "/api/sse/users/ann", "/api/sse?user=me"):
        ticket = await _ticket(ann)
        mark = "&" if "?" in path else "?"
        async with following(venue, f"{path}{mark}ticket={ticket}", None) as stream:
            assert (await stream.next()).name == "snapshot"
            (await venue.anybody.get(f"{path}{mark}ticket={ticket}")).refused(401, "unauthorized")


async def test_a_ticket_is_good_for_a_minute(venue: Running, clock: ManualClock) -> None:
    ann = await venue.user("ann")
    early, late = await _ticket(ann), await _ticket(ann)
    clock.advance(59.999)
    async with following(venue, f"/api/sse/users/me?ticket={early}", None) as stream:
        await stream.next()
    clock.advance(0.001)

    await _refused(venue, late)


async def test_a_ticket_is_good_only_for_what_its_key_may(venue: Running) -> None:
    ann, _ = await venue.user("ann"), await venue.user("bob")

    for path in ("/api/sse/users/bob", "/api/sse/users", "/api/sse?user=bob"):
        mark = "&" if "?" in path else "?"
        answer = await venue.anybody.get(f"{path}{mark}ticket={await _ticket(ann)}")
        answer.refused(403, "forbidden")
    (await venue.anybody.get(f"/api/users/ann/balance?ticket={await _ticket(ann)}")).refused(401, "unauthorized")
    (await (await venue.key("price")).post("/api/streams/ticket")).refused(403, "forbidden")
    (await venue.anybody.post("/api/streams/ticket")).refused(401, "unauthorized")


@pytest.mark.parametrize("ticket", ["", "x", "ticket_", "%00", "%ff", "x" * 4000])
async def test_what_is_no_ticket_opens_nothing(venue: Running, ticket: str) -> None:
    await venue.user("ann")

    await _refused(venue, ticket)


async def test_a_key_that_trades_may_have_a_ticket_because_it_may_read(venue: Running) -> None:
    await venue.user("ann")
    ticket = await _ticket(await venue.key("trade", userId="ann"))
    async with venue.session.get(f"{venue.url}/api/sse/users/ann?ticket={ticket}") as stream:
        assert stream.status == 200

    feed = await venue.key("price", userId="ann")
    assert (await feed.post("/api/streams/ticket")).refused(403, "forbidden") == {"scope": "read"}


async def test_the_tickets_of_a_key_end_with_it(venue: Running, clock: ManualClock) -> None:
    await venue.user("ann")
    made = (await venue.admin.post("/api/admin/keys", {"scopes": ["read"], "userId": "ann"})).ok(201)
    revoked = await _ticket(Client(venue.session, venue.url, made["key"]))
    expired = await _ticket(await venue.key("read", userId="ann", expiresAt="2026-01-01T00:00:10.000Z"))

    (await venue.admin.delete(f"/api/admin/keys/{made['keyId']}")).ok()
    clock.advance(10)

    await _refused(venue, revoked)
    await _refused(venue, expired)


async def test_a_key_has_so_many_unused_tickets_and_used_or_old_ones_do_not_count(
    venue: Running, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "TICKETS_OF_KEY_MAX", 2)
    ann, bob = await venue.user("ann"), await venue.user("bob")
    first = await _ticket(ann)
    await _ticket(ann)

    assert (await ann.post("/api/streams/ticket")).refused(429, "rate_limited") == {"limit": 2}
    await _ticket(bob)
    async with following(venue, f"/api/sse/users/me?ticket={first}", None):
        await _ticket(ann)
    clock.advance(60)
    (await ann.post("/api/streams/ticket")).ok()
    assert len(venue.venue.context.tickets._by_digest) == 1


async def test_all_tickets_together_are_bounded(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "TICKETS_MAX", 1)
    await _ticket(await venue.user("ann"))

    (await (await venue.user("bob")).post("/api/streams/ticket")).refused(503, "overloaded")


async def test_a_ticket_is_kept_as_a_digest(venue: Running) -> None:
    ticket = await _ticket(await venue.user("ann"))

    assert list(venue.venue.context.tickets._by_digest) == [digest(ticket)]
    assert len(ticket) >= 43, "256 bits"


@pytest.mark.parametrize("path", ["/api/sse/users/me", "/api/sse?user=me"])
async def test_an_open_stream_ends_when_its_key_is_revoked(venue: Running, path: str) -> None:
    await venue.user("ann")
    made = (await venue.admin.post("/api/admin/keys", {"scopes": ["read"], "userId": "ann"})).ok(201)
    reader = Client(venue.session, venue.url, made["key"])
    async with (
        following(venue, path, reader) as stream,
        following(venue, path, venue.client("ann")) as other,
    ):
        await stream.next()
        await other.next()
        (await venue.admin.delete(f"/api/admin/keys/{made['keyId']}")).ok()
        deposit = (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "1"})).ok()

        with pytest.raises(EOFError):
            await stream.next()
        assert (await other.next()).offset == deposit["offset"]


async def test_an_open_stream_ends_when_its_key_expires(venue: Running, clock: ManualClock) -> None:
    await venue.user("ann")
    reader = await venue.key("read", userId="ann", expiresAt="2026-01-01T00:00:00.200Z")
    async with following(venue, "/api/sse/users/me", reader) as stream:
        await stream.next()
        clock.advance(0.2)

        async with soon(5):
            with pytest.raises(EOFError):
                await stream.next()
    async with soon(5):
        while (await venue.admin.get("/api/admin/stats")).ok()["streams"]:
            pass


async def test_nothing_is_kept_of_a_stream_that_has_ended(venue: Running) -> None:
    ann = await venue.user("ann")
    async with following(venue, "/api/sse/users/me", ann) as stream:
        await stream.next()
        assert len(venue.venue.context.keys._when_ended) == 1
    async with soon(20):
        while venue.venue.context.keys._when_ended:
            (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "1"})).ok()
