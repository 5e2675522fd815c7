"""``python -m tests``: all tests on all processors; ``make test`` calls it. What it is given goes to pytest.

Two runs of pytest. In the first, tests run beside each other. In the second, those that start venues in processes of
their own, and say how long things may take, run one after another, and nothing beside them.
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

MEMORY_DISK: Final = Path("/dev/shm")
ROOM_BYTES: Final = 1 << 30
"""What there must be free, on the disk and of the machine's memory twice. Together the tests need half of that."""
WORKERS_PER_PROCESSOR: Final = 2
"""A test waits half of its time: for a database, a timer, a process."""
WORKERS_MAX: Final = 16

PASSED, FAILED, NOTHING_TO_DO = 0, 1, 5
"""What pytest ends with. Past ``FAILED``, and not ``NOTHING_TO_DO``, it was broken off."""


def main(arguments: Sequence[str]) -> int:
    """Run both: what pytest ended with, the worse of the two."""
    workers = min(WORKERS_MAX, WORKERS_PER_PROCESSOR * processors())
    with temporary_directory() as environment:
        codes = [pytest(environment, "--alone=never", f"--numprocesses={workers}", "--dist=worksteal", *arguments)]
        if codes[0] in (PASSED, FAILED, NOTHING_TO_DO):
            codes.append(pytest(environment, "--alone=only", *arguments))
    return max((code for code in codes if code != NOTHING_TO_DO), default=NOTHING_TO_DO)


def pytest(environment: Mapping[str, str], *arguments: str) -> int:
    """One run. Whoever interrupts or ends this process interrupts that one, which then cleans up."""
    with subprocess.Popen([sys.executable, "-m", "pytest", *arguments], env=environment) as process:
        signal.signal(signal.SIGINT, lambda *_: None)  # a terminal tells both
        signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
        return process.wait()


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def temporary_directory() -> Iterator[dict[str, str]]:
    """An environment whose temporary files, and so the databases, are in memory if there is room for them.

    No test takes the power away, so none can tell the difference: what it commits it finds again after any kill.
    """
    if not has_room(MEMORY_DISK):
        yield dict(os.environ)
        return
    place = tempfile.mkdtemp(prefix="perps-", dir=MEMORY_DISK)
    os.chmod(place, 0o755)  # the system user of the database must pass
    try:
        yield os.environ | {"TMPDIR": place}
    finally:
        shutil.rmtree(place, ignore_errors=True)


def has_room(disk: Path) -> bool:
    """Whether it is a disk in memory on which databases can run, with room on it and in memory."""
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
