"""Live prices come from strangers: whatever they send, the market gets good prices or none, and people hear why."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import jsonpath
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from perps.client import Venue
from tests.support.slowness import soon
from tests.tools.conftest import Running
from tests.tools.fake_venue import ADMIN_KEY
from tools.cli import main
from tools.feeds.http_prices import BODY_MAX, HttpSource, NoPrice, Poll
from tools.feeds.market_feed import PriceFeed
from tools.feeds.polling import keep_sending

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Sources:
    """Addresses that answer as they are told."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path[1:]
        self.asked.append(name)
        queue = self.answers[name]
        return await (queue.pop(0) if len(queue) > 1 else queue[0])(request)

    def add(self, name: str, *answers: Answer) -> str:
        """An address that gives these answers, and then the last one for ever."""
        self.answers[name] = list(answers)
        return f"{self.url}/{name}"


@pytest.fixture
async def sources() -> AsyncIterator[Sources]:
    found = Sources()
    app = web.Application()
    app.router.add_get("/{name}", found.answer)
    server = TestServer(app)
    await server.start_server()
    found.url = str(server.make_url("")).rstrip("/")
    yield found
    await server.close()


def says(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=data, status=status, headers=headers)

    return answer


async def drips(request: web.Request) -> web.StreamResponse:
    """A byte now and then, for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def bursts(request: web.Request) -> web.StreamResponse:
    """More than anybody wants."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 65_536)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


async def feed(running: Running, *arguments: str) -> int:
    options = ("--ticker", "A", "--interval", "0.01", "--url", running.url, "--key", ADMIN_KEY)
    return await asyncio.to_thread(main, ["feed", "http", *arguments, *options])


def sent(running: Running) -> list[str]:
    return [price["price"] for price in running.venue.prices]


async def test_a_price_of_an_address_reaches_the_market_with_its_time(running: Running, sources: Sources) -> None:
    running.venue.add_market("A")
    at = ago(2)
    url = sources.add("one", says({"data": [{"price": "101.50", "time": at}]}))
    assert (
        await feed(running, url, "--json-path", "$.data[0].price", "--time-path", "$.data[0].time", "--steps", "3") == 0
    )
    assert sent(running) == ["101.50"], "the same price of the same time is sent once"
    assert running.venue.prices[0]["at"][:19] == at[:19]


async def test_a_price_without_a_time_is_of_the_moment_it_was_asked_for(running: Running, sources: Sources) -> None:
    running.venue.add_market("A")
    url = sources.add("one", says({"p": 101}), says({"p": 102.25}))
    before = datetime.now(UTC)
    assert await feed(running, url, "--json-path", "p", "--steps", "2") == 0
    assert sent(running) == ["101.00", "102.25"]
    times = [datetime.fromisoformat(price["at"]) for price in running.venue.prices]
    assert before - timedelta(milliseconds=1) <= times[0] <= times[1] <= datetime.now(UTC)


async def test_of_several_addresses_the_middle_counts(running: Running, sources: Sources) -> None:
    running.venue.add_market("A")
    urls = [sources.add(f"s{price}", says({"p": price})) for price in (100, 101, 99)]
    assert await feed(running, *urls, "--json-path", "$.p", "--steps", "1") == 0
    assert sent(running) == ["100.00"]


async def test_one_that_is_far_from_the_others_does_not_count(running: Running, sources: Sources) -> None:
    running.venue.add_market("A")
    urls = [sources.add(f"s{price}", says({"p": price})) for price in (100, 101, 5000)]
    assert await feed(running, *urls, "--json-path", "$.p", "--steps", "1") == 0
    assert sent(running) == ["100.50"]


async def test_two_that_disagree_are_no_price(
    running: Running, sources: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("A")
    urls = [sources.add(f"s{price}", says({"p": price})) for price in (100, 200)]
    assert await feed(running, *urls, "--json-path", "$.p", "--steps", "3") == 1
    assert sent(running) == []
    assert capsys.readouterr().err.count("no price is sent: 0 of 2 sources fresh and in agreement, 2 needed") == 1


async def test_each_address_may_have_its_own_path(running: Running, sources: Sources) -> None:
    running.venue.add_market("A")
    urls = [sources.add("a", says({"last": "100"})), sources.add("b", says({"result": {"XBT": {"c": ["101", "1"]}}}))]
    assert await feed(running, *urls, "--json-path", "$.last", "--json-path", "$.result.XBT.c[0]", "--steps", "1") == 0
    assert sent(running) == ["100.50"]


BAD: dict[str, tuple[Answer, str]] = {
    "no JSON": (says(b"<html>busy</html>"), "the answer is not JSON"),
    "half of it": (says(b'{"p": 1'), "the answer is not JSON"),
    "not UTF-8": (says(b'{"p": "\xff"}'), "the answer is not JSON"),
    "deep": (says(b"[" * 100_000), "the answer is not JSON"),
    "NaN": (says(b'{"p": NaN}'), "NaN is no number"),
    "Infinity": (says(b'{"p": -Infinity}'), "-Infinity is no number"),
    "a huge exponent": (says(b'{"p": 1e999}'), "the price must be a number above 0"),
    "a number that is no price": (says(b'{"p": 1e19}'), "the price must be a number above 0; it is '1E+19'"),
    "a text": (says({"p": "soon"}), "the price must be a number above 0; it is 'soon'"),
    "0": (says({"p": 0}), "the price must be a number above 0; it is '0'"),
    "below 0": (says({"p": "-5"}), "the price must be a number above 0; it is '-5'"),
    "true": (says({"p": True}), "the price must be a number above 0"),
    "null": (says({"p": None}), "the price must be a number above 0"),
    "nothing": (says({"q": 1}), "there is nothing at $['p'], one is needed"),
    "a list": (says([1, 2]), "there is nothing at $['p']"),
    "an error": (says({"p": 1}, status=500), "status 500"),
    "a redirect to a file": (
        says(b"", 302, {"Location": "file:///etc/passwd"}),
        "it leads to 'file:///etc/passwd', and",
    ),
    "a redirect": (says(b"", 301, {"Location": "http://127.0.0.1:1/"}), "no redirect is followed"),
    "too much": (bursts, "the answer is longer than 1 MiB"),
    "a packed flood": (
        says(gzip.compress(b" " * (4 * BODY_MAX)), headers={"Content-Encoding": "gzip"}),
        "the answer is longer than 1 MiB",
    ),
    "a drip": (drips, "no whole answer within 0.3 s"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_answer_is_told_once_and_the_next_good_one_counts(
    name: str, running: Running, sources: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("A")
    answer, why = BAD[name]
    url = sources.add("one", answer, answer, says({"p": 101}))
    async with soon(20):
        arguments = (url, "--json-path", "$.p", "--timeout", "0.3", "--steps", "40")
        assert await feed(running, *arguments) == 0
    assert set(sent(running)) == {"101.00"}
    error = capsys.readouterr().err
    assert error.count(f"{url}: ") == 1
    assert why in error
    assert f"{url} answers again" in error


async def test_an_old_price_is_not_sent_and_a_fresh_one_is_again(
    running: Running, sources: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("A")
    old, new = says({"p": 1, "t": ago(100)}), says({"p": 2, "t": ago(0)})
    url = sources.add("one", old, old, new)
    assert await feed(running, url, "--json-path", "$.p", "--time-path", "$.t", "--steps", "5") == 0
    assert sent(running) == ["2.00"]
    error = capsys.readouterr().err
    assert f"no price is sent: 0 of 1 source fresh and in agreement, 1 needed ({url} is 10" in error
    assert "prices are sent again" in error


async def test_a_price_from_the_future_does_not_count(sources: Sources) -> None:
    source = HttpSource(sources.add("one", says({"p": 1, "t": ago(-100)})), _path("$.p"), _path("$.t"), 1.0)
    with pytest.raises(NoPrice, match="ahead of this machine's clock"):
        await _ask(source)


async def test_a_source_that_fails_is_asked_later_and_later(running: Running, sources: Sources) -> None:
    running.venue.add_market("A")
    now = 0.0
    bad, good = sources.add("bad", says(b"", 500)), sources.add("good", says({"p": 100}))
    told: list[str] = []
    poll = Poll(
        [HttpSource(url, _path("$.p"), None, 1.0) for url in (bad, good)],
        quorum=1,
        max_age_s=30.0,
        max_spread=0.02,
        interval_s=0.001,
        tell=told.append,
        now=lambda: now,
    )
    async with Venue(running.url, ADMIN_KEY) as venue:
        market_feed, _ = await PriceFeed.of(venue, "A")
        for _ in range(100):
            await keep_sending(market_feed, poll, 1)
            now += 0.001
    assert sources.asked.count("good") == 100
    assert 3 <= sources.asked.count("bad") <= 12
    assert told == [f"{bad}: status 500: b''; trying again"]


async def test_a_price_that_the_tick_would_move_ends_the_feed(
    running: Running, sources: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("A")
    url = sources.add("one", says({"p": "0.00001033"}))
    assert await feed(running, url, "--json-path", "$.p", "--steps", "1") == 1
    assert "the market's tick 0.01 would make 0.01 of the price 0.00001033" in capsys.readouterr().err
    assert sent(running) == []


async def test_a_price_that_no_market_has_is_passed_over_once_others_have_been_sent(
    running: Running, sources: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    running.venue.add_market("A")
    running.venue.limit = Decimal(1000)
    url = sources.add("one", says({"p": 100}), says({"p": "0.00001033"}), says({"p": 5000}), says({"p": 102}))
    assert await feed(running, url, "--json-path", "$.p", "--steps", "10") == 0
    assert list(dict.fromkeys(sent(running))) == ["100.00", "102.00"]
    error = capsys.readouterr().err
    assert "A: the price 0.00001033 is passed over: the market's tick 0.01 would make 0.01 of" in error
    assert "A: the price 5000 is passed over: validation_error" in error


async def test_a_long_text_that_is_no_time_is_told_in_a_short_line(sources: Sources) -> None:
    source = HttpSource(sources.add("one", says({"p": 1, "t": "x" * 900_000})), _path("$.p"), _path("$.t"), 1.0)
    with pytest.raises(NoPrice, match=r"'x{80}'… is not a time") as caught:
        await _ask(source)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("file:///etc/passwd", "--json-path", "$.p"), "'file:///etc/passwd' is not a URL that begins with http://"),
        (("http://a", "--json-path", "$.["), "'$.[' is not a JSONPath, such as $.data.price"),
        (
            ("http://a", "http://b", "http://c", "--json-path", "a", "--json-path", "b"),
            "give --json-path once, or once",
        ),
        (("http://a", "--json-path", "a", "--quorum", "2"), "--quorum 2 is more than there are addresses: 1"),
    ],
)
async def test_a_mistake_in_an_argument_is_told(
    running: Running, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert await feed(running, *arguments) == 2
    assert said in capsys.readouterr().err


def _path(text: str) -> Any:
    return jsonpath.compile(text)


async def _ask(source: HttpSource) -> object:
    async with aiohttp.ClientSession() as session:
        return await source.ask(session, time.time_ns() // 1_000_000)
