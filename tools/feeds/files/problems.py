"""What can be wrong with a price file, as one line: file, line, column, cause, and how to go on."""

from __future__ import annotations

from tools.errors import ToolError


class BadFile(ToolError):
    """The file as a whole cannot be played. The text names it."""


class BadRow(BadFile):
    """A row that cannot be played. The text names file, line and, where it is one cell, the column."""


def bad_row(name: str, unit: str, number: int, problem: str, column: str | None = None) -> BadRow:
    """``unit``: what the file is counted in, ``line`` or ``row``."""
    where = f"{name} {unit} {number}"
    return BadRow(f"{where}: {problem}" if column is None else f"{where}, column {column}: {problem}")
