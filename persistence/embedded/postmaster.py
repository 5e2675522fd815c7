"""Which process is the server of a cluster's directory, and lock files that a dead one has left."""

import contextlib
import os
import re
import subprocess
from pathlib import Path

NO_PROCESS = 2**31 - 1  # above every kernel's largest pid


def is_postmaster(pid: str, directory: Path) -> bool:
    """Whether `pid` lives and is the server of `directory`, not a process that has the number by now."""
    try:
        command = Path(f"/proc/{int(pid)}/cmdline").read_text(errors="replace").replace("\0", " ")
    except (ValueError, ProcessLookupError):
        return False
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        listed = subprocess.run(["ps", "-ww", "-o", "command=", "-p", pid], capture_output=True, check=False)
        command = listed.stdout.decode(errors="replace").strip() + " "
    if re.search(r"(^|/)postgres ", command) is None:
        return False
    with contextlib.suppress(OSError):  # no /proc, or its owner's secret: then the command line decides
        return os.path.samefile(f"/proc/{pid}/cwd", directory)
    return f" -D {directory} " in command


def disarm_leftover(lock: Path, directory: Path) -> None:
    """Gives a leftover lock file a pid nobody has: beside one that another has, PostgreSQL would not start.

    Not removed, because PostgreSQL finds backends that survived their server by the rest of the file.
    """
    with contextlib.suppress(FileNotFoundError):
        pid, _, rest = lock.read_text().partition("\n")
        if not is_postmaster(pid, directory):
            lock.write_text(f"{NO_PROCESS}\n{rest}")
