"""A caller over budget is refused before anything of the request is read; nobody else notices."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import aiohttp
import pytest
from msgspec.structs import replace

from perps.wire.contract.operations import OPERATIONS
from perps.wire.contract.weights import WEIGHTS
from perps.wire.lists import Page
from perps.wire.operation import EVENTS
from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.venue import ADMIN_KEY, Client, ManualClock, Running
from web.compose import Limits
from web.limits.admission import RequestLimits
from web.limits.budgets import FAILURES_FREE
from web.limits.origins import Sites

SMALL = Limits(requests=RequestLimits(key_points_per_s=10, address_points_per_s=10, limits_loopback=True))
POINTS = 20
MARKET = "/api/markets/perps/BTC-PERP"


@pytest.fixture
async def tight(starter: Starter, clock: ManualClock) -> Running:
    """A venue in which everybody has 20 points, and 10 more each second."""
    venue = await starter(clock=clock, limits=SMALL)
    await venue.market()
    return venue


def _left(headers: object) -> tuple[int, int, int]:
    names = ("Limit", "Remaining", "Reset")
    return tuple(int(headers[f"X-RateLimit-{name}"]) for name in names)  # type: ignore[index, return-value]


def test_every_weight_is_of_an_operation() -> None:
    assert set(WEIGHTS) <= {operation.name for operation in OPERATIONS}


def test_all_streams_weigh_the_same_and_so_do_all_lists_of_the_past() -> None:
    streams = [each.name for each in OPERATIONS if each.answers[each.status] == EVENTS]
    past = [each.name for each in OPERATIONS if each.query is Page and each.name != "listUsers"]

    assert {WEIGHTS.get(name) for name in streams} == {2}
    assert {WEIGHTS.get(name) for name in past} == {10}


async def test_answers_say_what_is_left_and_a_refusal_when_to_come_again(tight: Running, clock: ManualClock) -> None:
    first = await tight.anybody.get(MARKET)
    last = [await tight.anybody.get(MARKET) for _ in range(POINTS - 1)][-1]
    refused = await tight.anybody.get("/api/markets/perps")

    assert _left(first.headers) == (POINTS, POINTS - 1, 1)
    assert _left(last.headers) == (POINTS, 0, 2)
    assert refused.refused(429, "rate_limited") == {"limit": POINTS, "weight": 5}
    assert (refused.headers["Retry-After"], *_left(refused.headers)) == ("1", POINTS, 0, 2)
    clock.advance(0.5)
    (await tight.anybody.get("/api/markets/perps")).ok()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}], ids=["no key", "wrong keys"])
async def test_an_address_that_goes_on_over_budget_waits_for_its_refusals_and_nobody_else_does(
    starter: Starter, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr("web.limits.admission.REFUSALS_PER_S", 0.1)
    venue = await starter(clock=clock, limits=SMALL)
    await venue.market()
    ann = await venue.user("ann")
    said = [(await venue.anybody.ask("GET", MARKET, headers=headers)).status for _ in range(FAILURES_FREE + 1)]
    while said[-1] != 429:
        said.append((await venue.anybody.ask("GET", MARKET, headers=headers)).status)
    second = asyncio.create_task(venue.anybody.ask("GET", MARKET, headers=headers))
    to_ann = [await ann.get(MARKET) for _ in range(POINTS + 1)]

    to_ann[-1].refused(429, "rate_limited")
    assert not second.done()
    second.cancel()


async def test_a_user_has_one_budget_for_all_keys_apart_from_strangers_and_others(tight: Running) -> None:
    ann, bob = await tight.user("ann"), await tight.user("bob")
    other = await tight.key("read", userId="ann")
    for _ in range(POINTS // 2):
        (await ann.get(MARKET)).ok()
        (await other.get(MARKET)).ok()

    (await ann.get(MARKET)).refused(429, "rate_limited")
    (await other.get("/api/users/ann/balance")).refused(429, "rate_limited")
    (await tight.anybody.get(MARKET)).ok()
    (await bob.open()).ok(201)


async def test_a_refused_command_is_not_read_and_does_nothing(tight: Running) -> None:
    ann = await tight.user("ann")
    for _ in range(POINTS):
        await ann.get(MARKET)

    async with tight.unchanged():
        (await ann.open()).refused(429, "rate_limited")
        (await ann.post("/api/markets/perps/open", b"{")).refused(429, "rate_limited")


async def test_a_close_costs_less_than_an_open_and_a_look_up_more(tight: Running) -> None:
    ann = await tight.user("ann")
    opened = await ann.open(size="20")
    closed = await ann.close("BTC-PERP-1")
    looked_up = await ann.get(f"{MARKET}/trades")

    assert [_left(answer.headers)[1] for answer in (opened, closed, looked_up)] == [18, 17, 7]


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Host": "evil.example"}, 403),
        ("OPTIONS", {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}, 204),
    ],
    ids=["another name", "a browser that asks first"],
)
async def test_a_request_that_no_route_answers_costs_a_point(
    starter: Starter, clock: ManualClock, method: str, headers: dict[str, str], status: int
) -> None:
    sites = Sites(allowed_hosts=frozenset({"127.0.0.1"}), cors_origins=frozenset({"https://app.example"}))
    venue = await starter(clock=clock, limits=replace(SMALL, sites=sites))
    said = [(await venue.anybody.ask(method, MARKET, headers=headers)).status for _ in range(POINTS + 1)]

    assert said == [status] * POINTS + [429]


async def test_what_is_not_there_costs_a_point_and_being_well_none(tight: Running) -> None:
    for _ in range(POINTS):
        (await tight.anybody.get("/healthz")).ok()
        (await tight.anybody.get("/nothing")).refused(404, "not_found")

    (await tight.anybody.get("/nothing")).refused(429, "rate_limited")
    (await tight.anybody.get("/readyz")).ok()


async def test_an_administrator_is_not_limited(tight: Running) -> None:
    for _ in range(3 * POINTS):
        answer = await tight.admin.get(MARKET)
        answer.ok()
        assert "X-RateLimit-Limit" not in answer.headers


async def test_by_default_strangers_on_this_machine_are_not_limited(starter: Starter) -> None:
    venue = await starter(limits=Limits(requests=RequestLimits(address_points_per_s=1)))
    for _ in range(50):
        answer = await venue.anybody.get("/")
        answer.ok()
        assert "X-RateLimit-Limit" not in answer.headers


async def test_keys_that_fail_are_slowed_and_good_ones_behind_the_same_address_are_not(
    venue: Running, clock: ManualClock
) -> None:
    ann, wrong = await venue.user("ann"), Client(venue.session, venue.url, "wrong")
    for _ in range(FAILURES_FREE + 1):
        (await wrong.get("/api/users/ann/balance")).refused(401, "unauthorized")
    slowed = await wrong.get("/api/users/ann/balance")
    slowed.refused(429, "rate_limited")
    assert slowed.headers["Retry-After"] == "1"
    (await wrong.get(MARKET)).refused(429, "rate_limited")

    await ann.balance()
    (await venue.admin.get("/api/admin/stats")).ok()
    (await venue.anybody.get(MARKET)).ok()
    (await venue.anybody.get("/api/users/ann/balance")).refused(401, "unauthorized")
    clock.advance(1)
    (await wrong.get("/api/users/ann/balance")).refused(401, "unauthorized")
    assert (await wrong.get("/api/users/ann/balance")).headers["Retry-After"] == "2"


async def test_public_data_come_with_a_wrong_key_too_until_it_has_failed_often(venue: Running) -> None:
    wrong = Client(venue.session, venue.url, "wrong")

    for _ in range(FAILURES_FREE + 1):
        (await wrong.get(MARKET)).ok()
    (await wrong.get(MARKET)).refused(429, "rate_limited")


async def test_one_caller_has_so_many_streams_and_no_more(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.limits.admission.STREAMS_EACH_MAX", 3)
    limits = Limits(requests=RequestLimits(address_points_per_s=0, limits_loopback=True))
    venue = await starter(limits=limits)
    await venue.market()
    ann = await venue.user("ann")
    async with AsyncExitStack() as streams:
        for _ in range(3):
            await (await streams.enter_async_context(listening(venue))).next()
        assert (await venue.anybody.get("/api/sse/markets")).refused(429, "rate_limited") == {"limit": 3}
        key = {"Authorization": f"Bearer {ann.key}"}
        await (await streams.enter_async_context(listening(venue, headers=key))).next()
    async with asyncio.timeout(5):
        while venue.venue.context.streams.readers:
            await venue.anybody.get("/healthz")
    async with listening(venue) as stream:
        await stream.next()


async def _say(venue: Running, text: str) -> bytes:
    address = urlsplit(venue.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(text.replace("\n", "\r\n").encode())
    async with asyncio.timeout(5):
        said = await reader.read()
    writer.close()
    return said


CHUNKED = "POST /api/markets/perps/open HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n{}\n1\n{{\n"


async def test_a_body_without_a_key_and_without_a_length_is_not_read(venue: Running) -> None:
    said = await _say(venue, CHUNKED.format(""))

    assert b" 400 Bad Request\r\n" in said
    assert b'"code":"validation_error"' in said
    assert b"Content-Length" in said


async def test_a_body_in_chunks_is_read_for_who_has_a_key(venue: Running) -> None:
    with_key = f"Connection: close\nAuthorization: Bearer {ADMIN_KEY}\n"
    said = await _say(venue, CHUNKED.format(with_key) + "1\n}\n0\n\n")

    assert b'"code":"validation_error"' in said
    assert b"ticker is missing" in said


async def test_a_large_list_is_sent_at_a_pace_to_each_caller(starter: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.limits.admission.LARGE_BYTES", 100)
    monkeypatch.setattr("web.limits.admission.POINT_BYTES", 0)
    monkeypatch.setattr("web.limits.admission.BYTES_PER_S", 100)
    venue = await starter()
    await venue.market()
    ann = await venue.user("ann")

    (await venue.anybody.get(MARKET)).ok()
    (await venue.anybody.get(MARKET)).refused(429, "rate_limited")
    (await ann.get(MARKET)).ok()
    (await venue.anybody.get("/healthz")).ok()


async def test_who_has_no_key_waits_for_who_has_none_and_nobody_else_does(
    starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.limits.admission.POINT_BYTES", 100)
    monkeypatch.setattr("web.limits.admission.BYTES_PER_S", 10)
    venue = await starter()
    await venue.market()
    ann = await venue.user("ann")

    (await venue.anybody.get(MARKET)).ok()
    (await venue.anybody.get(MARKET)).refused(429, "rate_limited")
    (await venue.anybody.get("/nothing")).refused(429, "rate_limited")
    (await venue.anybody.get("/readyz")).ok()
    for _ in range(3):
        (await ann.get(MARKET)).ok()


async def test_what_is_remembered_of_a_connection_ends_with_the_key(starter: Starter) -> None:
    venue = await starter()
    await venue.user("ann")
    made = (await venue.admin.post("/api/admin/keys", {"userId": "ann", "scopes": ["read"]})).ok(201)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        ann, bob = Client(session, venue.url, made["key"]), Client(session, venue.url, "wrong")
        for _ in range(3):
            assert (await ann.get("/api/me")).ok()["userId"] == "ann"
        (await bob.get("/api/me")).refused(401, "unauthorized")
        assert (await ann.get("/api/me")).ok()["userId"] == "ann"

        (await venue.admin.delete(f"/api/admin/keys/{made['keyId']}")).ok()

        (await ann.get("/api/me")).refused(401, "unauthorized")


async def test_a_key_that_expires_is_looked_at_each_time(starter: Starter, clock: ManualClock) -> None:
    venue = await starter(clock=clock)
    await venue.user("ann")
    soon = "2026-01-01T00:00:10.000Z"
    made = (await venue.admin.post("/api/admin/keys", {"userId": "ann", "scopes": ["read"], "expiresAt": soon})).ok(201)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        ann = Client(session, venue.url, made["key"])
        (await ann.get("/api/me")).ok()
        clock.advance(10)
        (await ann.get("/api/me")).refused(401, "unauthorized")


async def test_who_asks_too_often_whether_the_venue_is_well_waits_and_nobody_else_does(
    starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.limits.admission.PROBES_PER_S", 0.1)
    venue = await starter()
    ann = await venue.user("ann")

    (await venue.anybody.get("/healthz")).ok()
    (await venue.anybody.get("/readyz")).refused(429, "rate_limited")
    (await venue.anybody.get("/api/markets/perps")).ok()
    for _ in range(3):
        (await ann.get("/readyz")).ok()
