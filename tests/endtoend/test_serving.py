"""Starting, stopping, and what a venue says while it does: one clear line, an exit code, and no harm to others."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import asyncpg
import pytest

from persistence.embedded.server import EmbeddedPostgres
from persistence.journal.writer import LOCK_CLASS
from tests.endtoend.api import Answer, Api, Json, client
from tests.endtoend.conftest import Venues
from tests.endtoend.opens import TICKER, Opens
from tests.endtoend.venue_process import ADMIN_KEY, STOP_S, VenueProcess, until
from tests.support.progress import without_progress
from tests.support.slowness import in_time
from web.auth import ADMIN_SENDER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

REFUSED_S: Final = 2.0
"""Longest time from a start that cannot be to its end."""
OWNER_WAIT_S: Final = 2.0
"""How long a start waits for the session of an owner that may be dying."""
CLIENTS: Final = 64


def refusal(venue: VenueProcess) -> tuple[int, list[str], float]:
    """Start a venue that must not start: its exit code, all it wrote but progress, and the seconds it took."""
    began = time.monotonic()
    venue.spawn()
    code = venue.wait_exit()
    took = time.monotonic() - began
    return code, without_progress(venue.log.read_text()), took


@asynccontextmanager
async def undisturbed(venue: VenueProcess) -> AsyncIterator[None]:
    """The venue serves before and after, in the same epoch."""
    async with client(venue.url) as api:
        opens = await Opens.prepare(api, 1)
        assert (await opens.one("user-0")).status == 201
        epoch = (await api.get("/api/admin/stats"))["epoch"]
        yield
        assert (await opens.one("user-0")).status == 201
        await opens.check()
        assert (await api.get("/api/admin/stats"))["epoch"] == epoch


async def test_a_second_venue_on_the_same_data_directory_is_refused(venues: Venues) -> None:
    first = venues()
    first.start()
    async with undisturbed(first):
        code, lines, took = await asyncio.to_thread(refusal, venues(log="second"))

    assert lines == [
        f"perps: error: another venue (process {first.pid}) runs on the data directory {first.data_dir};"
        f" stop it first: kill {first.pid}"
    ]
    assert code == 1
    assert in_time(took, REFUSED_S)


async def test_a_second_venue_on_the_same_database_is_refused(venues: Venues) -> None:
    first = venues()
    first.start()
    url = await asyncio.to_thread(first.postgres.start)
    async with undisturbed(first):
        code, lines, took = await asyncio.to_thread(refusal, venues("second", database_url=url))

    assert lines == [
        "perps: error: another venue serves this database (shard 0): stop it, or give this one a database of its own"
    ]
    assert code == 1
    assert in_time(took, OWNER_WAIT_S + REFUSED_S)


async def test_a_login_that_is_refused_is_told_at_once_and_in_one_line(venues: Venues) -> None:
    first = venues()
    first.start()
    url = (await asyncio.to_thread(first.postgres.start)).replace("postgresql://perps@", "postgresql://nobody@")
    code, lines, _ = await asyncio.to_thread(refusal, venues("second", database_url=url))

    (line,) = lines  # and none that says it is tried again
    assert line.startswith("perps: error: the database server at ")
    assert line.endswith('refuses the login: role "nobody" does not exist')
    assert code == 1


async def test_a_port_in_use_is_told_before_anything_is_made_with_a_command_for_a_free_one(venues: Venues) -> None:
    first = venues()
    first.start()
    second = venues("second", port=first.port, makes_cluster=True)
    async with undisturbed(first):
        code, lines, took = await asyncio.to_thread(refusal, second)

    (line,) = lines
    found = re.fullmatch(r"(.*); port (\d+) is free: (\S+) serve --data-dir (\S+) --port (\d+)", line)
    assert found is not None, line
    assert found[1] == (
        f"perps: error: cannot listen on 127.0.0.1:{first.port}: Address already in use by the venue on"
        f" {first.data_dir} (process {first.pid})"
    )
    assert (found[3].rpartition("/")[2], found[4], found[5]) == ("perps", str(second.data_dir), found[2])
    assert code == 1
    assert not second.data_dir.exists()
    assert in_time(took, REFUSED_S)
    await asyncio.to_thread(venues("second", port=int(found[2]), makes_cluster=True).start)


async def test_a_port_in_use_by_a_stranger_is_told_without_a_guess_who(venues: Venues) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        code, (line,), _ = await asyncio.to_thread(refusal, venues(port=port))

    assert line.startswith(f"perps: error: cannot listen on 127.0.0.1:{port}: Address already in use; port ")
    assert code == 1


async def test_sigterm_answers_all_that_is_in_flight_and_refuses_the_rest(venues: Venues) -> None:
    venue = venues()
    venue.start()
    written: set[str] = set()

    async def note(_: object, context: SimpleNamespace, __: object) -> None:
        if context.trace_request_ctx:
            written.add(str(context.trace_request_ctx.get("clientOrderId")))

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(note)
    async with client(venue.url, trace) as api:
        opens = await Opens.prepare(api, CLIENTS)
        storm = await opens.storm(
            lambda: len(opens.answers) > 5 * CLIENTS and len(written & opens.in_doubt.keys()) > CLIENTS // 2
        )
        venue.signal(signal.SIGTERM)
        in_flight = written & opens.in_doubt.keys()
        await asyncio.wait_for(storm, STOP_S)
        code = await asyncio.to_thread(venue.wait_exit)

    assert code == 0, venue.tail()
    assert not in_flight & opens.in_doubt.keys(), "in flight when the venue was told to stop, and never answered"
    assert not venue.postgres.is_running()

    await asyncio.to_thread(venue.start)
    async with client(venue.url) as api:
        opens.api = api
        await opens.check()


async def test_a_venue_started_after_kill_9_finds_its_database_still_running(venues: Venues) -> None:
    venue = venues()
    venue.start()
    async with client(venue.url) as api:
        opens = await Opens.prepare(api, 1)
        assert (await opens.one("user-0")).status == 201
    postmaster = pid_of(venue.postgres)
    venue.kill()
    assert venue.postgres.is_running()

    began = time.monotonic()
    venue.start()

    assert in_time(time.monotonic() - began, 5)
    assert pid_of(venue.postgres) == postmaster
    async with client(venue.url) as api:
        opens.api = api
        await opens.check()


async def test_a_venue_is_not_ready_before_it_has_the_journal(venues: Venues) -> None:
    """Held up by somebody else's hand on the shard, it listens, refuses, and says what it lacks."""
    venue = venues()
    url = await asyncio.to_thread(venue.postgres.start)
    other = await asyncpg.connect(url)
    try:
        assert await other.fetchval("select pg_try_advisory_lock($1, 0)", LOCK_CLASS)
        venue.spawn()
        first = await asyncio.to_thread(until, venue.readiness, within_s=10, what="an answer of /readyz")
        async with client(venue.url) as api:
            readiness = await api.send("GET", "/readyz")
            order = await api.send("POST", "/api/markets/perps/open", Opens.body("1"))
            alive = await api.send("GET", "/healthz")
    finally:
        await other.close()
    await asyncio.to_thread(venue.wait_ready)

    assert (first, readiness.status, alive.status) == (503, 503, 200)
    assert readiness.json["problems"]["core"] == "starting"
    assert (order.status, order.code) == (503, "unavailable")


async def test_ready_means_that_commands_are_taken(venues: Venues) -> None:
    """The first 200 of ``/readyz`` is followed by no refusal. Whatever starts a venue here tries that once more."""
    venue = venues()
    for number in range(2):
        venue.start()
        async with client(venue.url) as api:
            await api.add_user(f"user-{number}", "1")
        venue.kill()


def status_with(venue: VenueProcess, key: str) -> int:
    """What an administrator's request with this key gets."""

    async def ask() -> Answer:
        async with client(venue.url) as api:
            return await api.send("GET", "/api/admin/stats", key=key)

    return asyncio.run(ask()).status


def test_the_admin_key_is_made_once_for_its_owner_alone_and_the_environment_wins(venues: Venues) -> None:
    plain = venues(admin_key=None, makes_cluster=True)
    told = venues(admin_key=ADMIN_KEY, makes_cluster=True, log="told")
    path = plain.data_dir / "admin.key"

    plain.start()
    key = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key not in plain.log.read_text()
    assert (status_with(plain, key), status_with(plain, ADMIN_KEY)) == (200, 401)
    plain.kill()

    told.start()
    assert (status_with(told, key), status_with(told, ADMIN_KEY)) == (401, 200)
    assert ADMIN_KEY not in told.log.read_text()
    told.kill()

    plain.start()
    assert path.read_text().strip() == key
    assert status_with(plain, key) == 200


async def test_the_log_is_json_lines_with_one_for_each_durable_command(venues: Venues) -> None:
    venue = venues()
    venue.start()
    async with client(venue.url) as api:
        last, opened, closed = await a_small_market(api)
    assert venue.stop() == 0

    assert venue.foreign_lines() == []
    events = [json.loads(line) for line in venue.log.read_text().splitlines() if line.startswith("{")]
    commands = {event["offset"]: event for event in events if event["event"] == "command"}
    assert [event["offset"] for event in events if event["event"] == "command"] == list(range(1, last + 1))
    assert [event["kind"] for event in commands.values()] == [
        *("list", "list", "user", "deposit", "price", "open", "price", "price", "close", "open", "price")
    ]
    for event in commands.values():
        assert {"trace", "user", "ticker", "outcome", "commit_ms"} <= event.keys(), event
    expected = {"kind": "open", "user": "ann", "ticker": "AAA", "trace": opened.request_id, "outcome": "done"}
    price = {"index_price_ticks": 10_100, "price_offset": 5, "price_source": "oracle"}
    assert expected | price == only(commands[opened.json["offset"]], expected | price)
    expected |= {"kind": "close", "trace": closed.request_id}
    price = {"index_price_ticks": 10_200, "price_offset": 8, "price_source": "agent"}
    assert expected | price == only(commands[closed.json["offset"]], expected | price)
    assert commands[last]["liquidations"] == 1
    assert commands[last]["user"] == ADMIN_SENDER
    refused = [event for event in events if event["event"] == "refused" and event["path"].endswith("/open")]
    assert [event["code"] for event in refused] == ["leverage_too_high"]


async def a_small_market(api: Api) -> tuple[int, Answer, Answer]:
    """Something of everything: the last offset, and the answers to an open and to its close."""

    async def post(path: str, body: Json) -> Answer:
        answer = await api.send("POST", path, body, key=key)
        assert answer.status in (200, 201), answer.body
        return answer

    key = ADMIN_KEY
    await api.list_market(TICKER, "100.00")
    await api.list_market("BBB", "5.00")
    await api.add_user("ann", "1000")
    await post("/api/admin/users/ann/deposit", {"amount": "5"})
    order: Json = {"ticker": TICKER, "side": "long", "size": "500", "leverage": 50, "userId": "ann"}
    await post(f"/api/markets/perps/{TICKER}/price", {"price": "101.00", "source": "oracle"})
    opened = await post("/api/markets/perps/open", order)
    await post("/api/markets/perps/BBB/price", {"price": "6.00", "source": "event"})
    await post(f"/api/markets/perps/{TICKER}/price", {"price": "102.00", "source": "agent"})
    closed = await post(f"/api/markets/perps/{opened.json['position']['id']}/close", {})
    await post("/api/markets/perps/open", order)
    assert (await api.send("POST", "/api/markets/perps/open", order | {"leverage": 101})).status == 422
    crash = await post(f"/api/markets/perps/{TICKER}/price", {"price": "90.00", "source": "oracle"})
    return int(crash.json["offset"]), opened, closed


def only(event: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The wanted fields of an event."""
    return {name: event.get(name) for name in wanted}


def pid_of(server: EmbeddedPostgres) -> int:
    """The postmaster."""
    return int((server.directory / "postmaster.pid").read_text().split()[0])
