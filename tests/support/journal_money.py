"""What the journal's own events say of money, row by row: the tables beside it follow from them, and may be wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from perps.events import decode_events

ROWS: Final = """
    select "offset", payload, schema_version from journal where "offset" > $1 and "offset" <= $2 order by 1
"""
"""Journal rows after one and up to another."""


class JournalMoney:
    """Every account after row ``offset``, from the rows taken in so far."""

    def __init__(self) -> None:
        self.offset = 0
        self.balances: Counter[str] = Counter()

    def take(self, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, set[str]]]:
        """Take in the next rows of ``ROWS``: of each its offset, and the accounts whose money it moved."""
        for offset, payload, version in rows:
            moved = set[str]()
            for event in decode_events(payload, version):
                for transfer in event.transfers:
                    self.balances[transfer.source] -= transfer.amount
                    self.balances[transfer.target] += transfer.amount
                    moved |= {transfer.source, transfer.target}
            self.offset = offset
            yield offset, moved

    def sums(self) -> Counter[str]:
        """Σ by kind of account: ``user``, ``margin``, ``house``, ``insurance``, ``fees``, ``world``."""
        kinds: Counter[str] = Counter()
        for account, amount in self.balances.items():
            kinds[account.partition(":")[0]] += amount
        return kinds
