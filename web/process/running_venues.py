"""Where the running venues of this user are: how a command finds the venue that it is meant for.

A running venue writes two files and removes them when it stops in order:

- ``venue.address`` in its data directory: host, port, process, machine.
- a file named after the data directory in ``~/.cache/perps/venues`` (or ``$XDG_CACHE_HOME/perps/venues``), which only
  says where the data directory is. It is not in a runtime directory: that one goes when its user logs out, and the
  venue may stay.

Neither holds a key. But whoever reads an address sends a key to it, so an address that somebody else could have
written is not believed: files and directories must belong to this user, and nobody else may write to them. A killed
venue leaves its files behind, and by now the port may be anybody's: so the address counts only while the process that
wrote it holds the data directory's lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct

log = structlog.get_logger()

ADDRESS: Final = "venue.address"
ADMIN_KEY: Final = "admin.key"
"""The administrator's key, which the venue's first start makes."""
LOCK: Final = "venue.lock"
"""Held by the venue that runs on the data directory. Its text is the venue's process id."""

FILE_BYTES_MAX: Final = 8192
VENUES_MAX: Final = 1000
"""How many files of running venues are looked at."""
WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class NotTrusted(Exception):
    """Somebody else could have written it. One line says what, and why."""


class RunningVenue(Struct, frozen=True):
    """A venue that runs now: where it listens, and where its key and its database lie."""

    host: str
    port: int
    pid: int
    data_dir: Path


class _Address(Struct, frozen=True, forbid_unknown_fields=False):
    """The text of ``venue.address``."""

    host: str
    port: int
    pid: int
    machine: str


def announce(data_dir: Path, host: str, port: int) -> Callable[[], None]:
    """Let commands find this process's venue. Returns what takes that back.

    A venue runs on if it cannot be found: the log says why.
    """
    address, pointer = data_dir / ADDRESS, _pointer(data_dir)
    text = msgspec.json.encode(_Address(host, port, os.getpid(), socket.gethostname()))
    try:
        _check_directory(data_dir)
        _write(address, text + b"\n")
        if pointer is not None:
            pointer.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_old_pointers(pointer.parent)
            _write(pointer, os.fsencode(data_dir.resolve()))
    except (OSError, NotTrusted) as error:
        log.warning("venue.not_announced", reason=str(error))

    def take_back() -> None:
        for path in (address, pointer):
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink()

    return take_back


def running_venues() -> list[RunningVenue]:
    """The venues of this user that run on this machine, in the order of their data directories."""
    directory = _pointers()
    if directory is None:
        return []
    with contextlib.suppress(OSError, NotTrusted):
        _check_directory(directory)
        return sorted((venue for _, venue in _pointed_at(directory) if venue), key=lambda venue: venue.data_dir)
    return []


def venue_on(data_dir: Path) -> RunningVenue | None:
    """The venue that runs on a data directory and says where; None if there is none.

    Errors: NotTrusted if it says so where somebody else could write.
    """
    try:
        text = _own_text(data_dir / ADDRESS)
        _check_directory(data_dir)
        said = msgspec.json.decode(text, type=_Address)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if said.machine != socket.gethostname() or holder(data_dir) != said.pid:
        return None
    return RunningVenue(said.host, said.port, said.pid, data_dir.resolve())


def holder(data_dir: Path) -> int | None:
    """The process that holds a data directory: 0 if that does not say which; None if nobody does.

    It asks for the lock, shared and for an instant: a venue that starts just then asks again.
    """
    try:
        lock = os.open(data_dir / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(lock, 20, 0).strip()
        return int(text) if text.isdigit() else 0
    except OSError:
        return None
    finally:
        os.close(lock)
    return None


def _pointers() -> Path | None:
    """The directory with a file for each running venue of this user; None for a user without a home."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path(cache) if os.path.isabs(cache) else Path.home() / ".cache"
    except RuntimeError:
        return None
    return home / "perps" / "venues"


def _pointer(data_dir: Path) -> Path | None:
    directory = _pointers()
    name = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    return None if directory is None else directory / name


def _pointed_at(directory: Path) -> Iterator[tuple[Path, RunningVenue | None]]:
    """Each file of the directory, with the running venue that it leads to."""
    for pointer in islice(sorted(directory.iterdir()), VENUES_MAX):
        venue = None
        with contextlib.suppress(OSError, NotTrusted, ValueError):  # a path with a zero in it
            venue = venue_on(Path(os.fsdecode(_own_text(pointer))))
        yield pointer, venue


def _remove_old_pointers(directory: Path) -> None:
    """Those that killed venues have left."""
    _check_directory(directory)
    for pointer, venue in _pointed_at(directory):
        if venue is None:
            with contextlib.suppress(OSError):
                pointer.unlink()


def _own_text(path: Path) -> bytes:
    """The text of a file that only this user can have written. Errors: NotTrusted, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotTrusted(f"{path} is not a file")
        _check_owner(path, found)
        return os.read(descriptor, FILE_BYTES_MAX)
    finally:
        os.close(descriptor)


def _check_directory(path: Path) -> None:
    _check_owner(path, os.stat(path))


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise NotTrusted(f"{path} belongs to another user")
    if found.st_mode & WRITABLE_BY_OTHERS:
        raise NotTrusted(f"other users can write to {path}: chmod go-w {path}")


def _write(path: Path, text: bytes) -> None:
    """The whole file or none, readable by this user alone."""
    new = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    os.replace(new, path)
