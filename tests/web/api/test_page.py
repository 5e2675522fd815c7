"""A browser gets the page at ``/``, and nothing from anywhere else; programs get what they always got."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.web.conftest import Starter
from tests.web.venue import Answer, Running
from web.api import page

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SCRIPT = "start-Ab12.js"
BODY = b"console.log(1)\n" * 100


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page with one script, as a build leaves it."""
    (tmp_path / "index.html").write_bytes(b"<!doctype html><title>built</title>")
    (tmp_path / SCRIPT).write_bytes(BODY)
    (tmp_path / f"{SCRIPT}.gz").write_bytes(gzip.compress(BODY))
    (tmp_path / ".made").write_bytes(b"")
    monkeypatch.setattr(page, "_FILES", page.read(tmp_path))


async def browse(venue: Running, **headers: str) -> Answer:
    """What a browser gets at ``/``. The contract has only what programs get."""
    async with venue.session.get(f"{venue.url}/", headers=BROWSER | headers) as response:
        return Answer(response.status, response.headers, await response.read())


@pytest.mark.usefixtures("built")
async def test_a_browser_gets_the_page_and_a_program_the_list_of_routes(venue: Running) -> None:
    shown = await browse(venue)
    listed = await venue.anybody.ask("GET", "/", headers={"Accept": "*/*"})

    assert (shown.status, shown.body) == (200, b"<!doctype html><title>built</title>")
    assert shown.headers["Content-Type"] == "text/html; charset=utf-8"
    assert shown.headers["Cache-Control"] == "no-cache"
    assert listed.ok()["name"] == "perps"
    again = await browse(venue, **{"If-None-Match": shown.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.usefixtures("built")
async def test_a_file_is_kept_for_ever_and_sent_compressed_to_who_can_read_that(venue: Running) -> None:
    plain = await venue.anybody.ask("GET", f"/page/{SCRIPT}", headers={"Accept-Encoding": "identity"})
    packed = await venue.anybody.ask("GET", f"/page/{SCRIPT}", headers={"Accept-Encoding": "gzip, br"})

    assert (plain.body, gzip.decompress(packed.body)) == (BODY, BODY)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    for answer in (plain, packed):
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.usefixtures("built")
async def test_what_is_no_file_of_the_page_is_not_found(venue: Running) -> None:
    for name in ("nothing.js", ".made", f"{SCRIPT}.gz", "index.html", "..%2f..%2fsetup.cfg", "%2e%2e"):
        (await venue.anybody.get(f"/page/{name}")).refused(404, "not_found")


@pytest.fixture
def not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No page."""
    monkeypatch.setattr(page, "_FILES", page.read(tmp_path))


@pytest.mark.usefixtures("not_built")
async def test_a_venue_without_a_page_says_how_to_build_it(venue: Running) -> None:
    assert b"make page" in (await browse(venue)).body


def test_the_policy_names_no_other_server_and_lets_nothing_in_that_is_no_file() -> None:
    rules = dict(rule.split(" ", 1) for rule in page.POLICY.split("; "))

    assert rules["default-src"] == "'none'"
    assert {word for sources in rules.values() for word in sources.split()} == {"'self'", "'none'", "data:"}
    assert [name for name, sources in rules.items() if "data:" in sources] == ["img-src"]


async def test_only_a_demo_gives_keys_away_and_only_on_its_own_machine(venue: Running) -> None:
    assert (await venue.anybody.get("/api/demo")).ok() == {"people": []}

    venue.venue.context.demo_keys = {"alice": "perps_a-key"}
    near = await venue.anybody.get("/api/demo")
    assert near.ok() == {"people": [{"userId": "alice", "key": "perps_a-key"}]}
    assert near.headers["Cache-Control"] == "no-store"
    for name in page.FORWARDED:
        far = await venue.anybody.ask("GET", "/api/demo", headers={name: "203.0.113.7"})
        assert far.ok() == {"people": []}, "a proxy on this machine speaks for others"
    named = await venue.anybody.ask("GET", "/api/demo", headers={"Host": "venue.example"})
    assert named.ok() == {"people": []}, "who knows the venue by a name of its own may be elsewhere"


async def test_a_stream_that_asks_for_it_shows_more_often_that_it_lives(starter: Starter) -> None:
    venue = await starter()
    response = await venue.session.get(f"{venue.url}/api/sse/markets?heartbeat=1")
    async with response:
        seen = b""
        while b"\n: ping" not in seen and not seen.startswith(b": ping"):
            seen += await response.content.readany()
    (await venue.anybody.get("/api/sse/markets?heartbeat=0")).refused(400, "validation_error")
    (await venue.anybody.get("/api/sse/markets?heartbeat=16")).refused(400, "validation_error")
