"""One venue as its user runs it: ``perps serve`` in a process of its own, on loopback, logging to a file."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

from persistence.embedded.server import EmbeddedPostgres
from tests.support.slowness import slowness

ROOT: Final = Path(__file__).parents[2]
ADMIN_KEY: Final = "an-admin-key-of-the-tests"
RECOVERING: Final = tuple(
    f"the database system is {state}"
    for state in ("in recovery mode", "starting up", "shutting down", "not yet accepting connections")
)
"""What PostgreSQL says while it is neither up nor down."""
READY_S: Final = 40.0
"""Longest wait for a start: with the making of a database cluster, on a busy machine."""
STOP_S: Final = 25.0
POLL_S: Final = (0.01, 0.03)
"""Between two looks, at first and later: each takes a millisecond of the processor that what is awaited needs."""
PORTS: Final = range(20_000, 32_000)
"""Below the range from which the system gives ports to clients, so that none of them takes one of ours."""
KEPT: Final = ("PATH", "HOME", "TMPDIR", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a venue gets of the tests' environment."""
TAIL_LINES: Final = 25
REFUSED: Final = '"event":"refused"'
SAID: Final = re.compile(
    r"perps is (ready on |stopping$)|perps has stopped$|the admin key is in |.*, \d+ s so far: |  |$"
)
"""Lines for whoever started the venue; all others are for machines."""

T = TypeVar("T")


def until(found: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """Ask again and again until there is an answer; past the deadline the test has failed, with ``what`` it awaited.

    On a slow machine the deadline is later.
    """
    began = time.monotonic()
    deadline, is_last = began + within_s, False
    pause_s, longest_s = POLL_S
    while (answer := found()) is None:
        if time.monotonic() >= deadline:
            assert not is_last, f"{what}: not within {within_s} s"
            deadline, is_last = began + within_s * slowness(), True
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.1, longest_s)
    return answer


def free_port() -> int:
    """A port nobody listens on."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise OSError(f"no free port among a hundred of {PORTS}")


class VenueProcess:
    """A venue's process, started and ended any number of times on one data directory, always on the same port."""

    def __init__(
        self,
        data_dir: Path,
        *,
        log: Path,
        database_url: str | None = None,
        admin_key: str | None = ADMIN_KEY,
        port: int | None = None,
        program: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``program`` takes the place of the command ``perps``; ``environment`` is added to what each start gets."""
        self.data_dir, self.log = data_dir, log
        self.environment = dict(environment or {})
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._database_url, self._admin_key = database_url, admin_key
        self._program = [*program] or [str(Path(sys.executable).with_name("perps"))]
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Begin to start; returns at once."""
        assert self._process is None, "this venue runs already"
        command = [*self._program, "serve", "--port", str(self.port), "--data-dir", str(self.data_dir)]
        if self._database_url is not None:
            command += ["--database-url", self._database_url]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.log.parent, env=self.surroundings(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def surroundings(self) -> dict[str, str]:
        """The environment that it runs in. Commands that run in it find this venue and those beside it."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        own = {
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "XDG_CACHE_HOME": str(self.data_dir.parent / "cache"),
        }
        key = {} if self._admin_key is None else {"PERPS_ADMIN_KEY": self._admin_key}
        return kept | own | key | self.environment

    def start(self) -> None:
        """Start, and wait until ``/readyz`` is 200."""
        self.spawn()
        self.wait_ready()

    def start_whatever_it_takes(self) -> None:
        """Start as a service manager does: again when it ends because its database is still recovering."""

        def ready() -> bool | None:
            if self.exit_code() is not None:
                assert self.is_database_recovering(), self.tail()
                self._process = None
                self.spawn()
            return self.readiness() == 200 or None

        self.spawn()
        until(ready, within_s=READY_S, what=f"ready on {self.url}")

    def is_database_recovering(self) -> bool:
        """Whether that was the last thing it said."""
        return any(mode in self.tail().splitlines()[-1] for mode in RECOVERING)

    def wait_ready(self, within_s: float = READY_S) -> None:
        """Wait until ``/readyz`` is 200, but no longer than the process lives."""

        def ready() -> bool | None:
            code = self.exit_code()
            assert code is None, f"the venue ended with {code} before it was ready:\n{self.tail()}"
            return self.readiness() == 200 or None

        until(ready, within_s=within_s, what=f"ready on {self.url}")

    def readiness(self) -> int | None:
        """The status of ``/readyz``; None while nobody listens."""
        try:
            with urlopen(f"{self.url}/readyz", timeout=5) as response:
                return int(response.status)
        except HTTPError as error:
            with error:
                return error.code
        except OSError:
            return None

    def kill(self) -> None:
        """SIGKILL: no time for anything."""
        self.signal(signal.SIGKILL)
        self.wait_exit()

    def stop(self) -> int:
        """SIGTERM, and wait: the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_exit()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; returns at once."""
        assert self._process is not None, "this venue does not run"
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "this venue does not run"
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait_exit(self, within_s: float = STOP_S) -> int:
        """Wait for the end: the exit code, -9 after a SIGKILL."""
        assert self._process is not None, "this venue does not run"
        code = until(self._process.poll, within_s=within_s, what="its end")
        self._process = None
        return code

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The database server in its data directory."""
        return EmbeddedPostgres(self.data_dir / "postgres", say=lambda _: None)

    def end(self) -> None:
        """Whatever state it is in: nothing of it runs afterwards.

        The database is stopped at once, not in order: an orderly stop in the middle of its recovery may never end.
        """
        if self._process is not None:
            self.kill()
        lock = self.data_dir / "postgres" / "postmaster.pid"
        if self.postgres.is_running():
            os.kill(int(lock.read_text().split()[0]), signal.SIGQUIT)
            until(lambda: not self.postgres.is_running() or None, within_s=STOP_S, what="the end of PostgreSQL")

    def foreign_lines(self) -> list[str]:
        """What it wrote that is neither JSON nor meant for whoever started it."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if not line.startswith("{") and SAID.match(line) is None]

    def tail(self) -> str:
        """The last lines it wrote, but for refusals: while it is down there are thousands of them."""
        lines = self.log.read_text(errors="replace").splitlines()
        lines = [line for line in lines if REFUSED not in line][-TAIL_LINES:]
        return "\n".join([f"... {self.log}", *lines])
