"""Lines to rows: which character separates the columns, and which lines are none of the table."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Final, NamedTuple

DELIMITERS: Final = (";", "\t", "|", ",")
"""Tried in this order: a comma may also begin decimals."""
SPACE: Final = " "
_DATED = re.compile(r"^\d{4}[-/.]?\d{2}[-/.]?\d{2} \d")

_BESIDE: Final = frozenset(("#", "/", " ", "\t"))
"""How a line may begin that is not one of the table."""

NAMES: Final = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas", SPACE: "spaces"}


class Rows(NamedTuple):
    """Some rows of a table: their numbers, and their cells."""

    numbers: Sequence[int]
    cells: list[list[str]]


def is_beside_the_table(line: str) -> bool:
    """Whether a line is empty or a comment."""
    start = line.lstrip()[:3]
    return not start or start[0] == "#" or start[:2] == "//"


def delimiter_of(lines: Sequence[str]) -> str | None:
    """The character that gives most of these lines the same number of columns; None: there is none."""
    lines = [line for line in lines if not is_beside_the_table(line)]
    for line in lines[:1]:
        if found := re.fullmatch(r'"?sep=(.)"?', line.strip(), re.IGNORECASE):  # Excel's own
            return found[1]
    for delimiter in DELIMITERS:
        counts = Counter(len(split(line, delimiter)) for line in lines)
        columns, times = max(counts.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        if columns > 1 and 2 * times >= len(lines):
            return delimiter
    if lines and all(len(line.split()) > 1 + bool(_DATED.match(line)) for line in lines[-3:]):
        return SPACE
    return next((each for each in DELIMITERS if any(each in line for line in lines)), None)


def split(line: str, delimiter: str, most: int = -1) -> list[str]:
    """The cells of a line. ``most``: after so many separators the rest stays together; quoted lines come whole."""
    if '"' in line:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    if delimiter == SPACE:
        return line.split(None, most)
    return line.split(delimiter, most)


def rows(lines: Sequence[str], first: int, delimiter: str, most: int = -1) -> Rows:
    """The rows of some lines, the first of which has this number; without empty lines and comments."""
    if (
        delimiter != SPACE
        and all(lines)
        and _BESIDE.isdisjoint(map(itemgetter(0), lines))
        and '"' not in "".join(lines)
    ):
        return Rows(range(first, first + len(lines)), [line.split(delimiter, most) for line in lines])
    kept = [(number, line) for number, line in enumerate(lines, first) if not is_beside_the_table(line)]
    return Rows([number for number, _ in kept], [split(line, delimiter, most) for _, line in kept])
