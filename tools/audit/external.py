"""Prices from outside: a CSV file, a CSV behind a URL, or a query on another PostgreSQL. Exact decimals only."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from tools.addresses import without_password
from tools.errors import ToolError
from tools.times import parse_time_ms, rfc3339

BYTES_MAX: Final = 64 << 20
"""Of a file, or of what a URL answers with."""

ROWS_MAX: Final = 1_000_000

LINE_CHARS_MAX: Final = 10_000
"""Of one line of a CSV."""

ROW_LINES_MAX: Final = 10
"""Lines of one row: a cell in quotes may go on in the next line."""

FETCH_TIMEOUT_S: Final = 30.0

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "ticker": ("ticker", "symbol", "market"),
    "position": ("positionid", "position_id", "position"),
    "price": ("price", "currentprice", "current_price", "markprice", "mark_price", "indexprice", "index_price"),
    "at": ("at", "time", "timestamp", "updatedat", "updated_at"),
}
"""What a column may be called, in any case; ticker and price must be there."""

_NUMBER = re.compile(r"\d{1,18}(\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII)


class BadExternal(ToolError):
    """Prices that cannot be read; names the source and the line or row."""


class ExternalPrice(Struct, frozen=True):
    """What the other side says a market's price is, or a position's."""

    ticker: str
    price: Decimal
    position: str | None
    at_ms: int | None


def read_file(path: Path) -> list[ExternalPrice]:
    """The prices of a CSV file. Raises ``BadExternal``."""
    try:
        with path.open("rb") as file:  # a device says that it has no bytes, and has no end
            body = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise BadExternal(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise BadExternal(f"{path}: {error}") from error
    if len(body) > BYTES_MAX:
        raise BadExternal(f"{path}: more than {BYTES_MAX} bytes")
    return read_csv(str(path), body)


async def read_url(url: str) -> list[ExternalPrice]:
    """The prices of a CSV that a server answers with. Raises ``BadExternal``."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
    place = without_password(url)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            if answer.status != 200:
                raise BadExternal(f"{place}: the server answers {answer.status}")
            body = bytearray()
            async for part in answer.content.iter_chunked(1 << 16):
                body += part
                if len(body) > BYTES_MAX:
                    raise BadExternal(f"{place}: more than {BYTES_MAX} bytes")
    except TimeoutError:
        raise BadExternal(f"{place}: no answer within {FETCH_TIMEOUT_S:.0f} s") from None
    except aiohttp.InvalidURL:
        raise BadExternal(f"{place}: it is, or leads to, an address that cannot be asked") from None
    except aiohttp.TooManyRedirects:
        raise BadExternal(f"{place}: it leads from one address to the next without an end") from None
    except (aiohttp.ClientError, UnicodeError) as error:
        raise BadExternal(f"{place}: {without_password(str(error))}") from error
    return read_csv(place, bytes(body))


def read_csv(source: str, text: bytes) -> list[ExternalPrice]:
    """The prices in CSV text with a header. Raises ``BadExternal``."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise BadExternal(f"{source} line {line}: not UTF-8") from None
    if not decoded.strip():
        raise BadExternal(f"{source}: it is empty")
    lines = _csv_lines(source, decoded)
    _, header = next(lines, (0, []))
    return read_rows(source, header, lines, "line")


def read_rows(
    source: str, header: Sequence[str], rows: Iterable[tuple[int, Sequence[str]]], counted: str = "row"
) -> list[ExternalPrice]:
    """The prices in numbered rows under a header. Raises ``BadExternal``."""
    columns = _columns(source, header)
    seen: dict[tuple[str, str | None], int] = {}
    found: list[ExternalPrice] = []
    for number, cells in rows:
        where = f"{source} {counted} {number}"
        if len(cells) != len(header):
            raise BadExternal(f"{where}: {len(cells)} columns, the header has {len(header)}")
        price = _price(where, {name: cells[at].strip() for name, at in columns.items()})
        key = (price.ticker, price.position)
        if key in seen:
            name = price.position or price.ticker
            raise BadExternal(f"{where}: {name} is there already, in {counted} {seen[key]}")
        seen[key] = number
        found.append(price)
        if len(found) > ROWS_MAX:
            raise BadExternal(f"{source}: more than {ROWS_MAX} rows")
    if not found:
        raise BadExternal(f"{source}: a header, and no rows")
    return found


def _csv_lines(source: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their line numbers, empty ones left out."""
    lines = _Lines(source, text)
    reader = csv.reader(lines, strict=True)
    while True:
        lines.begun = lines.number
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise BadExternal(f"{source} line {reader.line_num}: {error}") from None
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield reader.line_num, row


class _Lines:
    """The lines of a CSV, one after the other, none too long; and not too many for one row."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._lines = StringIO(text, newline="")
        self.number = 0
        """Of the last line given."""
        self.begun = 0
        """The number before the present row's first line."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if len(line) > LINE_CHARS_MAX:
            raise BadExternal(f"{self._source} line {self.number}: more than {LINE_CHARS_MAX} characters")
        if self.number - self.begun > ROW_LINES_MAX:
            raise BadExternal(f"{self._source} line {self.begun + 1}: a row of more than {ROW_LINES_MAX} lines")
        return line


def _columns(source: str, header: Sequence[str]) -> Mapping[str, int]:
    names = [cell.strip().lower() for cell in header]
    found: dict[str, int] = {}
    for column, aliases in COLUMNS.items():
        places = [at for at, name in enumerate(names) if name in aliases]
        if len(places) > 1:
            raise BadExternal(f"{source}: the header has several columns for the {column}")
        if places:
            found[column] = places[0]
    missing = [column for column in ("ticker", "price") if column not in found]
    if missing:
        raise BadExternal(f"{source}: the header has no column for the {' and the '.join(missing)}")
    return found


def _price(where: str, cells: Mapping[str, str]) -> ExternalPrice:
    ticker, position, text = cells["ticker"], cells.get("position", ""), cells["price"]
    if not ticker:
        raise BadExternal(f"{where}: it has no ticker")
    if not (ticker + position).isprintable():
        raise BadExternal(f"{where}: a name with characters that cannot be printed")
    if "position" in cells and not position:
        raise BadExternal(f"{where}: it has no position")
    if _NUMBER.fullmatch(text) is None or not (price := Decimal(text)):
        raise BadExternal(f"{where}: the price is not a number above 0: {text[:40]!r}")
    at_ms = None
    if cells.get("at"):
        try:
            at_ms = parse_time_ms(cells["at"])
            rfc3339(at_ms)
        except ValueError as error:
            raise BadExternal(f"{where}: {str(error)[:100]}") from None
    if position.isascii() and position.isdigit():
        position = f"{ticker}-{position}"
    return ExternalPrice(ticker, price, position or None, at_ms)
