"""How this program was called, for messages with a command to copy."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

PROGRAM: Final = "perps"


def program() -> str:
    """What to type for ``perps`` in this directory: the name alone where the shell finds this program by it."""
    called = Path(sys.argv[0])
    if called.name != PROGRAM or not called.exists():
        return PROGRAM
    found = shutil.which(PROGRAM)
    return PROGRAM if found and os.path.samefile(found, called) else shlex.quote(shown(called))


def serve_on(port: int) -> str:
    """The command that was given, but with another port."""
    given = sys.argv[1:] if Path(sys.argv[0]).name == PROGRAM else ["serve"]
    return f"{program()} {shlex.join([*_without_port(given), '--port', str(port)])}"


def shown(path: Path) -> str:
    """A path as it is shortest from this directory."""
    absolute = Path(os.path.abspath(path))  # not resolved: the path of a virtual environment's link is wanted
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def _without_port(arguments: Sequence[str]) -> Iterator[str]:
    is_value = False
    for argument in arguments:
        if not is_value and argument != "--port" and not argument.startswith("--port="):
            yield argument
        is_value = argument == "--port" and not is_value
