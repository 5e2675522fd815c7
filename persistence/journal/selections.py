"""Queries that several readers of the journal share."""

from collections.abc import Iterable
from typing import Final

from perps.journal import Row


def columns(names: Iterable[str]) -> str:
    """Columns of a query: quoted, since ``offset`` is a word of SQL."""
    return ", ".join(f'"{name}"' for name in names)


OFFSET_MAX: Final = 2**63 - 1
"""Above every row."""

ROW_COLUMNS: Final = columns(Row.__struct_fields__)
ROWS_AFTER: Final = f'select {ROW_COLUMNS} from journal where shard = $1 and "offset" > $2 order by "offset" limit $3'
LAST: Final = 'select coalesce(max("offset"), 0) from journal where shard = $1'
EPOCH_AND_HASH_AT: Final = 'select epoch, hash from journal where shard = $1 and "offset" = $2'
SNAPSHOTS_UNTIL: Final = 'select "offset" from snapshots where shard = $1 and "offset" <= $2 order by "offset" desc'
SNAPSHOT_PARTS: Final = 'select body from snapshot_parts where shard = $1 and "offset" = $2 order by n'
NEWEST_ARCHIVE: Final = "select last_offset, file from archives where shard = $1 order by last_offset desc limit 1"
