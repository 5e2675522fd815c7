"""The tables of the hot path, and the one statement that writes a batch to them.

A batch travels as one array of composites per table, ``unnest($3::journal[])``. Against one array per column (62 of
them for an open) this took a single row from 0.57 to 0.35 ms.

The query tables have a partition for each shard (migration 0004). A shard's writer names its own, which adds the shard.

A position that first changes after its open has no record yet (migration 0007): its fill completes the change. It is
found by its market and the time of the open, so among the fills of one millisecond.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from perps.journal import Row
from perps.projection import ORDER_ONCE, POSITION_SET, POSITION_SUM
from perps.query_rows import (
    CandleRecord,
    FundingRecord,
    LegRecord,
    OrderRecord,
    PositionRecord,
    PriceRecord,
    StoredFill,
)


class Table(Struct, frozen=True):
    """A table and its columns in order.

    ``conflict`` says what happens when the record is there already; ``records`` what is inserted of ``{given}``, in
    shard ``{shard}``.
    """

    name: str
    columns: tuple[str, ...]
    conflict: str = ""
    records: str = "select given.* from {given}"
    has_parts: bool = True
    """Whether each shard has a table of its own, a partition of this one."""

    @property
    def record_type(self) -> str:
        """What PostgreSQL calls the type of its records."""
        return f"{self.name}_record" if self.has_parts else self.name

    def part(self, shard: int) -> str:
        """The table that takes the records of a shard, and adds the shard to them."""
        return f"{self.name}_{shard:d}" if self.has_parts else self.name


JOURNAL = Table("journal", ("shard", *Row.__struct_fields__), has_parts=False)
FILLS = Table("fills", StoredFill.__struct_fields__)
LEGS = Table("legs", LegRecord.__struct_fields__)
PRICES = Table("prices", PriceRecord.__struct_fields__)
CANDLES = Table("candles", CandleRecord.__struct_fields__)
FUNDING = Table("funding", FundingRecord.__struct_fields__)

_POSITION_CHANGE = ", ".join(
    [f'"{column}" = excluded."{column}"' for column in POSITION_SET]
    + [f"{column} = stored.{column} + excluded.{column}" for column in POSITION_SUM]
)
_OF_THE_OPEN = {
    "opened_offset": '"offset"',
    "entered_lots": "lots",
    "entered_cost": "abs(cost)",
    "fees": "fee",
}
"""What the fill that began a position adds to the position's first change."""

_COMPLETED = f"""
    select {
    ", ".join(
        f'given."{name}" + coalesce(began."{name}", 0)' if name in _OF_THE_OPEN else f'given."{name}"'
        for name in PositionRecord.__struct_fields__
    )
}
      from {{given}} left join lateral (
        select {", ".join(f'{value} as "{name}"' for name, value in _OF_THE_OPEN.items())}
          from fills_{{shard}} fill
         where given.opened_offset = 0 and fill.ticker = given.ticker and fill.at = given.opened_at
           and fill.position_id = given.id and fill.leverage is not null
           and not exists (select from positions_{{shard}} known where known.id = given.id)
         limit 1
      ) began on true
"""

POSITIONS = Table(
    "positions",
    PositionRecord.__struct_fields__,
    f" on conflict (id) do update set {_POSITION_CHANGE}",
    _COMPLETED,
)

_ORDER_CHANGE = ", ".join(
    f'"{column}" = excluded."{column}"' for column in OrderRecord.__struct_fields__ if column not in ORDER_ONCE
)
ORDERS = Table("orders", OrderRecord.__struct_fields__, f" on conflict (id) do update set {_ORDER_CHANGE}")

QUERY_SESSION: Final = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
"""Settings for who inserts positions: a plan made while the fills were few must not read all of them later."""


FENCE: Final = "select 1 from owner where shard = $1 and epoch = $2 for share"
"""1 while the epoch is ours, and nobody takes over before the transaction ends.

``for share`` waits for a take-over in progress and sees its result; a bare ``where epoch =`` reads a stale snapshot.
"""


def insertion(table: Table, shard: int) -> str:
    """The statement that inserts $1, an array of records of ``shard``, into ``table``."""
    return _into(table, shard, f"unnest($1::{table.record_type}[]) given")


def fenced_insertion(tables: Sequence[Table], shard: int) -> str:
    """One statement that inserts into ``tables``, if $2 is still the epoch of ``shard``, $1; then one array for each.

    Returns 1, or 0 when the epoch is over: then nothing is inserted.
    """
    parts = [f"fence as materialized ({FENCE})"]
    for parameter, table in enumerate(tables, 3):
        given = f"fence cross join unnest(${parameter}::{table.record_type}[]) given"
        parts.append(f"into_{table.name} as ({_into(table, shard, given)})")
    return f"with {', '.join(parts)} select count(*) from fence"


def _into(table: Table, shard: int, given: str) -> str:
    names = ", ".join(f'"{name}"' for name in table.columns)
    records = table.records.format(given=given, shard=f"{shard:d}")
    return f"insert into {table.part(shard)} as stored ({names}) {records}{table.conflict}"
