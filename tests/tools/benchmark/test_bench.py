"""The benchmark's own parts: its load client counts what it gets, its market liquidates nobody, its report is whole."""

import asyncio
import json
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from perps.units import Ticks
from tests.web.agents.channel import none_left
from tests.web.venue import OnMemory, start
from tools.benchmark import beside, channel, crowd, echo, prices, report, sockets, trailing
from tools.benchmark import load as bench_load
from tools.benchmark.channel import ChannelSpec
from tools.benchmark.crowd import CrowdSpec
from tools.benchmark.load import LoadResult, LoadSpec, answer_end, percentile, request_parts
from tools.benchmark.report import BESIDE_NOBODY, PAGE_OF_FEW, PAGE_OF_MANY, Figure, interpreter, machine, ratios, show
from tools.errors import ToolError


def spec(port: int, connections: int = 4) -> LoadSpec:
    return LoadSpec(
        host="127.0.0.1",
        port=port,
        path="/open",
        keys=[f"key-{number}" for number in range(connections)],
        tickers=["A", "B"],
        run="r",
        warm_up_s=0.02,
        seconds=0.2,
    )


async def load(app: web.Application) -> LoadResult:
    server = TestServer(app)
    await server.start_server()
    try:
        assert server.port is not None
        return await bench_load.run(spec(server.port))
    finally:
        await server.close()


def an_app(handler: object) -> web.Application:
    app = web.Application()
    app.router.add_post("/open", handler)  # type: ignore[arg-type]
    return app


async def test_the_load_client_measures_answers() -> None:
    result = await load(an_app(echo.handle))
    assert result.succeeded > 20
    assert result.failures == {}
    assert 0 < result.p50_ms <= result.p99_ms
    assert result.per_second == result.succeeded / 0.2


async def test_every_request_is_whole_and_unlike_any_other() -> None:
    bodies: list[dict[str, object]] = []
    keys: set[str] = set()

    async def handle(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        keys.add(request.headers["Authorization"])
        return web.json_response({})

    await load(an_app(handle))
    ids = [body["clientOrderId"] for body in bodies]
    assert len(set(ids)) == len(ids) > 20
    assert keys == {f"Bearer key-{number}" for number in range(4)}
    assert {body["ticker"] for body in bodies} == {"A", "B"}
    longs = sum(body["side"] == "long" for body in bodies)
    assert abs(2 * longs - len(bodies)) <= 4


async def test_refusals_are_counted_and_are_no_successes() -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response({}, status=503)

    result = await load(an_app(handle))
    assert result.succeeded == 0
    assert result.failures["503"] > 20


async def test_broken_connections_are_counted() -> None:
    async def handle(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.json_response({})

    assert (await load(an_app(handle))).failures == {"lost": 4}


@pytest.mark.parametrize(
    ("buffer", "end"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 40),
        (b"HTTP/1.1 200 OK\r\nA: b\r\ncontent-length:0\r\n\r\n", 43),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 40),
    ],
)
def test_the_end_of_an_answer_is_found(buffer: bytes, end: int | None) -> None:
    assert answer_end(buffer) == end


def test_an_answer_without_a_length_is_refused() -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        answer_end(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_a_request_says_how_long_its_body_is() -> None:
    for head, tail in request_parts(spec(1), 0):
        headers, _, body = (head + b"%010d" % 7 + tail).partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in headers
        assert msgspec.json.decode(body)["clientOrderId"] == "r-00000-0000000007"


def test_a_percentile_is_one_of_the_numbers() -> None:
    numbers = list(range(1, 101))
    assert [percentile(numbers, percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([5], 50) == 5
    assert percentile([], 50) == 0


def test_price_updates_are_timed_on_a_market_that_liquidates_nobody() -> None:
    found = list(prices.figures((100, 300), lambda _: None, updates=200))
    assert [figure.name for figure in found] == [
        "price update, 100 positions",
        "price update, 300 positions",
        "a look at what is due, 300 positions",
    ]
    assert all(figure.value > 0 for figure in found)


def test_a_look_at_what_is_due_that_makes_a_row_is_no_figure() -> None:
    market = prices.new_market()
    prices.fill(market, 10, lambda _: None)
    market.index_price = Ticks(1)
    with pytest.raises(ToolError, match="made a row"):
        prices.observation(market, 10)


def test_price_updates_are_timed_beside_trailing_stops_that_follow() -> None:
    found = list(trailing.figures((100, 300), lambda _: None, triggers=(100, 400), updates=200))
    assert [figure.name for figure in found] == [
        "price update, 100 triggers, 100 positions",
        "price update, 400 triggers, 300 positions",
        "40 trailing stops, a mark that fires none",
        "40 trailing stops, a new best mark",
        "a mark that overtakes 40 groups of trailing stops",
    ]
    assert all(figure.value > 0 for figure in found)


@pytest.mark.parametrize("form", ["table", "markdown", "json"])
def test_a_report_has_the_machine_and_every_figure(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Figure("http", "opens, 16 in flight", 12_345.6, "/s", p50=1.25, p99=20.0, note="a | b")]
    show(found, machine(tmp_path, "18.6"), form)
    out = capsys.readouterr().out
    assert "18.6" in out
    if form == "json":
        assert json.loads(out)["figures"][0]["value"] == 12_345.6
    else:
        assert all(text in out for text in ("12,346 /s", "1.25 ms", "20.0 ms"))
    if form == "markdown":
        assert "a \\| b" in out
        table = [line for line in out.splitlines() if line.startswith("|")]
        assert len(table) == 3
        assert all(line.replace("\\|", "").count("|") == len(report.COLUMNS) + 1 for line in table)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("'--enable-optimizations' '--with-lto'", "PGO and LTO"),
        ("'--enable-optimizations'", "PGO"),
        ("'--prefix=/usr'", "built without PGO"),
        (None, "built without PGO"),
    ],
)
def test_the_machine_says_how_its_python_was_built(
    monkeypatch: pytest.MonkeyPatch, options: str | None, said: str
) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: options)

    assert interpreter() == said


async def test_the_load_on_the_channel_measures_answers_and_keeps_so_many_in_flight() -> None:
    async with aiohttp.ClientSession() as session:
        venue = await start(OnMemory(), session)
        await venue.market("A", "1000")
        await venue.market("B", "1000")
        users = [await venue.user(name, "1000000") for name in ("ann", "bob")]
        spec = ChannelSpec(
            host="127.0.0.1",
            port=int(venue.url.rpartition(":")[2]),
            path="",
            keys=[user.key or "" for user in users],
            tickers=["A", "B"],
            run="r",
            warm_up_s=0.02,
            seconds=0.3,
            in_flight=32,
        )
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, venue.venue.context.bridge.in_flight)
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        result = await channel.run(spec)
        watching.cancel()
        rows = venue.venue.context.model.offset
        await venue.venue.close()
    assert result.failures == {}
    assert 20 < result.succeeded <= rows
    assert 32 < most <= 64


@pytest.mark.parametrize(
    ("does", "path", "count"),
    [("get", "/api/markets/perps", 4), ("follow", "/api/sse/markets", 3), ("open", "/api/markets/perps/open", 4)],
)
async def test_a_crowd_keeps_a_venue_busy_and_says_when_it_is_up(
    does: str, path: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async with aiohttp.ClientSession() as session:
        venue = await start(OnMemory(), session)
        await venue.market("A", "1000")
        ann = await venue.user("ann", "1000000")
        spec = CrowdSpec(
            host="127.0.0.1",
            port=int(venue.url.rpartition(":")[2]),
            path=path,
            keys=[ann.key or "" if does == "open" else ""] * count,
            tickers=["A"],
            run="r",
            warm_up_s=0.0,
            seconds=0.5,
            does=does,  # type: ignore[arg-type]
        )
        running = asyncio.create_task(crowd.run(spec))
        if does == "follow":
            while venue.venue.context.streams.readers < count:  # noqa: ASYNC110 - a plain value
                await asyncio.sleep(0)
        said = ""
        while crowd.UP not in said:
            await asyncio.sleep(0)
            said += capsys.readouterr().out
        if does == "follow":
            await venue.price("1001", "A")
        result = await running
        await venue.venue.close()
    assert result.failures == {}
    assert result.succeeded == count if does == "follow" else result.succeeded > count


def test_an_open_beside_others_is_compared_by_its_slowest_and_a_page_by_its_usual_wait() -> None:
    nobody, others, few, many = (
        Figure(*name, 1.0, "/s", p50=p50, p99=p99)
        for name, p50, p99 in (
            (BESIDE_NOBODY, 1.0, 10.0),
            (("beside", "an open beside 16 readers of /metrics"), 1.0, 40.0),
            (PAGE_OF_FEW, 2.0, 1.0),
            (PAGE_OF_MANY, 6.0, 1.0),
        )
    )

    assert [round(figure.value) for figure in ratios([nobody, others, few, many])] == [4, 3]


def test_every_figure_of_others_is_in_the_ratios() -> None:
    compared = {above for _, above, _, _ in report.RATIOS}

    assert {("beside", f"an open beside {one.name}") for one in beside.OTHERS} <= compared


async def test_idle_channels_are_opened_until_the_venue_refuses_one_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with aiohttp.ClientSession() as session:
        venue = await start(OnMemory(), session)
        try:
            monkeypatch.setattr(venue.venue.context.admission._streams, "each", 3)
            monkeypatch.setattr(sockets, "EACH", 4)
            keys = [(await venue.user(name)).key or "" for name in ("ann", "bob")]
            made, refused = await sockets._open(venue.url, keys, 2)
            assert (len(made), refused, len(venue.venue.context.agents)) == (2, b"", 2)
            sockets._abort(made)
            await none_left(venue)
            made, refused = await sockets._open(venue.url, keys, 8)
            assert len(made) == 6
            assert sockets._said(refused).startswith("429 ")
            assert "You have 3 streams and channels open" in sockets._said(refused)
            sockets._abort(made)
            await none_left(venue)
        finally:
            await venue.venue.close()
