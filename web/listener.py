"""The port the venue answers on."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from web.api.reading import BODY_BYTES_MAX
from web.limits.connections import KEEP_ALIVE_S, Connections, Handler, connections_max
from web.metrics import Metrics
from web.process.data_directory import CannotStart

SHUTDOWN_S: Final = 5.0
"""How long a stop waits for requests under way."""


class Listener:
    """Takes connections. ``handler`` answers each request; ``most``: how many; 0: as many as the process may have."""

    def __init__(self, handler: Handler, metrics: Metrics, most: int) -> None:
        self._handler, self._metrics, self._most = handler, metrics, most or connections_max()
        self._runner: web.ServerRunner | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen. Returns the port (0 asks for any). Raises ``CannotStart``."""
        connections = Connections(
            self._handler,
            self._metrics,
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
        except (OSError, UnicodeError) as error:  # a name that cannot be one
            await self.close()
            why = (error.strerror if isinstance(error, OSError) else None) or error
            raise CannotStart(f"cannot listen on {host}:{port}: {why}") from error
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Close the port and all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
