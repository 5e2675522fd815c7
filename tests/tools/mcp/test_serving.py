"""``perps mcp`` as a process, asked by the official client: stdio and HTTP, this revision and the last one."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from tests.conftest import NO_CERTIFICATES
from tests.support.slowness import soon
from tests.tools.mcp.session import a_venue
from tests.tools.mcp.test_tools import CHANGING, OPENING
from tests.web.venue import Running
from tools.mcp import command
from tools.mcp.tools import TOOLS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[3]
PERPS = str(Path(sys.executable).with_name("perps"))
MODES = pytest.mark.parametrize(
    ("mode", "revision"), [("legacy", LATEST_HANDSHAKE_VERSION), ("auto", LATEST_MODERN_VERSION)]
)


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue with BTC-PERP at 10,000; ann and bob have 1,000 US dollars each."""
    async with a_venue() as running:
        await running.user("bob", "1000")
        yield running


@asynccontextmanager
async def over_stdio(venue: Running, mode: str, *options: str, key: str | None = None) -> AsyncIterator[Client]:
    """The client starts the command, of this checkout: it gives it next to nothing of its own environment."""
    environment = NO_CERTIFICATES | {"PYTHONPATH": str(ROOT)} | ({} if key is None else {"PERPS_KEY": key})
    started = StdioServerParameters(command=PERPS, args=["mcp", "--url", venue.url, *options], env=environment)
    async with soon(60), Client(started, mode=mode) as client:
        yield client


@asynccontextmanager
async def http_server(venue: Running, *options: str) -> AsyncIterator[str]:
    """The command listens; its address."""
    process = await asyncio.create_subprocess_exec(
        PERPS, "mcp", "--http", "--port", "0", "--url", venue.url, *options, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with soon(30):
            line = (await process.stderr.readline()).decode()
        (url,) = re.findall(r"at (http://\S+/mcp)$", line.strip())
        yield url
        process.terminate()
        async with soon(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def over_http(url: str, mode: str, key: str | None) -> AsyncIterator[Client]:
    """A client with this key."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with AsyncExitStack() as stack:
        made = await asyncio.to_thread(create_mcp_http_client, headers=headers)  # it reads files
        http = await stack.enter_async_context(made)
        yield await stack.enter_async_context(Client(streamable_http_client(url, http_client=http), mode=mode))


async def trades(client: Client) -> list[str]:
    """A model's first trade: the calls that succeed, and what is left in the wallet."""
    quoted = await client.call_tool("quote_open", {**OPENING})
    opened = await client.call_tool("open_position", {**OPENING})
    assert not quoted.is_error
    assert not opened.is_error, opened.content
    assert opened.structured_content["fill"] == quoted.structured_content["fill"]
    position = opened.structured_content["position"]["id"]
    listed = await client.call_tool("list_positions", {})
    found = [one["id"] for one in listed.structured_content["perpetuals"]["positions"]]
    closed = await client.call_tool("close_position", {"positionId": position})
    assert not closed.is_error
    again = await client.call_tool("close_position", {"positionId": position})
    assert again.is_error
    assert again.content[0].text.startswith("position_closed: ")  # type: ignore[union-attr]
    return found


@MODES
async def test_a_model_trades_over_stdio(venue: Running, mode: str, revision: str) -> None:
    async with over_stdio(venue, mode, key=venue.keys["ann"]) as client:
        assert client.protocol_version == revision
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == [tool.name for tool in TOOLS]
        hints = {tool.name: tool.annotations for tool in listed}
        for name, hint in hints.items():
            assert hint is not None
            assert hint.read_only_hint is (name not in CHANGING)
            assert hint.open_world_hint is False
        assert hints["close_position"].destructive_hint  # type: ignore[union-attr]
        assert not hints["open_position"].idempotent_hint  # type: ignore[union-attr]
        assert hints["cancel_order"].idempotent_hint  # type: ignore[union-attr]
        assert await trades(client) == ["BTC-PERP-1"]


@MODES
async def test_models_trade_over_http_each_with_the_key_of_its_request(
    venue: Running, mode: str, revision: str
) -> None:
    async with http_server(venue) as url:
        async with over_http(url, mode, venue.keys["ann"]) as ann, over_http(url, mode, venue.keys["bob"]) as bob:
            assert ann.protocol_version == revision
            assert await trades(ann) == ["BTC-PERP-1"]
            assert await trades(bob) == ["BTC-PERP-2"]
        async with over_http(url, mode, None) as nobody:
            assert not (await nobody.call_tool("get_market", {"ticker": "BTC-PERP"})).is_error
            refused = await nobody.call_tool("get_balance", {})
            assert refused.content[0].text.startswith("unauthorized: ")  # type: ignore[union-attr]


async def test_http_ignores_the_key_of_the_environment(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPS_KEY", venue.keys["ann"])
    async with http_server(venue) as url, over_http(url, "auto", None) as nobody:
        assert (await nobody.call_tool("get_balance", {})).is_error


async def test_http_answers_only_under_its_own_names(venue: Running) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    usual = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    strange = [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 400),
    ]
    async with http_server(venue, "--allowed-host", "mcp.example") as url, aiohttp.ClientSession() as session:
        for headers, status in [*strange, ({"Host": "mcp.example"}, 200)]:
            async with session.post(url, data=json.dumps(body), headers=usual | headers) as response:
                assert response.status == status, headers


async def test_over_stdio_nothing_but_the_protocol_is_printed(venue: Running) -> None:
    process = await asyncio.create_subprocess_exec(
        *(PERPS, "mcp", "--url", venue.url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    opening = {
        "protocolVersion": LATEST_HANDSHAKE_VERSION,
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    said: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_markets", "arguments": {}}},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "open_position", "arguments": {}}},
    ]
    async with soon(60):
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for message in said:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            if "id" in message:
                answers.append(json.loads(await process.stdout.readline()))
        process.stdin.close()
        rest = await process.stdout.read()
        assert await process.wait() == 0
    assert rest == b""
    assert [one["id"] for one in answers] == [1, 2, 3]
    assert {one["jsonrpc"] for one in answers} == {"2.0"}


async def test_a_server_that_only_reads_has_no_tool_that_changes(venue: Running) -> None:
    async with over_stdio(venue, "auto", "--read-only", key=venue.keys["ann"]) as client:
        assert not {tool.name for tool in (await client.list_tools()).tools} & set(CHANGING)


def test_the_key_is_never_an_argument() -> None:
    flags = {flag for parameter in command.mcp.params for flag in parameter.opts}
    assert flags == {"--http", "--host", "--port", "--allowed-host", "--read-only", "--url", "--data-dir", "--config"}


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.errors import ToolError

    monkeypatch.setattr(command, "find_spec", lambda _: None)
    with pytest.raises(ToolError, match=r"pip install 'mcp>=2\.3,<3'"):
        command.mcp.main(["--url", "http://127.0.0.1:1"], standalone_mode=False)
