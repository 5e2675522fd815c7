"""``perps``: what runs first. It imports next to nothing, so that Ctrl-C ends in one line from the first moment.

Exit codes: 0 fine · 1 the command failed, or a check found something · 2 a mistake in an argument or setting · 70 the
venue's event loop stood still · 130 stopped by Ctrl-C. An error is one line on stderr: ``perps: error: …``.
"""

from __future__ import annotations

import gc
import sys

FAILED = 1
USAGE = 2
INTERRUPTED = 130

COMMANDS = {
    "serve": "tools.serve:serve",
    "market": "tools.admin.markets:market",
    "user": "tools.admin.users:user",
    "key": "tools.admin.keys:key",
    "apply": "tools.worlds.command:apply",
    "stats": "tools.admin.stats:stats",
    "monitor": "tools.monitor.command:monitor",
    "verify": "tools.audit.verify:verify",
    "journal": "tools.audit.journal:journal",
    "reconcile": "tools.audit.reconcile:reconcile",
    "snapshot": "tools.snapshot:snapshot",
    "archive": "tools.archive.archive:archive",
    "restore": "tools.archive.restore:restore",
    "trade": "tools.trade.command:trade",
    "feed": "tools.feeds.command:feed",
    "agents": "tools.agents.command:agents",
    "mcp": "tools.mcp.command:mcp",
    "bench": "tools.benchmark.command:bench",
}
"""Where each command is: ``module:name``, imported when it is needed. ``tools.commands`` puts them into groups."""


class Loading:
    """While modules load, nobody looks for garbage: there is none, and the looking takes a quarter of the time."""

    def __enter__(self) -> None:
        gc.disable()

    def __exit__(self, *_: object) -> None:
        gc.enable()


def main(arguments: list[str] | tuple[str, ...] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        with Loading():
            from tools.commands import run

        return run(arguments)
    except KeyboardInterrupt:
        print("perps has stopped", file=sys.stderr)
        return INTERRUPTED
