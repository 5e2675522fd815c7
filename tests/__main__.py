"""``python -m tests``: the tests on all processors, their files in memory. ``make test`` calls it.

Arguments go to pytest. Which tests run beside each other: ``tests/support/scheduling.py``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from persistence.embedded.server import EmbeddedPostgres

MEMORY_DISK: Final = Path("/dev/shm")
ROOM_BYTES: Final = 1 << 30
"""What must be free on it, and of the machine's memory twice. The tests need about half of that."""
WORKERS_MORE: Final = 1
"""Than processors: a test waits for a database, a timer, a process; but those that are timed need room."""
WORKERS_MAX: Final = 16


def main(arguments: Sequence[str]) -> int:
    """Run pytest: its exit code."""
    workers = min(WORKERS_MAX, processors() + WORKERS_MORE)
    options = [f"--numprocesses={workers}"]
    if not has_room(MEMORY_DISK):
        return pytest([*options, *arguments], os.environ)
    with in_memory() as place:
        short = f"--basetemp={place / 'p'}"  # sockets must fit in names
        return pytest([*options, short, *arguments], os.environ | {"TMPDIR": str(place)})


def pytest(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run it. Whoever interrupts or ends this process interrupts it and all its workers, and waits for their end.

    What Python compiles it keeps, whatever is set: each worker compiles all tests, which takes six seconds.
    """
    command = [sys.executable, "-m", "pytest", *arguments]
    environment = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: os.killpg(process.pid, signal.SIGINT))
        return process.wait()


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def in_memory() -> Iterator[Path]:
    """A directory for temporary files, and so for the databases.

    No test cuts the power, so none can tell: what was committed is there after any kill.
    """
    place = Path(tempfile.mkdtemp(prefix="perps-", dir=MEMORY_DISK))
    place.chmod(0o755)  # the database's system user must pass
    try:
        yield place
    finally:
        for lock in place.rglob("postmaster.pid"):  # of a run that was broken off
            EmbeddedPostgres(lock.parent).stop()
        shutil.rmtree(place, ignore_errors=True)


def has_room(disk: Path) -> bool:
    """Whether it is a disk in memory on which databases and programs can be, with room there and in memory."""
    try:
        found = os.statvfs(disk)
        memory = Path("/proc/meminfo").read_text()
    except OSError:
        return False
    available = next((int(line.split()[1]) << 10 for line in memory.splitlines() if line.startswith("MemAvail")), 0)
    room = min(found.f_bavail * found.f_frsize, available // 2)
    return room >= ROOM_BYTES and os.access(disk, os.W_OK) and not found.f_flag & getattr(os, "ST_NOEXEC", 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
