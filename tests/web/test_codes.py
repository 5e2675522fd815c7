"""Every code of the contract is tested somewhere here, or it is said why it cannot be."""

from __future__ import annotations

import re
from pathlib import Path

from web.errors import STATUS

NOT_YET = {
    "rate_limited": "no limit per user yet",
}

EXPECTED = re.compile(r"\b(\d{3}), \"([a-z_]+)\"")


def test_every_code_is_tested_with_its_status() -> None:
    tested: dict[str, set[int]] = {}
    for file in Path(__file__).parent.glob("test_*.py"):
        for status, code in EXPECTED.findall(file.read_text()):
            if code in STATUS:
                tested.setdefault(code, set()).add(int(status))

    untested = set(STATUS) - set(tested)

    assert untested == set(NOT_YET)
    assert {code: {status} for code, status in STATUS.items() if code not in NOT_YET} == tested
