"""What release 0.1.0 (commit 74c547d) left behind: its database, and every request with its whole answer.

``release_0_1/record.py`` says what was played. Its files never change: they are what that release wrote.
"""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from perps.journal import Row
from persistence.embedded.server import program_path
from tests.golden.files import HERE
from tests.support.postgres import sql

FOLDER: Final = HERE / "release_0_1"
NOT_COMPARED: Final = frozenset(("time", "timestamp", "epoch", "inFlight", "streams", "requestId", "message"))
"""Fields that are about the moment of the answer, or words for people."""

Json = dict[str, Any]


class Recorded(Struct, frozen=True, kw_only=True):
    """One request to the first release, and its answer."""

    who: str
    """The name of the key it came with."""
    method: str
    path: str
    body: str
    status: int
    answer: str
    replay: str | None = None

    @property
    def is_taken(self) -> bool:
        """Whether it was answered with success."""
        return self.status < 400

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.body} by {self.who}"


def load_database(url: str) -> None:
    """Put the release's tables and rows into an empty database. Raises ``CalledProcessError``."""
    dump = gzip.decompress((FOLDER / "database.sql.gz").read_bytes())
    command = [program_path("psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", url]
    subprocess.run(command, input=dump, check=True, capture_output=True, timeout=30)


def load_result() -> Json:
    """Where the session led, and the keys it was played with, by name."""
    result: Json = json.loads((FOLDER / "result.json").read_text())
    return result


def load_commands() -> list[Recorded]:
    """All commands in the order they were sent, those that were refused too."""
    return _load("commands.jsonl.gz")


def load_reads() -> list[Recorded]:
    """What was asked after the last command."""
    return _load("reads.jsonl.gz")


def _load(name: str) -> list[Recorded]:
    lines = gzip.decompress((FOLDER / name).read_bytes()).decode().splitlines()
    return [Recorded(**json.loads(line)) for line in lines]


def stored_rows(url: str) -> list[Row]:
    """The journal, read without the program's own code for reading it."""
    names = ", ".join(f'"{name}"' for name in Row.__struct_fields__)
    return [Row(*record) for record in sql(url, f'select {names} from journal order by "offset"')]


def exact(text: str) -> Any:
    """JSON with its numbers as they were written."""
    return json.loads(text, parse_int=str, parse_float=str)


def losses(recorded: Any, now: Any, where: str = "answer") -> Iterator[str]:
    """Each field of a recorded answer that is missing or different now; fields may have been added."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for name in recorded.keys() - NOT_COMPARED:
            if name not in now:
                yield f"{where}.{name} is missing, it was {recorded[name]!r}"
            else:
                yield from losses(recorded[name], now[name], f"{where}.{name}")
    elif isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        for number, (old, new) in enumerate(zip(recorded, now, strict=True)):
            yield from losses(old, new, f"{where}[{number}]")
    elif recorded != now:
        yield f"{where} is {now!r:.300}, it was {recorded!r:.300}"
