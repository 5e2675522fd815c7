"""Queries that several readers of the journal share."""

from typing import Final

from perps.journal import Row

OFFSET_MAX: Final = 2**63 - 1
"""Above every row."""

ROW_COLUMNS: Final = ", ".join(f'"{column}"' for column in Row.__struct_fields__)
SNAPSHOTS_UNTIL: Final = 'select "offset" from snapshots where shard = $1 and "offset" <= $2 order by "offset" desc'
SNAPSHOT_PARTS: Final = 'select body from snapshot_parts where shard = $1 and "offset" = $2 order by n'
NEWEST_ARCHIVE: Final = "select last_offset, file from archives where shard = $1 order by last_offset desc limit 1"
