"""House rules that no linter knows: a file is short enough to read in one go, a folder to find something in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PLACES: Final = ("perps", "actors", "persistence", "web", "tools", "tests", "examples")
ENDINGS: Final = (".py", ".ts", ".tsx", ".css", ".sql")
MADE: Final = ("node_modules", "built", "contract.d.ts")
"""What a build puts beside the sources."""
LINES_MAX: Final = 400
FILES_MAX: Final = 24


def _files() -> Iterator[Path]:
    for place in PLACES:
        for path in (ROOT / place).rglob("*"):
            if path.suffix in ENDINGS and not set(path.parts) & set(MADE):
                yield path


def test_no_file_is_longer_than_it_may_be() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in _files()}
    assert len(lines) > 800, "they were looked at"
    assert {name: count for name, count in lines.items() if count > LINES_MAX} == {}


def test_no_folder_has_more_files_than_a_reader_can_survey() -> None:
    files = Counter(str(path.parent.relative_to(ROOT)) for path in _files())
    assert len(files) > 80, "they were looked at"
    assert {name: count for name, count in files.items() if count > FILES_MAX} == {}
