"""What a slow start of PostgreSQL says every few seconds, which may stand between the lines that a test awaits."""

from __future__ import annotations

import re
from typing import Final

PROGRESS: Final = re.compile(r".*, \d+ s so far: ")


def without_progress(text: str) -> list[str]:
    """The lines of a text, but for those."""
    return [line for line in text.splitlines() if PROGRESS.match(line) is None]
