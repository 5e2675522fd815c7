"""Where in a world's file something is, for a message."""

from __future__ import annotations

import re
from pathlib import Path

from tools.errors import ToolError


class WorldError(ToolError):
    """A mistake in a world's file."""


class Places:
    """Where in the file a table or a key is. TOML's reader does not say; this one looks for the lines."""

    def __init__(self, file: Path, text: str) -> None:
        self._file, self._lines = file, text.splitlines()

    def error(self, problem: str, table: str = "", index: int | None = None, key: str = "") -> WorldError:
        """An error at a key, or at its table if the key is not there by itself."""
        begin = 0
        where = table
        if index is not None:
            heads = [at for at, line in enumerate(self._lines) if re.match(rf"\s*\[\[\s*{table}\s*\]\]", line)]
            begin = heads[index] if index < len(heads) else 0
            where = f"[[{table}]] {index + 1}"
        line = self._line_of(begin, key) if key else begin
        place = f"{self._file}:{line + 1}: " + (f"{where}, {key}" if where and key else where or key)
        return WorldError(f"{place}: {problem}" if where or key else f"{place}{problem}")

    def _line_of(self, begin: int, key: str) -> int:
        pattern = re.compile(rf"""\s*["']?{re.escape(key).replace("_", "[_-]")}["']?\s*=""")
        for at in range(begin, len(self._lines)):
            if at > begin and self._lines[at].lstrip().startswith("["):
                break
            if pattern.match(self._lines[at]):
                return at
        return begin
