"""The data directory of one venue: private, held by one process at a time, keeper of the admin key."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from web.process.log_sink import say
from web.process.running_venues import ADMIN_KEY, LOCK


class CannotStart(Exception):
    """The venue cannot be started, or cannot go on. One line says why."""


NAMELESS_WAIT_S: Final = 10.0
"""How long a venue waits for a lock whose holder gives no name, or the name of a dead process: it is a command that is
soon done with it, and nobody to be killed."""

POLL_S: Final = 0.05

ADMIN_KEY_CHARACTERS_MIN: Final = 16
"""A shorter administrator's key could be guessed: the venue does not start with it."""


class DataDirectory:
    """Made with mode 0700 if it is missing, and locked while the venue runs: its embedded database serves one venue."""

    def __init__(self, path: Path) -> None:
        """Raises ``CannotStart`` when it cannot be made, or another venue runs on it. May wait ``NAMELESS_WAIT_S``."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not any(path.iterdir()):
                (path / ".gitignore").write_text("*\n")  # it holds a key and money, wherever it lies
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotStart(f"cannot use the data directory {path}: {error.strerror or error}") from error
        tries_end = time.monotonic() + NAMELESS_WAIT_S
        while not _locked(self._lock):
            owner = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip()
            if not _is_alive(owner) and time.monotonic() < tries_end:
                time.sleep(POLL_S)
                continue
            os.close(self._lock)
            process, how = (f" (process {owner})", f": kill {owner}") if owner.isdigit() else ("", "")
            raise CannotStart(f"another venue{process} runs on the data directory {path}; stop it first{how}")
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)

    def admin_key(self) -> str:
        """The administrator's key, made at the first start and kept in ``admin.key``, which only its owner reads."""
        path = self.path / ADMIN_KEY
        try:
            if path.exists():
                key = path.read_text().strip()
            else:
                key = f"perps_admin_{secrets.token_urlsafe(32)}"
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(key + "\n")
                say(f"the admin key is in {path}")
        except OSError as error:
            raise CannotStart(f"cannot keep the admin key in {path}: {error.strerror or error}") from error
        if len(key) < ADMIN_KEY_CHARACTERS_MIN:
            raise CannotStart(
                f"the admin key in {path} is shorter than {ADMIN_KEY_CHARACTERS_MIN} characters:"
                " delete the file, and the next start makes a new key"
            )
        return key

    def close(self) -> None:
        """Let another venue have it."""
        os.close(self._lock)


@contextmanager
def without_venue(path: Path) -> Iterator[bool]:
    """Keep venues from starting on a data directory for a moment; False if one runs there (or somebody else does so).

    The lock's holder gives no name: a venue that starts meanwhile waits. Raises ``OSError``.
    """
    lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        alone = _locked(lock)
        if alone:
            os.ftruncate(lock, 0)
        yield alone
    finally:
        os.close(lock)


def _is_alive(process: str) -> bool:
    """Whether this is the id of a process that runs."""
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    return True


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
