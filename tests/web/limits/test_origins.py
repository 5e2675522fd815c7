"""Pages of other sites: CORS lets those that are named read answers; no name but the venue's own leads to it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.web.conftest import Starter
from tests.web.venue import Running
from web.compose import Limits
from web.limits.origins import ANY, Sites, host_name, sites

SITE, OTHER = "https://app.example", "https://evil.example"
MARKET = "/api/markets/perps/BTC-PERP"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture
async def shared(starter: Starter) -> Running:
    """A venue whose answers one site may read."""
    venue = await starter(limits=Limits(sites=sites("127.0.0.1", (), (SITE,))))
    await venue.market()
    return venue


async def test_a_page_of_a_named_site_may_read_answers_and_refusals(shared: Running) -> None:
    for path in (MARKET, "/api/markets/perps", "/nothing", "/api/users/ann/balance", "/healthz"):
        answer = await shared.anybody.ask("GET", path, headers={"Origin": SITE})
        assert answer.headers["Access-Control-Allow-Origin"] == SITE
        assert "X-RateLimit-Remaining" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_stream_may_be_read_by_it_too(shared: Running) -> None:
    headers = {"Origin": SITE}
    async with shared.session.get(f"{shared.url}/api/sse/markets", headers=headers) as response:
        assert response.headers["Access-Control-Allow-Origin"] == SITE


async def test_a_page_of_another_site_may_not(shared: Running) -> None:
    answer = await shared.anybody.ask("GET", MARKET, headers={"Origin": OTHER})
    asked = await shared.anybody.ask("OPTIONS", MARKET, headers={"Origin": OTHER, **ASKS})

    answer.ok()
    asked.refused(405, "method_not_allowed")
    for headers in (answer.headers, asked.headers):
        assert "Access-Control-Allow-Origin" not in headers
        assert headers["Vary"] == "Origin"


async def test_a_browser_that_asks_first_is_told(shared: Running) -> None:
    asked = await shared.anybody.ask("OPTIONS", "/api/markets/perps/open", headers={"Origin": SITE, **ASKS})

    assert (asked.status, asked.body) == (204, b"")
    assert asked.headers["Access-Control-Allow-Origin"] == SITE
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]


async def test_by_default_no_site_is_told_anything(venue: Running) -> None:
    asked = await venue.anybody.ask("OPTIONS", MARKET, headers={"Origin": SITE, **ASKS})

    asked.refused(405, "method_not_allowed")
    assert not [name for name in asked.headers if name.startswith("Access-Control")]


async def test_with_a_star_every_site_may(starter: Starter) -> None:
    venue = await starter(limits=Limits(sites=sites("127.0.0.1", (), (ANY,))))

    answer = await venue.anybody.ask("GET", "/", headers={"Origin": OTHER})
    without = await venue.anybody.get("/")

    assert answer.headers["Access-Control-Allow-Origin"] == OTHER
    assert "Access-Control-Allow-Origin" not in without.headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "", "127.0.0.1.evil.example", "10.0.0.9"])
async def test_the_venue_does_not_answer_under_another_name(shared: Running, host: str) -> None:
    answer = await shared.anybody.ask("GET", MARKET, headers={"Host": host})

    assert answer.refused(403, "forbidden") == {"host": host.partition(":")[0]}
    assert "--allowed-host" in answer.error()["message"]
    (await shared.anybody.ask("GET", "/healthz", headers={"Host": host})).ok()


async def test_a_command_under_another_name_does_nothing(shared: Running) -> None:
    ann = await shared.user("ann")
    async with shared.unchanged():
        body = b'{"ticker": "BTC-PERP", "side": "long", "size": 100, "leverage": 2}'
        answer = await ann.ask("POST", "/api/markets/perps/open", data=body, headers={"Host": "evil.example"})
        answer.refused(403, "forbidden")


async def test_a_request_that_names_no_host_is_refused(shared: Running) -> None:
    address = urlsplit(shared.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET /api/markets/perps HTTP/1.0\r\n\r\n")
    async with asyncio.timeout(5):
        assert b'"code":"forbidden"' in await reader.read()
    writer.close()


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "127.0.0.1", "[::1]:8000", "[::1]"])
async def test_it_answers_under_this_machines_names(shared: Running, host: str) -> None:
    (await shared.anybody.ask("GET", MARKET, headers={"Host": host})).ok()


@pytest.mark.parametrize(
    ("listens", "named", "allowed", "refused"),
    [
        ("10.0.0.5", (), "10.0.0.5", "10.0.0.6"),
        ("Venue.Local", (), "venue.local", "venue.remote"),
        ("0.0.0.0", (), "10.0.0.6", "evil.example"),
        ("::", (), "fd00::1", "evil.example"),
        ("::1", ("a.example:8000", "B.example"), "b.example", "c.example"),
        ("127.0.0.1", ("a.example",), "a.example", "10.0.0.6"),
    ],
)
def test_names_are_this_machines_the_one_it_listens_on_and_those_allowed(
    listens: str, named: tuple[str, ...], allowed: str, refused: str
) -> None:
    made = sites(listens, named, ())

    def answers(name: str) -> bool:
        return name in made.allowed_hosts or (made.allows_addresses and name[0] in "1f")

    assert answers("localhost")
    assert answers(allowed)
    assert not answers(refused)


def test_a_star_allows_every_name() -> None:
    assert ANY in sites("127.0.0.1", (ANY,), ()).allowed_hosts
    assert ANY in Sites().allowed_hosts


@pytest.mark.parametrize(
    ("text", "name"),
    [("a.example", "a.example"), ("A.example:80", "a.example"), ("[::1]:80", "::1"), ("::1", "::1"), ("", "")],
)
def test_a_host_is_named_without_its_port(text: str, name: str) -> None:
    assert host_name(text) == name


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;charset=UTF-8", "multipart/form-data; boundary=x"])
async def test_a_body_that_a_page_may_send_unasked_does_nothing(venue: Running, kind: str) -> None:
    ann = await venue.user("ann")
    body = b'{"ticker": "BTC-PERP", "side": "long", "size": 100, "leverage": 2}'
    async with venue.unchanged():
        answer = await ann.ask("POST", "/api/markets/perps/open", data=body, headers={"Content-Type": kind})
        assert answer.refused(400, "validation_error") == {"contentType": kind.partition(";")[0]}
    as_json = {"Content-Type": "application/json"}
    (await ann.ask("POST", "/api/markets/perps/open", data=body, headers=as_json)).ok(201)
