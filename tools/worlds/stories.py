"""Stories: what happens in a world, from a CSV file, and by what fraction it moves a price."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final

from tools.errors import ToolError

COLUMNS: Final = ("at", "ticker", "change", "reason")
REASON_MAX: Final = 256
_AT: Final = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d{1,9}(?:\.\d{1,3})?)", re.ASCII)
_CHANGE: Final = re.compile(r"[+-]?\d{1,3}(\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True)
class Story:
    """One thing that happens ``at_s`` seconds after the beginning, to one market. ``line``: where it is in its file."""

    at_s: float
    ticker: str
    change: Decimal
    reason: str
    line: int


def read_stories(path: Path) -> list[Story]:
    """The stories of a file, in order. ``at``: seconds, or ``minutes:seconds``, or ``hours:minutes:seconds``.

    Errors: ToolError, which names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ToolError(f"{path}:1: the first line must be {','.join(COLUMNS)}")
            stories = [_story(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ToolError(f"{path}: {error}") from None
    if not stories:
        raise ToolError(f"{path}: it has no stories")
    for before, story in pairwise(stories):
        if story.at_s < before.at_s:
            raise ToolError(f"{path}:{story.line}: at: it is earlier than the story above; sort the file by time")
    return stories


def _story(path: Path, line: int, row: dict[str, str]) -> Story:
    if None in row or None in row.values():
        raise ToolError(f"{path}:{line}: it needs {len(COLUMNS)} columns; put a reason with a comma between quotes")
    at, change = _AT.fullmatch(row["at"].strip()), row["change"].strip()
    if at is None:
        raise ToolError(f"{path}:{line}: at: {row['at']!r} is not a time; write seconds, or 1:30, or 2:00:00")
    if _CHANGE.fullmatch(change) is None or Decimal(change) == 0:
        raise ToolError(f"{path}:{line}: change: {change!r} is not a fraction; 0.03 is 3 % up, -0.03 is down")
    reason = row["reason"].strip()
    if not reason or not reason.isprintable() or len(reason) > REASON_MAX:
        raise ToolError(f"{path}:{line}: reason: write 1 to {REASON_MAX} characters")
    hours, minutes, seconds = at[1] or 0, at[2] or 0, at[3]
    at_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return Story(at_s, row["ticker"].strip(), Decimal(change), reason, line)
