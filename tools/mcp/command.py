"""``perps mcp``: let a language model trade on a venue."""

from __future__ import annotations

import asyncio
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import rich_click as click

from tools.addresses import HOST, PORT_MAX
from tools.argument_types import Whole
from tools.errors import ToolError
from tools.output import show_line
from tools.settings import KEY_VARIABLE, SettingsCommand, access_to, data_dir_option, url_option

PORT: Final = 8765
NEEDED: Final = "mcp"


@click.command(cls=SettingsCommand)
@click.option("--http", "over_http", is_flag=True, help="Serve HTTP instead of stdin and stdout.")
@click.option("--host", default=HOST, show_default=True, help="With --http: the address to listen on.")
@click.option("--port", type=Whole(0, PORT_MAX), default=PORT, show_default=True, help="With --http; 0 is a free one.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    help="With --http: a name under which clients reach it; repeat it.  [default: localhost and --host]",
)
@click.option("--read-only", is_flag=True, help="Offer no tool that changes something.")
@url_option
@data_dir_option
def mcp(
    over_http: bool,
    host: str,
    port: int,
    allowed_hosts: tuple[str, ...],
    read_only: bool,
    url: str | None,
    data_dir: Path | None,
) -> int:
    """Serve the venue's tools to a language model (MCP).

    The key of the user for whom it trades is in the variable PERPS_KEY; with --http each request brings its own, as
    Authorization: Bearer KEY. Without a key there is market data alone.
    """
    if find_spec(NEEDED) is None:
        raise ToolError("perps mcp needs the package mcp, which is not installed: pip install 'mcp>=2.3,<3'")
    from tools.mcp.server import PATH, serve_http, serve_stdio

    venue = access_to(url, None, data_dir, needs_key=False).url
    if not over_http:
        key = os.environ.get(KEY_VARIABLE, "").strip() or None
        asyncio.run(serve_stdio(venue, key, read_only=read_only))
        return 0

    def ready(taken: int) -> None:
        show_line(f"perps mcp serves {venue} at http://{host}:{taken}{PATH}", err=True)

    done = asyncio.run(
        serve_http(venue, host=host, port=port, allowed_hosts=allowed_hosts, read_only=read_only, ready=ready)
    )
    return 0 if done else 1
