"""``/docs`` shows the contract and asks nobody but the venue."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from perps.wire.contract.operations import OPERATIONS
from tests.web.venue import Running
from web.api.reference import POLICY

BROWSER: Final = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--virtual-time-budget=30000",
        "--dump-dom",
    ),
)


async def test_the_page_and_all_that_it_loads_come_from_the_venue(venue: Running) -> None:
    page = await venue.anybody.get("/docs")
    names = re.findall(rb'(?:src|href)="(?!data:)([^"]*)"', page.body)

    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Content-Security-Policy"] == POLICY
    assert names == [b"docs/swagger-ui.css", b"docs/swagger-ui.js", b"docs/start.js"]
    for name in names:
        answer = await venue.anybody.get(f"/{name.decode()}")
        kind = "text/css" if name.endswith(b"css") else "text/javascript"
        assert (answer.status, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"//" not in page.body + (await venue.anybody.get("/docs/start.js")).body.replace(b'"//"', b"")


def test_the_policy_of_the_page_names_no_other_server() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))

    assert rules["default-src"] == "'self'"
    assert {word for sources in rules.values() for word in sources.split()} == {"'self'", "'none'", "data:"}
    assert "data:" not in rules["default-src"]


async def test_a_file_that_has_not_changed_is_not_sent_again(venue: Running) -> None:
    for path in ("/docs", "/docs/swagger-ui.js"):
        tag = (await venue.anybody.get(path)).headers["ETag"]
        again = await venue.anybody.ask("GET", path, headers={"If-None-Match": tag})
        other = await venue.anybody.ask("GET", path, headers={"If-None-Match": '"other"'})
        assert ((again.status, again.body), other.status) == ((304, b""), 200)


async def test_a_file_that_the_page_does_not_have_is_not_found(venue: Running) -> None:
    for name in ("nothing.js", "..%2f..%2fsetup.cfg", "%2e%2e"):
        (await venue.anybody.get(f"/docs/{name}")).refused(404, "not_found")


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")
@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_browser_shows_every_operation_and_asks_nobody_else(venue: Running, tmp_path: Path) -> None:
    file = tmp_path / "asked.json"
    process = await asyncio.create_subprocess_exec(
        str(BROWSER),
        *(*OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={file}", f"{venue.url}/docs"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    shown = (await process.communicate())[0].decode()

    log = json.loads(await asyncio.to_thread(file.read_text))
    for operation in OPERATIONS:
        assert f'id="operations-{operation.tag.replace(" ", "_")}-{operation.name}"' in shown
    asked = {str(about["url"]) for about in _requests(log["events"]) if about["initiator"] == venue.url}
    assert {"/openapi.json", "/docs/swagger-ui.js"} < {url.removeprefix(venue.url) for url in asked}
    assert {url for url in asked if not url.startswith(f"{venue.url}/")} == set()


def _requests(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was asked for, with who wanted it: the browser asks on its own behalf, too."""
    return [about for event in events if {"url", "initiator"} <= (about := event.get("params", {})).keys()]
