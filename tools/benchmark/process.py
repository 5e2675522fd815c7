"""Runs a part of the benchmark in a process of its own, so that one part does not slow the next."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from tools.errors import ToolError


def run_part(module: str, spec: msgspec.Struct, directory: Path) -> bytes:
    """Run ``python -m module`` with ``spec`` as JSON on its standard input; what it prints. Errors: ToolError."""
    name = module.rpartition(".")[2]
    with (directory / f"{name}.log").open("wb") as log:
        command = [sys.executable, "-m", module]
        done = subprocess.run(command, input=msgspec.json.encode(spec), stdout=subprocess.PIPE, stderr=log, check=False)
    if done.returncode != 0:
        last = (directory / f"{name}.log").read_text().strip().splitlines()[-1:]
        raise ToolError(f"the {name} part of the benchmark failed: {' '.join(last)}")
    return done.stdout
