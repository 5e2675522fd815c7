"""A client in TypeScript, made of the contract by openapi-typescript, is one that people can write programs with."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from perps.wire.contract.openapi import document
from tests.conftest import NO_CERTIFICATES

HERE = Path(__file__).parent / "typescript"
NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "network")
"""What npm says when its registry cannot be reached."""


def _run(place: Path, *command: str, seconds: float) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"npm_config_fetch_retries": "1", "npm_config_update_notifier": "false"}
    environment = {name: value for name, value in environment.items() if name not in NO_CERTIFICATES}
    return subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False, timeout=seconds, env=environment
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the program, the contract, openapi-typescript and tsc. Needs npm and its registry."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("there is no Node.js here: openapi-typescript needs it")
    shutil.copytree(HERE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "openapi.json").write_bytes(document("0"))
    try:
        options = ("--prefer-offline", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
        done = _run(tmp_path, "npm", "install", *options, seconds=120)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not answer: its registry cannot be reached")
    if done.returncode and any(word in done.stderr for word in NETWORK):
        pytest.skip("npm's registry cannot be reached")
    assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_program_with_the_generated_types_compiles_under_strict(tools: Path) -> None:
    bin_ = tools / "node_modules" / ".bin"

    made = _run(tools, str(bin_ / "openapi-typescript"), "openapi.json", "--output", "venue.ts", seconds=60)
    assert made.returncode == 0, made.stderr
    compiled = _run(tools, str(bin_ / "tsc"), seconds=120)

    assert compiled.returncode == 0, compiled.stdout
