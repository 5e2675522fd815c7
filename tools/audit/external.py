"""Prices of another system: from a CSV file, a CSV at a URL, or a query on another PostgreSQL. Exact decimals only."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from perps.client import without_password
from tools.errors import ToolError
from tools.output import counted
from tools.times import parse_time_ms, rfc3339

BYTES_MAX: Final = 64 << 20
"""The largest file, or answer of a URL."""

ROWS_MAX: Final = 1_000_000

LINE_CHARS_MAX: Final = 10_000
"""The longest line of a CSV."""

ROW_LINES_MAX: Final = 10
"""The most lines of one row: a cell in quotes may continue on the next line."""

FETCH_TIMEOUT_S: Final = 30.0

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "ticker": ("ticker", "symbol", "market"),
    "position": ("positionid", "position_id", "position"),
    "price": ("price", "currentprice", "current_price", "markprice", "mark_price", "indexprice", "index_price"),
    "at": ("at", "time", "timestamp", "updatedat", "updated_at"),
}
"""The names that a column may have, in upper or lower case. Ticker and price are required."""

_NUMBER = re.compile(r"\d{1,18}(\.\d{1,30})?([eE][+-]?\d{1,2})?", re.ASCII)


class BadExternal(ToolError):
    """Prices that cannot be read. The text names the source, and the line or row."""


class ExternalPrice(Struct, frozen=True):
    """The other system's price of a market, or of a position."""

    ticker: str
    price: Decimal
    position: str | None
    at_ms: int | None


def read_file(path: Path) -> list[ExternalPrice]:
    """The prices of a CSV file. Raises ``BadExternal``."""
    try:
        with path.open("rb") as file:  # not stat: a device says that it has no bytes, and never ends
            body = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise BadExternal(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise BadExternal(f"{path}: {error}") from error
    if len(body) > BYTES_MAX:
        raise BadExternal(f"{path}: it has more than {BYTES_MAX} bytes")
    return read_csv(str(path), body)


async def read_url(url: str) -> list[ExternalPrice]:
    """The prices of a CSV at a URL. Raises ``BadExternal``.

    A redirect is not followed: it could lead to a server that nobody named, such as one inside the network.
    """
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
    place = without_password(url)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if 300 <= answer.status < 400 and "Location" in answer.headers:
                where = without_password(answer.headers["Location"])
                raise BadExternal(f"{place}: it redirects to {where}, which is not followed; give that address itself")
            if answer.status != 200:
                raise BadExternal(f"{place}: the server answered with status {answer.status}, not 200")
            body = bytearray()
            async for part in answer.content.iter_chunked(1 << 16):
                body += part
                if len(body) > BYTES_MAX:
                    raise BadExternal(f"{place}: the answer has more than {BYTES_MAX} bytes")
    except TimeoutError:
        raise BadExternal(f"{place}: no answer within {FETCH_TIMEOUT_S:.0f} s") from None
    except aiohttp.InvalidURL:
        raise BadExternal(f"{place}: it is not an address that can be opened") from None
    except (aiohttp.ClientError, UnicodeError) as error:
        raise BadExternal(f"{place}: {without_password(str(error))}") from error
    return read_csv(place, bytes(body))


def read_csv(source: str, text: bytes) -> list[ExternalPrice]:
    """The prices in CSV text with a header. Raises ``BadExternal``."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise BadExternal(f"{source} line {line}: it is not UTF-8 text") from None
    if not decoded.strip():
        raise BadExternal(f"{source}: it is empty")
    lines = _csv_lines(source, decoded)
    _, header = next(lines, (0, []))
    return read_rows(source, header, lines, "line")


def read_rows(
    source: str, header: Sequence[str], rows: Iterable[tuple[int, Sequence[str]]], unit: str = "row"
) -> list[ExternalPrice]:
    """The prices in numbered rows under a header. Raises ``BadExternal``."""
    columns = _columns(source, header)
    seen: dict[tuple[str, str | None], int] = {}
    found: list[ExternalPrice] = []
    for number, cells in rows:
        where = f"{source} {unit} {number}"
        if len(cells) != len(header):
            raise BadExternal(f"{where}: it has {counted(len(cells), 'column')}, the header has {len(header)}")
        price = _price(where, {name: cells[at].strip() for name, at in columns.items()})
        key = (price.ticker, price.position)
        if key in seen:
            name = price.position or price.ticker
            raise BadExternal(f"{where}: {name} is already in {unit} {seen[key]}")
        seen[key] = number
        found.append(price)
        if len(found) > ROWS_MAX:
            raise BadExternal(f"{source}: it has more than {ROWS_MAX} rows")
    if not found:
        raise BadExternal(f"{source}: it has a header and no rows")
    return found


def _csv_lines(source: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their line numbers. Empty rows are left out."""
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
    """The lines of a CSV in order. It refuses a line that is too long, and a row of too many lines."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._lines = StringIO(text, newline="")
        self.number = 0
        """The number of the last line."""
        self.begun = 0
        """The number before the first line of the current row."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if len(line) > LINE_CHARS_MAX:
            raise BadExternal(f"{self._source} line {self.number}: it has more than {LINE_CHARS_MAX} characters")
        if self.number - self.begun > ROW_LINES_MAX:
            row = f"{self._source} line {self.begun + 1}"
            raise BadExternal(f"{row}: this row has more than {ROW_LINES_MAX} lines; is a quote missing?")
        return line


def _columns(source: str, header: Sequence[str]) -> Mapping[str, int]:
    names = [cell.strip().lower() for cell in header]
    found: dict[str, int] = {}
    for column, aliases in COLUMNS.items():
        places = [at for at, name in enumerate(names) if name in aliases]
        if len(places) > 1:
            raise BadExternal(f"{source}: the header has more than one column for the {column}")
        if places:
            found[column] = places[0]
    missing = [column for column in ("ticker", "price") if column not in found]
    if missing:
        raise BadExternal(
            f"{source}: the header has no column for the {' and the '.join(missing)}; name it {' and '.join(missing)}"
        )
    return found


def _price(where: str, cells: Mapping[str, str]) -> ExternalPrice:
    ticker, position, text = cells["ticker"], cells.get("position", ""), cells["price"]
    if not ticker:
        raise BadExternal(f"{where}: it has no ticker")
    if not (ticker + position).isprintable():
        raise BadExternal(f"{where}: the ticker or position has characters that cannot be printed")
    if "position" in cells and not position:
        raise BadExternal(f"{where}: it has no position id")
    if _NUMBER.fullmatch(text) is None or not (price := Decimal(text)):
        raise BadExternal(f"{where}: the price must be a number above 0, such as 12.5; it is {text[:40]!r}")
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
