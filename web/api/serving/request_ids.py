"""What requests are called: in their answers, in the logs, and as the client order id of those that bring none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

ID_BYTES: Final = 12
AT_A_TIME: Final = 1_024
"""Ids made by one call of the system, which takes 20 µs while other threads want the interpreter."""


def request_ids() -> Iterator[str]:
    """Ids that nobody can guess and that never come twice: 24 hexadecimal digits."""
    digits = 2 * ID_BYTES
    while True:
        chance = os.urandom(ID_BYTES * AT_A_TIME).hex()
        for start in range(0, len(chance), digits):
            yield chance[start : start + digits]
