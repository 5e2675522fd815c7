"""A snapshot taken by another program, so that the venue never waits for one: what it gets and how it is ended.

It prints a line whenever it has made progress; its last line is what it has stored, as JSON, or why it could not. Its
own log goes to the venue's stderr.

By hand because a pool of processes cannot do it: the standard library's has no time limit that ends a worker, and its
workers outlive a venue that is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import Final

import msgspec

from web.process import affinity as processor
from web.process.snapshot_taking import SnapshotFailed, SnapshotStalled, SnapshotTaken

STALLED_S: Final = 90.0
"""Silence after which it is ended. More than it waits itself for one answer of the database (``READ_TIMEOUT_S``,
``SAVE_TIMEOUT_S``), so that it can name a database that does not answer."""

END_S: Final = 5.0
"""How long the end of one that was killed is waited for: the system may still be reading or writing for it."""

DATABASE_URL: Final = "PERPS_DATABASE_URL"

OURS: Final = "PERPS_"
"""Settings and keys of the venue and of its clients; the program gets none of them."""


class _Printed(msgspec.Struct, rename="camel"):
    offset: int
    state_hash: str
    size: int
    rows: int


async def run(command: Sequence[str], database_url: str) -> SnapshotTaken:
    """Run ``command`` on a database and read what it prints. Raises ``SnapshotFailed``.

    The URL goes by the environment: everybody can read command lines. Standard input stays open until ``run`` returns
    or the venue dies, killed or not; then the program ends itself.
    """
    others = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    try:
        with processor.elsewhere():
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**others, DATABASE_URL: database_url},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
    except OSError as error:
        raise SnapshotFailed(f"the program cannot be started: {error.strerror or error}") from error
    try:
        last = await _last_line(process.stdout)
        code = await asyncio.wait_for(process.wait(), STALLED_S)
    except TimeoutError as error:
        raise SnapshotStalled(f"it made no progress for {STALLED_S:.0f} s and was ended") from error
    finally:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            process.kill()
            await asyncio.wait_for(process.communicate(), END_S)  # to the end of what it said, or a pipe stays open
    if code != 0:
        raise SnapshotFailed(f"{last.decode(errors='replace').strip() or 'no reason given'} (exit code {code})")
    return _taken(last)


async def _last_line(stream: asyncio.StreamReader | None) -> bytes:
    """What it prints last. Raises ``TimeoutError`` when it prints nothing for ``STALLED_S``."""
    last = b""
    while stream is not None and (line := await asyncio.wait_for(stream.readline(), STALLED_S)):
        last = line
    return last


def _taken(printed: bytes) -> SnapshotTaken:
    try:
        found = msgspec.json.decode(printed, type=_Printed)
        return SnapshotTaken(found.offset, bytes.fromhex(found.state_hash), found.size, found.rows)
    except ValueError as error:
        raise SnapshotFailed(f"it printed {len(printed)} bytes that are no answer") from error
