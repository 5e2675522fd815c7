"""Files of archived journal rows: how one is written, and how all of them are read as one journal.

Layout: a header (below), the SHA-256 of it, then frames. A frame is its length (4 bytes) and that many bytes of zlib
over MessagePack, a list of rows as lists of their fields. All numbers big-endian. The header holds the SHA-256 of the
frames as stored, so that a file is known to be whole before one of its rows is believed; the hash chain comes after.

    8 bytes  magic, with the format's version        8  earliest ``at`` in it
    4        shard                                   8  latest ``at`` in it
    8        first offset                           32  hash of the row before the first
    8        last offset                            32  hash of the last row
    8        length of all frames                   32  SHA-256 of all frames
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from perps.journal import Row, hash_of
from perps.units import Micros, Millis

MAGIC: Final = b"perparc1"
"""Of this format. Another version is another magic; released ones are read for ever."""

FRAME_ROWS: Final = 2_000
"""Rows compressed together: what a reader holds in memory at a time."""

SUFFIX: Final = ".rows"
PARTIAL: Final = ".partial"
"""Appended to the name of a file that is being written."""

_HEADER: Final = struct.Struct(">8sIQQQqq32s32s32s")
_LENGTH: Final = struct.Struct(">I")
_DIGEST_BYTES: Final = 32
_BEGIN: Final = _HEADER.size + _DIGEST_BYTES
"""Where the frames begin."""

_COMPRESSION: Final = 6
_READ_BYTES: Final = 1 << 20

_Fields = tuple[int, int, str, int, Millis, str, int, str | None, str | None, bytes | None, bytes, Micros | None, bytes]
"""Of a row, in order."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(list[_Fields])


class ArchiveBroken(Exception):
    """A file is not what was archived, or does not fit the one before it; the message names it."""


class ArchiveFile(Struct, frozen=True):
    """What the header of one file says."""

    path: Path
    shard: int
    first: int
    """Offset of its first row."""
    last: int
    size: int
    """Bytes of all frames."""
    at_min: int
    """The earliest and the latest time of its rows, milliseconds since 1970."""
    at_max: int
    previous_hash: bytes
    """Of the row before the first."""
    last_hash: bytes
    digest: bytes
    """SHA-256 of all frames."""

    @property
    def rows(self) -> int:
        """How many rows are in it."""
        return self.last - self.first + 1


def file_name(shard: int, first: int, last: int) -> str:
    """The name of the file of these rows: in the order of names, files are in the order of rows."""
    return f"journal-{shard}-{first:019d}-{last:019d}{SUFFIX}"


def write_file(directory: Path, shard: int, rows: Iterable[Row], previous_hash: bytes) -> ArchiveFile:
    """Write one file of consecutive rows, at least one, durably: it is there whole, or not under its name.

    What is in it is checked by ``check_file``, as it is on the disk. Raises ``OSError``, and ``ArchiveBroken`` when
    there are no rows.
    """
    partial = directory / f"journal-{shard}{PARTIAL}"
    written = _Written()
    with partial.open("wb") as file:
        os.chmod(partial, 0o600)
        file.seek(_BEGIN)
        page: list[Row] = []
        for row in rows:
            page.append(row)
            if len(page) == FRAME_ROWS:
                written.add(file, page)
                page = []
        written.add(file, page)
        if written.newest is None:
            raise ArchiveBroken("there are no rows to archive")
        last = written.newest
        path = directory / file_name(shard, written.first, last.offset)
        header = _HEADER.pack(
            MAGIC,
            shard,
            written.first,
            last.offset,
            written.size,
            written.at_min,
            written.at_max,
            previous_hash,
            last.hash,
            written.sha256.digest(),
        )
        file.seek(0)
        file.write(header + sha256(header).digest())
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    _sync_directory(directory)
    return read_header(path)


class _Written:
    """What has gone into a file so far."""

    def __init__(self) -> None:
        self.first = self.size = self.at_min = self.at_max = 0
        self.newest: Row | None = None
        self.sha256 = sha256()

    def add(self, file: BinaryIO, page: list[Row]) -> None:
        """Write a frame."""
        if not page:
            return
        body = zlib.compress(_encode([astuple(row) for row in page]), _COMPRESSION)
        frame = _LENGTH.pack(len(body)) + body
        file.write(frame)
        self.sha256.update(frame)
        self.size += len(frame)
        times = [row.at for row in page]
        if self.newest is None:
            self.first, self.at_min, self.at_max = page[0].offset, times[0], times[0]
        self.at_min, self.at_max = min(self.at_min, *times), max(self.at_max, *times)
        self.newest = page[-1]


def read_header(path: Path) -> ArchiveFile:
    """What a file says of itself. Raises ``ArchiveBroken``."""
    try:
        with path.open("rb") as file:
            head = file.read(_BEGIN)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ArchiveBroken(f"{path} cannot be read: {error.strerror or error}") from error
    header = head[: _HEADER.size]
    if header[: len(MAGIC)] != MAGIC:
        raise ArchiveBroken(f"{path} is not an archive of this program's format")
    if len(head) < _BEGIN or sha256(header).digest() != head[_HEADER.size :]:
        raise ArchiveBroken(f"{path} is broken: its header was truncated or altered")
    _, *fields = _HEADER.unpack(header)
    found = ArchiveFile(path, *fields)
    if size != _BEGIN + found.size:
        raise ArchiveBroken(f"{path} is broken: it has {size} bytes where {_BEGIN + found.size} were written")
    return found


def read_rows(found: ArchiveFile) -> Iterator[Row]:
    """The rows of a file, once it is known to be whole. Raises ``ArchiveBroken``."""
    try:
        with found.path.open("rb") as file:
            file.seek(_BEGIN)
            digest = sha256()
            while data := file.read(_READ_BYTES):
                digest.update(data)
            if digest.digest() != found.digest:
                raise ArchiveBroken(f"{found.path} is broken: its checksum does not fit, it was altered")
            file.seek(_BEGIN)
            while length := file.read(_LENGTH.size):
                body = file.read(_LENGTH.unpack(length)[0])
                for fields in _decoder.decode(zlib.decompress(body)):
                    yield Row(*fields)
    except OSError as error:
        raise ArchiveBroken(f"{found.path} cannot be read: {error.strerror or error}") from error
    except (zlib.error, struct.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArchiveBroken(f"{found.path} cannot be decoded: {error}") from error


def check_file(path: Path) -> ArchiveFile:
    """Read a whole file back: checksum, count, offsets and hash chain. Raises ``ArchiveBroken``."""
    found = read_header(path)
    expected, previous = found.first, found.previous_hash
    for row in read_rows(found):
        if row.offset != expected:
            raise ArchiveBroken(f"{path}: row {row.offset} where row {expected} must follow")
        if hash_of(previous, row) != row.hash:
            raise ArchiveBroken(f"{path}: the hash of row {row.offset} does not follow from the row before it")
        expected, previous = row.offset + 1, row.hash
    if expected != found.last + 1 or previous != found.last_hash:
        raise ArchiveBroken(f"{path}: it ends with row {expected - 1}, not as its header says")
    return found


class ArchiveReader:
    """All archived rows of one shard in a directory, as one journal."""

    def __init__(self, directory: Path, shard: int = 0) -> None:
        """Reads the headers. Raises ``ArchiveBroken``: no files, one that is broken, or one that does not follow."""
        paths = sorted(directory.glob(f"journal-{shard}-*{SUFFIX}"))
        if not paths:
            raise ArchiveBroken(f"there are no archived rows in {directory}")
        self.files = [read_header(path) for path in paths]
        for found, path in zip(self.files, paths, strict=True):
            if found.shard != shard or path.name != file_name(shard, found.first, found.last):
                raise ArchiveBroken(f"{path} holds other rows than its name says: {found.first} to {found.last}")
        for before, found in zip(self.files, self.files[1:], strict=False):
            if found.first != before.last + 1 or found.previous_hash != before.last_hash:
                raise ArchiveBroken(f"{found.path} does not follow row {before.last}, with which the file before ends")

    @property
    def first(self) -> int:
        """Offset of the first row."""
        return self.files[0].first

    @property
    def last(self) -> int:
        """Offset of the last row."""
        return self.files[-1].last

    @property
    def last_hash(self) -> bytes:
        """Hash of the last row."""
        return self.files[-1].last_hash

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Every archived row with ``offset > after``, in order. Each file is known to be whole before its first row.

        Raises ``ArchiveBroken``. The chain is checked by whoever takes the rows in.
        """
        for found in self.files:
            if found.last > after:
                yield from (row for row in read_rows(found) if row.offset > after)

    def last_until(self, at: int) -> int:
        """Offset of the last row whose time is not after ``at``, milliseconds since 1970; 0 if there is none."""
        for found in reversed(self.files):
            if found.at_max <= at:
                return found.last
            if found.at_min <= at:
                return max(row.offset for row in read_rows(found) if row.at <= at)
        return 0


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
