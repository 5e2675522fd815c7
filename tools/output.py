"""How a tool prints: tables on a terminal, plain lines elsewhere, JSON for programs; progress on stderr.

The text may come from a damaged database, a file or somebody else's server. None of it can move the cursor or end a
line: this module, and no other, spells out every character that cannot be printed.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import RawIOBase
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from tools.errors import BadAnswer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LAST_CELLS: Final = 12
"""The width of a table's last column, below which its rows become lists."""
PLAIN_EVERY_S: Final = 5.0


class Reporter(Protocol):
    """Called with how much of a long work is done, and a note for people."""

    def __call__(self, done: float, note: str = "") -> None: ...


def counted(count: int, thing: str) -> str:
    """``1 market``, ``2 markets``: for a thing whose plural ends in s."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def buffer_stdout() -> None:
    """Give stdout a buffer if Python runs without one (``PYTHONUNBUFFERED``, ``-u``), as it often does in containers.

    Without a buffer Python silently drops the text that a pipe does not take at once. Lines still leave as they end.
    """
    if isinstance(getattr(sys.stdout, "buffer", None), RawIOBase):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(sys.stdout.fileno(), "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
        sys.stdout.reconfigure(line_buffering=True)


def printable(text: str) -> str:
    """Text as one line that cannot command a terminal: ``\\x1b`` for an escape, ``\\n`` for a new line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def json_text(value: object) -> str:
    """A value as JSON on one line. Bytes are JSON already: they stay the same value.

    Raises ``BadAnswer`` for bytes that are not JSON.
    """
    if isinstance(value, bytes):
        try:
            msgspec.json.decode(value)
            text = msgspec.json.format(value, indent=-1).decode()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadAnswer(f"the answer is not JSON: {error}") from error
    else:
        try:
            text = msgspec.json.encode(value).decode()
        except UnicodeEncodeError:  # Python writes the bytes of a path that is not UTF-8 as lone surrogates
            text = json.dumps(msgspec.to_builtins(value))
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _json_escape(c) for c in text)


def show_json(value: object) -> None:
    """Print ``json_text``; nothing for an empty answer."""
    if value != b"":
        print(json_text(value))


def show_line(text: str, *, err: bool = False) -> None:
    """One line on stdout, or on stderr."""
    print(printable(text), file=sys.stderr if err else sys.stdout, flush=err)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, less: Sequence[str] = ()) -> None:
    """A table on a terminal, where only the last column wraps; elsewhere a line for each row, with tabs.

    On a terminal that is too narrow each row is a list of its own, so that nothing is cut: an id is there to be copied.
    ``less``: columns that it leaves out instead, in the order in which they go; below the table is their number.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print("\t".join(row))
        return
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console = Console()
    kept = fitting(columns, rows, less, console.width) if less else range(len(columns))
    if not less and _needs(columns, rows, kept[:-1]) + LAST_CELLS > console.width:
        _show_lists(columns, rows)
        return
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for at in kept:
        is_number = bool(rows) and all(_is_number(row[at]) for row in rows)
        is_last = at == len(columns) - 1
        table.add_column(columns[at], justify="right" if is_number else "left", no_wrap=not is_last)
    for row in rows:
        table.add_row(*(_literal(row[at]) for at in kept))
    console.print(table)
    if less and len(kept) < len(columns):
        print(hidden_note(columns, rows, kept))


def _show_lists(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widest = max(map(len, columns))
    for number, row in enumerate(rows):
        if number:
            print()
        for column, cell in zip(columns, row, strict=True):
            print(f"{column:<{widest}}  {cell}")


def fitting(columns: Sequence[str], rows: Sequence[Sequence[str]], less: Sequence[str], width: int) -> Sequence[int]:
    """Which columns a terminal of so many cells shows whole, by their places. ``less``: as of ``show_table``."""
    kept = list(range(len(columns)))
    for name in less:
        if _needs(columns, rows, kept) <= width:
            break
        kept.remove(columns.index(name))
    return kept


def hidden_note(columns: Sequence[str], rows: Sequence[Sequence[str]], kept: Sequence[int]) -> str:
    """What is said of columns that do not fit."""
    count = len(columns) - len(kept)
    return f"{counted(count, 'column')} hidden; a width of {_needs(columns, rows, range(len(columns)))} shows all"


def _needs(columns: Sequence[str], rows: Sequence[Sequence[str]], kept: Sequence[int]) -> int:
    """The width of a table of these columns: each has two spaces behind it, and the first has one before it."""
    from rich.cells import cell_len

    return 1 + sum(2 + max(cell_len(row[at]) for row in (columns, *rows)) for at in kept)


def show_record(record: Mapping[str, object]) -> None:
    """Names and values: a table on a terminal; elsewhere a line for each, with a tab. Names of inner records: a.b.c."""
    rows = [(printable(name), printable(value)) for name, value in flat(record)]
    if not sys.stdout.isatty():
        for name, value in rows:
            print(f"{name}\t{value}")
        return
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, show_header=False)
    for name, value in rows:
        table.add_row(_literal(name), _literal(value))
    Console().print(table)


def flat(record: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A record's values by dotted name, as text."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield from flat({str(at): item for at, item in enumerate(value)}, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        elif isinstance(value, bool):
            yield f"{prefix}{name}", "yes" if value else "no"
        else:
            yield f"{prefix}{name}", "-" if value is None else str(value)


@contextmanager
def progress(doing: str, total: float | None) -> Iterator[Reporter]:
    """Show on stderr how much of a work is done: a bar on a terminal, elsewhere a line every few seconds."""
    if not sys.stderr.isatty():
        yield _PlainProgress(doing, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%" if total else ""),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        yield _BarProgress(bar, bar.add_task(doing, total=total, note=""))


class _PlainProgress:
    def __init__(self, doing: str, total: float | None) -> None:
        self._doing, self._total = doing, total
        self._said = time.monotonic()

    def __call__(self, done: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self._said < PLAIN_EVERY_S:
            return
        self._said = now
        share = f" {100 * done / self._total:.0f}%" if self._total else ""
        show_line(f"{self._doing}{share} {note}".rstrip(), err=True)


class _BarProgress:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def __call__(self, done: float, note: str = "") -> None:
        self._bar.update(self._task, completed=done, note=_literal(printable(note)))


def _json_escape(character: str) -> str:
    """A character's JSON escape. It stands in a JSON string: elsewhere it would not be JSON."""
    return "".join(f"\\u{unit:04x}" for (unit,) in struct.iter_unpack(">H", character.encode("utf-16-be")))


def _literal(text: str) -> str:
    """Text in which rich finds no mark-up."""
    from rich.markup import escape

    return escape(text)


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or text[:1] in "+-−"
