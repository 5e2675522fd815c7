"""Parquet files, row by row as text. It needs the extra ``files``: DuckDB, which text files do without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.feeds.files.problems import BadFile
from tools.feeds.files.text import Rows

ROWS: Final = 10_000
"""Rows fetched at a time."""


def parquet_rows(path: Path) -> Iterator[Rows]:
    """The names of the columns as row 0, then the rows. A missing value is an empty text; times are ISO 8601 in UTC.

    Errors: BadFile.
    """
    try:
        import duckdb
    except ImportError:
        raise BadFile(
            f"{path}: Parquet needs DuckDB: pip install 'perps[files]', or pip install duckdb; or save it as CSV"
        ) from None
    connection = duckdb.connect(config={"threads": 1, "enable_external_access": True})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)", [str(path)])
        yield Rows([0], [[column[0] for column in connection.description or ()]])
        number = 1
        while found := connection.fetchmany(ROWS):
            yield Rows(
                range(number, number + len(found)), [["" if cell is None else cell for cell in row] for row in found]
            )
            number += len(found)
    except duckdb.Error as error:
        raise BadFile(f"{path}: the Parquet file cannot be read: {str(error).splitlines()[0]}") from error
    finally:
        connection.close()
