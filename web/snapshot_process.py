"""A snapshot taken by another program: the same ``perps snapshot --offline --json`` that an operator can type."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import Final

import msgspec

from web.snapshots import SnapshotTaken

NICENESS: Final = 10
"""It gives way to the venue and the database."""

TIMEOUT_S: Final = 3_600.0
"""Past this it is stuck. A long journal without any snapshot takes half a minute for each million rows."""


class SnapshotFailed(Exception):
    """No snapshot was stored; the message is what the program said."""


class _Printed(msgspec.Struct, rename="camel"):
    offset: int
    state_hash: str
    size: int
    rows: int


async def run(command: Sequence[str], database_url: str) -> SnapshotTaken:
    """Run ``command`` on a database and read what it prints. It dies with whoever waits for it.

    The URL goes by the environment: command lines can be read by everybody.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "PERPS_DATABASE_URL": database_url},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        async with asyncio.timeout(TIMEOUT_S):
            printed, said = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines()
        raise SnapshotFailed(f"{lines[-1] if lines else 'no reason given'} (exit code {process.returncode})")
    try:
        found = msgspec.json.decode(printed, type=_Printed)
        return SnapshotTaken(found.offset, bytes.fromhex(found.state_hash), found.size, found.rows)
    except ValueError as error:
        raise SnapshotFailed(f"it printed {printed[:200]!r}") from error
