"""A snapshot taken by another program: the same ``perps snapshot --offline --json`` that an operator can type."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import Final

import msgspec

from web.snapshots import SnapshotFailed, SnapshotTaken

NICENESS: Final = 10
"""It gives way to the venue and the database."""

TIMEOUT_S: Final = 3_600.0
"""Past this it is stuck. A long journal without any snapshot takes half a minute for each million rows."""


DATABASE_URL: Final = "PERPS_DATABASE_URL"

SECRET: Final = ("PERPS_ADMIN_KEY", "PERPS_KEY")
"""Not for the program."""


class _Printed(msgspec.Struct, rename="camel"):
    offset: int
    state_hash: str
    size: int
    rows: int


async def run(command: Sequence[str], database_url: str) -> SnapshotTaken:
    """Run ``command`` on a database and read what it prints. Raises ``SnapshotFailed``.

    The URL goes by the environment, which the administrator's key does not: command lines can be read by everybody.
    The program's standard input says nothing and stays open as long as somebody waits for it; at its end, also that of
    a killed venue, the program ends.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={
                **{name: value for name, value in os.environ.items() if name not in SECRET},
                DATABASE_URL: database_url,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise SnapshotFailed(f"the program cannot be started: {error.strerror or error}") from error
    try:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        async with asyncio.timeout(TIMEOUT_S):
            printed, said, code = await asyncio.gather(_all_of(process.stdout), _all_of(process.stderr), process.wait())
    except TimeoutError as error:
        raise SnapshotFailed(f"it was not done within {TIMEOUT_S:.0f} s") from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    if code != 0:
        lines = said.decode(errors="replace").strip().splitlines()
        raise SnapshotFailed(f"{lines[-1] if lines else 'no reason given'} (exit code {code})")
    try:
        found = msgspec.json.decode(printed, type=_Printed)
        return SnapshotTaken(found.offset, bytes.fromhex(found.state_hash), found.size, found.rows)
    except ValueError as error:
        raise SnapshotFailed(f"it printed {len(printed)} bytes that are no answer") from error


async def _all_of(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()
