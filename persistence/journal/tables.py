"""The tables of the hot path, and the one statement that writes a batch to them.

A batch travels as one array of composites per table, ``unnest($3::journal[])``: a table's name is its row type. Against
one array per column (62 of them for an open) this took a single row from 0.57 to 0.35 ms.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from perps.journal import Row
from perps.projection import POSITION_SET, POSITION_SUM
from perps.query_rows import FillRecord, LegRecord, PositionRecord, PriceRecord


class Table(Struct, frozen=True):
    """A table and its columns in order; ``conflict`` says what happens when the record is there already."""

    name: str
    columns: tuple[str, ...]
    conflict: str = ""


JOURNAL = Table("journal", ("shard", *Row.__struct_fields__))
FILLS = Table("fills", FillRecord.__struct_fields__)
LEGS = Table("legs", LegRecord.__struct_fields__)
PRICES = Table("prices", PriceRecord.__struct_fields__)

_POSITION_CHANGE = ", ".join(
    [f'"{column}" = excluded."{column}"' for column in POSITION_SET]
    + [f"{column} = positions.{column} + excluded.{column}" for column in POSITION_SUM]
)
POSITIONS = Table("positions", PositionRecord.__struct_fields__, f" on conflict (id) do update set {_POSITION_CHANGE}")


FENCE: Final = "select 1 from owner where shard = $1 and epoch = $2 for share"
"""1 while the epoch is ours, and nobody takes over before the transaction ends.

``for share`` waits for a take-over in progress and sees its result; a bare ``where epoch =`` reads a stale snapshot.
"""


def insertion(table: Table) -> str:
    """The statement that inserts $1, an array of records, into ``table``."""
    return f"insert into {table.name} select u.* from unnest($1::{table.name}[]) u{table.conflict}"


def fenced_insertion(tables: Sequence[Table]) -> str:
    """One statement that inserts into ``tables``, if $2 is still the epoch of shard $1; then one array for each.

    Returns 1, or 0 when the epoch is over: then nothing is inserted.
    """
    parts = [f"fence as materialized ({FENCE})"]
    for parameter, table in enumerate(tables, 3):
        parts.append(
            f"into_{table.name} as (insert into {table.name}"
            f" select u.* from fence, unnest(${parameter}::{table.name}[]) u{table.conflict})"
        )
    return f"with {', '.join(parts)} select count(*) from fence"
