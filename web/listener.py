"""The port the venue answers on."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Final

from aiohttp import web

from web.api.bodies.reading import BODY_BYTES_MAX
from web.auth import HasHeaders
from web.limits.connections import KEEP_ALIVE_S, Connections, Handler, connections_max
from web.metrics import Metrics
from web.process.data_directory import CannotStart

SHUTDOWN_S: Final = 5.0
"""How long a stop waits for requests under way."""


FREE_PORTS_TRIED: Final = 20
"""How many ports above the one that is taken are tried, to name one that is free."""
PORTS: Final = range(1024, 65_536)
"""Those that need no privilege."""


class PortTaken(CannotStart):
    """Another program listens on the port."""


async def try_port(host: str, port: int) -> None:
    """Take a port and give it back. Raises ``CannotStart``, and ``PortTaken`` where that is why."""
    try:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port, start_serving=False)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from error
    server.close()
    await server.wait_closed()


async def free_port(host: str, port: int) -> int:
    """A free port above this one; 0 (which stands for any) if there is none nearby."""
    first = max(port + 1, PORTS.start)
    for other in range(first, min(first + FREE_PORTS_TRIED, PORTS.stop)):
        try:
            await try_port(host, other)
        except CannotStart:
            continue
        return other
    return 0


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> CannotStart:
    """The error for a port, or for a name that cannot be one."""
    number = (error.errno if isinstance(error, OSError) else None) or 0  # below 0: the name was not found
    why = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
    return (PortTaken if number == errno.EADDRINUSE else CannotStart)(f"cannot listen on {host}:{port}: {why}")


class Listener:
    """Takes connections. ``handler`` answers each request; ``most``: how many; 0: as many as the process may have.

    ``knows``: whether a request has a valid key.
    """

    def __init__(self, handler: Handler, metrics: Metrics, most: int, knows: Callable[[HasHeaders], bool]) -> None:
        self._handler, self._metrics, self._most, self._knows = handler, metrics, most or connections_max(), knows
        self._runner: web.ServerRunner | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen. Returns the port (0 asks for any). Raises ``CannotStart`` as ``try_port`` does."""
        connections = Connections(
            self._handler,
            self._metrics,
            knows=self._knows,
            body_bytes_max=BODY_BYTES_MAX,
            most=self._most,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE_S,
        )
        self._runner = web.ServerRunner(connections, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except (OSError, UnicodeError) as error:
            await self.close()
            raise _cannot_listen(host, port, error) from error
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Close the port and all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
