"""The partitions of the query tables: each shard's records lie in tables of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from persistence.journal.tables import CANDLES, FILLS, FUNDING, LEGS, ORDERS, POSITIONS, PRICES, Table

if TYPE_CHECKING:
    from asyncpg import Connection

OPTIONS: Final = {
    FILLS.name: ("", ""),
    LEGS.name: ("", ""),
    PRICES.name: ("", ""),
    POSITIONS.name: (", primary key (id)", " with (fillfactor = 85)"),
    CANDLES.name: (", primary key (ticker, width, start)", ""),
    FUNDING.name: (', primary key ("offset", n)', ""),
    ORDERS.name: (", primary key (id)", " with (fillfactor = 85)"),
}
"""By table what a partition has beyond the columns and indexes of the whole: constraints, and how it is stored."""


async def make_shard(connection: Connection[Any], shard: int) -> None:
    """Be sure that the query tables have partitions for the records of ``shard``: all of them or none are made.

    Nobody who reads or writes other shards waits: a partition is attached while it is empty. Whoever calls holds the
    shard's lock. Raises what asyncpg raises.
    """
    if await connection.fetchval("select to_regclass($1)", FILLS.part(shard)) is not None:
        return
    async with connection.transaction():
        for table in (FILLS, LEGS, PRICES, POSITIONS, CANDLES, FUNDING, ORDERS):
            await connection.execute(_creation(table, shard))


def _creation(table: Table, shard: int) -> str:
    part = table.part(shard)
    constraints, storage = OPTIONS[table.name]
    return f"""
        create table {part} (like {table.name}{constraints}){storage};
        alter table {part} alter column shard set default {shard:d};
        alter table {table.name} attach partition {part} for values in ({shard:d});
    """
