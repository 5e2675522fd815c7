"""Where the rows of a price file come from: plain or compressed text, standard input, or Parquet.

The first bytes say what a file is; its name says nothing. Text is read in blocks as it comes, so a pipe plays while it
is written. Each line is a row, and keeps its number.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from tools.feeds.files.problems import BadFile, bad_row

STDIN: Final = Path("-")
BLOCK_BYTES: Final = 1 << 18
LINE_MAX: Final = 10_000
"""Characters of a line: what is longer is no line of a price file."""
SAME_LINES_MAX: Final = 100_000
"""Lines one after another that are empty or all the same: more are no prices, but a few bytes that were compressed."""
SPOOLED_MAX: Final = 1 << 30
"""Bytes of a ZIP archive or a Parquet file on standard input; neither can be read before its end has come."""

_REFUSED: Final = (
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd; decompress it first: zstd -d"),
    (b"ARROW1", "it is an Arrow file; save it as CSV or Parquet"),
    (b"\xd0\xcf\x11\xe0", "it is an Excel workbook; save it as CSV"),
    (b"SQLite format 3", "it is a SQLite database; export a table as CSV"),
    (b"%PDF", "it is a PDF; save the prices as CSV"),
)
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file or of standard input, decompressed. Errors: BadFile; OSError."""
    with ExitStack() as stack:
        raw = cast(io.BufferedReader, sys.stdin.buffer) if path == STDIN else stack.enter_context(path.open("rb"))
        yield from _unpacked(raw, path, stack)


def is_pipe(path: Path) -> bool:
    """Whether a source can be read once only."""
    return path == STDIN or not path.is_file()


def name_of(path: Path) -> str:
    """What messages call it."""
    return "standard input" if path == STDIN else str(path)


def blocks(file: BinaryIO, name: str) -> Iterator[list[str]]:
    """The lines of a text, some at a time, without their ends. Errors: BadFile."""
    reader = cast(io.BufferedReader, file)
    decoder: codecs.IncrementalDecoder | None = None
    rest, line, same = "", 1, 0
    while True:
        try:
            data = reader.read1(BLOCK_BYTES)
        except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise BadFile(f"{name}: it cannot be read to its end: {error}") from error
        if decoder is None:
            decoder = _decoder(data, name)
        text = rest + decoder.decode(data, not data)
        if "\0" in text:
            raise bad_row(name, "line", line + text[: text.index("\0")].count("\n"), "it has zero bytes: it is no text")
        lines = text.replace("\r\n", "\n").split("\n")
        if len(lines) == 1 and text.count("\r") > 1:  # ends of lines as old Macs wrote them
            lines = text.split("\r")
        rest = lines.pop()
        if max(map(len, lines), default=0) > LINE_MAX or len(rest) > LINE_MAX:
            long = next(at for at, each in enumerate((*lines, rest)) if len(each) > LINE_MAX)
            raise bad_row(name, "line", line + long, f"it is longer than {LINE_MAX} characters")
        if lines:
            same = same + len(lines) if lines[0] == lines[-1] and len(set(lines)) == 1 else 0
            line += len(lines)
            if same > SAME_LINES_MAX:
                said = "empty" if not lines[0].strip() else f"the same: {lines[0][:80]!r}"
                raise bad_row(name, "line", line - 1, f"it and more than {SAME_LINES_MAX:,} lines above it are {said}")
            yield lines
        if not data:
            if rest:
                yield [rest]
            return


def _decoder(first: bytes, name: str) -> codecs.IncrementalDecoder:
    """By the byte-order mark, else UTF-8. Bytes that are no UTF-8 are kept: only a cell that counts must be text."""
    if first[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return codecs.getincrementaldecoder("utf-16")("replace")
    start = first.lstrip()[:16]
    if start.lower().startswith(_MARKUP):
        raise BadFile(f"{name}: it is a web page or XML, not a table; download the file itself")
    if start[:1] in (b"{", b"["):
        raise BadFile(f"{name}: it is JSON; save it as CSV or Parquet with a column for each value")
    return codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")


def _unpacked(raw: io.BufferedReader, path: Path, stack: ExitStack) -> Iterator[BinaryIO]:
    name, first = name_of(path), raw.peek(16)[:16]
    if problem := next((problem for magic, problem in _REFUSED if first.startswith(magic)), None):
        raise BadFile(f"{name}: {problem}")
    if first.startswith(b"\x1f\x8b"):
        yield cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=raw)))
    elif first.startswith(b"BZh"):
        yield cast(BinaryIO, stack.enter_context(bz2.BZ2File(raw)))
    elif first.startswith(b"\xfd7zXZ"):
        yield cast(BinaryIO, stack.enter_context(lzma.LZMAFile(raw)))  # noqa: SIM115
    elif first.startswith(b"PK\x03\x04"):
        yield stack.enter_context(_only_member(_seekable(raw, path), name, stack))
    else:
        yield cast(BinaryIO, raw)


def _seekable(raw: io.BufferedReader, path: Path) -> BinaryIO:
    if not is_pipe(path):
        return raw
    data = raw.read(SPOOLED_MAX + 1)
    if len(data) > SPOOLED_MAX:
        raise BadFile(f"{name_of(path)}: it is too large to be read from a pipe; save it as a file")
    return io.BytesIO(data)


def _only_member(file: BinaryIO, name: str, stack: ExitStack) -> BinaryIO:
    """The one file in a ZIP archive. Errors: BadFile."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(file))
        names = [each.filename for each in archive.infolist() if not each.is_dir()]
        if any(each.startswith("xl/") for each in names):
            raise BadFile(f"{name}: it is an Excel workbook; save it as CSV")
        found = [each for each in names if not each.startswith("__MACOSX/") and not each.endswith((".txt", ".md"))]
        found = found or names
        if len(found) != 1:
            listed = ", ".join(found[:5]) + (" …" if len(found) > 5 else "")
            raise BadFile(f"{name}: it has {len(found)} files ({listed}); unpack it and play one, or join them")
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, archive.open(found[0]))))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise BadFile(f"{name}: the ZIP archive cannot be read: {error}") from error
