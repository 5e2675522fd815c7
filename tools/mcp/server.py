"""The protocol, by the official SDK: a list of tools, calls, stdio and streamable HTTP without sessions."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from tools.mcp.calls import answer
from tools.mcp.tools import NAMED, VERSION, Tool, description_of, input_schema, output_schema, title_of, tools

PATH: Final = "/mcp"
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
BODY_BYTES_MAX: Final = 256 << 10
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
INSTRUCTIONS: Final = """\
A venue for perpetual futures, with play money unless its operator says otherwise. You act for one user: the owner of \
the key. A position is long (gains when the price rises) or short, has its own margin, and is liquidated when that is \
nearly used up. Give sizes, prices and money as decimal text, such as "250.50"; size is notional in US dollars. \
Usual steps: get_market, quote_open, open_position with a stopLoss, list_positions, close_position. An error says why \
and often the number that would fit. After outcome_unknown send the call again with its clientOrderId."""

KeyOf = Callable[[Any], str | None]
Context = ServerRequestContext[Any, Any]


def server(url: str, key_of: KeyOf, *, read_only: bool) -> Server[Any]:
    """A server for the venue at ``url``. ``key_of``: the key of a request, from what the transport knows of it."""
    offered = {tool.name: tool for tool in tools(read_only=read_only)}

    async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in offered.values()])

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = offered.get(params.name)
        if tool is None:
            return _failure(
                f"{params.name} changes something, and this server only reads (--read-only)"
                if params.name in NAMED
                else f"there is no tool {params.name!r}. There are: {', '.join(offered)}"
            )
        said = await answer(url, key_of(context.request), tool, params.arguments or {})
        return types.CallToolResult(
            content=[types.TextContent(text=said.text)], structured_content=said.value, is_error=said.is_error
        )

    return Server(
        "perps",
        version=VERSION,
        title="perps, a venue for perpetual futures",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda name: input_schema(name) if name in offered else None,
    )


async def serve_stdio(url: str, key: str | None, *, read_only: bool) -> None:
    """Serve whoever has started this process, until its input ends."""
    found = server(url, lambda _: key, read_only=read_only)
    async with stdio_server() as (reading, writing):
        await found.run(reading, writing, found.create_initialization_options())


def http_app(url: str, *, host: str, allowed_hosts: Sequence[str], read_only: bool) -> Starlette:
    """The application for HTTP. Each request brings its key; it answers under these names and no others."""
    names = [*LOOPBACK, *([] if host in ("0.0.0.0", "::") else [host]), *allowed_hosts]
    hosts = [name for given in dict.fromkeys(names) for name in (given, f"{given}:*")]
    origins = [f"{scheme}://{name}" for name in hosts for scheme in ("http", "https")]
    return server(url, _bearer, read_only=read_only).streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        host=host,
        max_request_body_size=BODY_BYTES_MAX,
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=origins
        ),
    )


async def serve_http(
    url: str, *, host: str, port: int, allowed_hosts: Sequence[str], read_only: bool, ready: Callable[[int], None]
) -> bool:
    """Serve until SIGTERM or Ctrl-C. ``ready`` gets the port. False: it could not listen."""
    app = http_app(url, host=host, allowed_hosts=allowed_hosts, read_only=read_only)
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False, server_header=False)

    class Announced(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """End in order. uvicorn's own way raises the signal again at the end, which looks like a failure."""
            loop = asyncio.get_running_loop()
            for number in SIGNALS:
                loop.add_signal_handler(number, self.handle_exit, number, None)
            yield
            for number in SIGNALS:
                loop.remove_signal_handler(number)

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready(self.servers[0].sockets[0].getsockname()[1])

    serving = Announced(config)
    await serving.serve()
    return serving.started


def _bearer(request: Any) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=title_of(tool),
        description=description_of(tool),
        input_schema=input_schema(tool.name),
        output_schema=output_schema(tool.name),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.is_read_only,
            destructive_hint=tool.is_destructive,
            idempotent_hint=tool.is_idempotent,
            open_world_hint=False,
        ),
    )


def _failure(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)
