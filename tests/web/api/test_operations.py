"""Is it alive, is it ready, what does it measure."""

from __future__ import annotations

import asyncio
import re

from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Event as LogEvent
from tests.web.conftest import Starter
from tests.web.events import listening
from tests.web.process.test_failures import POISON
from tests.web.venue import ADMIN_KEY, Client, OnMemory, Running
from web.compose import VenueServer
from web.listener import SHUTDOWN_S


async def _metrics(venue: Running) -> dict[str, float]:
    """Every sample, by its name with its labels."""
    answer = await venue.admin.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


async def test_a_running_venue_is_alive_and_ready(venue: Running) -> None:
    assert (await venue.anybody.get("/healthz")).ok() == {"status": "ok"}
    assert (await venue.anybody.get("/readyz")).ok() == {
        "status": "ready",
        "problems": {},
        "since": {},
        "offset": 1,
    }


async def test_a_venue_that_has_not_started_is_alive_but_not_ready(starter: Starter) -> None:
    session = (running := await starter()).session
    venue = VenueServer(OnMemory().stores(), ADMIN_KEY)
    url = f"http://127.0.0.1:{await venue.listen('127.0.0.1', 0)}"
    client = Client(session, url, ADMIN_KEY)
    try:
        (await client.get("/healthz")).ok()
        ready = await client.get("/readyz")
        assert (ready.status, ready.json["status"]) == (503, "not_ready")
        assert ready.json["problems"]
        (await client.get("/api/markets/perps")).refused(503, "unavailable")
        (await client.post("/api/admin/users", {"userId": "ann"})).refused(503, "unavailable")
        await venue.start()
        (await client.get("/readyz")).ok()
    finally:
        await venue.close()
    assert running.url != url


async def test_a_venue_that_stops_is_not_ready(venue: Running) -> None:
    venue.venue.context.draining = True

    ready = await venue.anybody.get("/readyz")

    assert (ready.status, ready.json["problems"]) == (503, {"venue": "stopping"})


async def test_a_body_on_its_way_is_refused_as_soon_as_the_venue_stops() -> None:
    venue = VenueServer(OnMemory().stores(), ADMIN_KEY)
    port = await venue.listen("127.0.0.1", 0)
    await venue.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b'POST /api/admin/users HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n{"u')
    try:
        async with asyncio.timeout(15):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"  # the handler is reached
        async with asyncio.timeout(SHUTDOWN_S - 1):
            await venue.close()
            answer = await reader.read()
    finally:
        writer.close()
        await venue.close()

    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Connection: close" in answer
    assert b'"code":"unavailable"' in answer


async def test_a_market_being_rebuilt_is_not_ready_and_says_why(venue: Running, error_lines: list[LogEvent]) -> None:
    venue.venue.host.health["BTC-PERP"] = "being rebuilt: a bug"

    ready = await venue.anybody.get("/readyz")

    assert (ready.status, ready.json["problems"]) == (503, {"BTC-PERP": "being rebuilt: a bug"})
    await venue.venue.host.bridge.send(POISON, sender="ann", client_order_id=None, fresh=True, trace_id="poison")
    error_lines.clear()


async def test_commands_are_counted_by_kind(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")
    await asyncio.gather(*(ann.opened(leverage=100) for _ in range(30)))
    (await ann.close("BTC-PERP-1")).ok()
    await venue.price("40000")

    metrics = await _metrics(venue)

    counted = {name.partition("kind=")[2]: value for name, value in metrics.items() if "perps_commands_total" in name}
    assert counted["open"] == 30
    assert counted["close"] == counted["price"] == counted["list"] == 1
    assert metrics["perps_liquidations_total ticker=BTC-PERP"] == 29
    assert metrics["perps_offset"] == (await venue.admin.get("/api/admin/stats")).ok()["offset"]


async def test_refusals_are_counted_by_code(venue: Running) -> None:
    ann = await venue.user("ann")
    before = await _metrics(venue)
    for _ in range(2):
        await ann.open(leverage=500)
    await ann.open("NONE")
    await venue.anybody.get("/nothing")
    await venue.admin.post("/api/admin/users", b"{")

    metrics = await _metrics(venue)

    def more(code: str) -> float:
        name = f"perps_refusals_total code={code}"
        return metrics[name] - before.get(name, 0)

    assert more("leverage_too_high") == 2
    assert more("market_not_found") == more("not_found") == more("invalid_json") == 1


async def test_every_command_is_timed_and_every_commit_measured(venue: Running) -> None:
    ann = await venue.user("ann", "1000000")
    await asyncio.gather(*(ann.opened(size="20") for _ in range(100)))

    metrics = await _metrics(venue)

    rows, commits = metrics["perps_commit_rows_sum"], metrics["perps_commit_rows_count"]
    assert rows == metrics["perps_offset"]
    assert 0 < commits < rows, "group commit"
    for stage in ("decide", "sequence", "commit", "publish"):
        assert metrics[f"perps_stage_seconds_count stage={stage}"] > 0
        assert 0 <= metrics[f"perps_stage_seconds_sum stage={stage}"] < 20
    assert metrics["perps_command_seconds_count"] == rows


async def test_what_is_in_flight_and_who_listens_is_shown(venue: Running) -> None:
    async with listening(venue) as stream:
        await stream.next()
        metrics = await _metrics(venue)

    assert (metrics["perps_in_flight"], metrics["perps_streams"]) == (0, 1)
    assert metrics["perps_core_restarts_total"] == 0


async def test_metrics_name_no_user(venue: Running) -> None:
    ann = await venue.user("ann-the-user")
    await ann.opened()

    assert b"ann" not in (await venue.admin.get("/metrics")).body


async def test_every_answer_has_an_id_of_its_own(venue: Running) -> None:
    paths = ["/healthz", "/readyz", "/metrics", "/nothing", "/api/markets/perps", "/api/users/x/balance"]
    answers = [await venue.anybody.get(path) for path in paths * 3]

    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{24}", ident) for ident in ids)


async def test_metrics_hold_no_times_of_birth(venue: Running) -> None:
    await venue.user("ann")

    assert b"_created" not in (await venue.admin.get("/metrics")).body


async def test_the_root_names_every_route_and_where_to_read_on(venue: Running) -> None:
    body = (await venue.anybody.get("/")).ok()

    assert (body["name"], body["ready"], body["docs"]) == ("perps", "/readyz", "docs/api.md")
    for line in (
        "GET /healthz",
        "GET /api/markets/perps/{ticker}",
        "POST /api/markets/perps/open",
        "GET /api/admin/keys",
    ):
        assert line in body["routes"]
    assert not [line for line in body["routes"] if line.startswith("HEAD") or "(" in line]


async def test_a_path_that_is_not_there_says_where_the_paths_are(venue: Running) -> None:
    answer = await venue.anybody.get("/nothing")

    answer.refused(404, "not_found")
    assert "GET / lists" in answer.error()["message"]
