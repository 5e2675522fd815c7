"""Every code of the contract is tested somewhere here."""

from __future__ import annotations

import re
from pathlib import Path

from perps.wire.errors import STATUS

EXPECTED = re.compile(r"\b(\d{3}), \"([a-z_]+)\"")


def test_every_code_is_tested_with_its_status() -> None:
    tested: dict[str, set[int]] = {}
    for file in Path(__file__).parents[1].rglob("test_*.py"):
        for status, code in EXPECTED.findall(file.read_text()):
            if code in STATUS:
                tested.setdefault(code, set()).add(int(status))

    untested = set(STATUS) - set(tested)

    assert not untested
    assert {code: {status} for code, status in STATUS.items()} == tested
