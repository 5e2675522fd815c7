"""A snapshot taken by another program: what it is given, how it is listened to, and how it is ended.

It prints a line whenever it has got on, and as its last one what it has stored, both JSON. Silence is taken for a
program that stands still.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from web.process import affinity as processor
from web.process.snapshot_taking import SnapshotFailed, SnapshotStalled, SnapshotTaken

log = structlog.get_logger()

NICENESS: Final = 10
"""It gives way to the venue and the database."""

STALLED_S: Final = 90.0
"""Silence after which it is ended. More than it waits itself for one answer of the database (``READ_TIMEOUT_S``,
``SAVE_TIMEOUT_S``): a database that does not answer is told by name, in its own words."""

TIMEOUT_S: Final = 3_600.0
"""Past this it is stuck, whatever it prints. A long journal without any snapshot takes half a minute for each million
rows."""

END_S: Final = 5.0
"""How long the end of one that was killed is waited for."""

DATABASE_URL: Final = "PERPS_DATABASE_URL"

OURS: Final = "PERPS_"
"""Settings and keys of the venue and of its clients: not for the program, which is told what it needs."""

TAIL_BYTES: Final = 65_536
"""Kept of what it says."""

LINES_QUOTED_MAX: Final = 10


class _Printed(msgspec.Struct, rename="camel"):
    offset: int
    state_hash: str
    size: int
    rows: int


async def run(command: Sequence[str], database_url: str) -> SnapshotTaken:
    """Run ``command`` on a database and read what it prints. Raises ``SnapshotFailed``.

    The URL goes by the environment: command lines can be read by everybody.
    The program's standard input says nothing and stays open as long as somebody waits for it; at its end, also that of
    a killed venue, the program ends.
    """
    others = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    try:
        with processor.elsewhere():
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**others, DATABASE_URL: database_url},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
    except OSError as error:
        raise SnapshotFailed(f"the program cannot be started: {error.strerror or error}") from error
    try:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS))
        printed, said, code = await _listen(process)
    finally:
        await _end(process)
    lines = said.decode(errors="replace").strip().splitlines()
    if code != 0:
        raise SnapshotFailed(f"{lines[-1] if lines else 'no reason given'} (exit code {code})")
    for line in lines[-LINES_QUOTED_MAX:]:
        log.warning("snapshot.said", line=line)
    return _taken(printed)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it, if it still is, and wait until it is gone; not for ever: the system may be at something for it."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            await process.wait()


async def _listen(process: asyncio.subprocess.Process) -> tuple[bytes, bytes, int]:
    """All but the beginning of what it prints, of what it says, and its exit code.

    Raises ``SnapshotStalled`` when it prints nothing for ``STALLED_S``, ``SnapshotFailed`` after ``TIMEOUT_S``.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT_S) as whole:
            try:
                async with asyncio.timeout(STALLED_S) as silence:
                    return await asyncio.gather(
                        _tail_of(process.stdout, lambda: silence.reschedule(loop.time() + STALLED_S)),
                        _tail_of(process.stderr, lambda: None),
                        process.wait(),
                    )
            except TimeoutError as error:
                if whole.expired():
                    raise
                raise SnapshotStalled(f"it stood still for {STALLED_S:.0f} s and was ended") from error
    except TimeoutError as error:
        raise SnapshotFailed(f"it was not done within {TIMEOUT_S:.0f} s") from error


async def _tail_of(stream: asyncio.StreamReader | None, on_more: Callable[[], object]) -> bytes:
    tail = b""
    while stream is not None and (more := await stream.read(TAIL_BYTES)):
        tail = (tail + more)[-TAIL_BYTES:]
        on_more()
    return tail


def _taken(printed: bytes) -> SnapshotTaken:
    lines = printed.splitlines()
    try:
        found = msgspec.json.decode(lines[-1] if lines else b"", type=_Printed)
        return SnapshotTaken(found.offset, bytes.fromhex(found.state_hash), found.size, found.rows)
    except ValueError as error:
        raise SnapshotFailed(f"it printed {len(printed)} bytes that are no answer") from error
