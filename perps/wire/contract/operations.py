"""The table of operations: every route with its scope, body, query, answers and refusals. The contract's one source.

The server routes, reads, authorises and documents by it; the client and the tests use it too. A new route is its types
and its entry in the module of its subject, and its handler in ``web/api``.
"""

from __future__ import annotations

from typing import Final

from perps.wire import (
    agents,
    close_all,
    flows,
    history,
    keys,
    margin,
    markets,
    net,
    page,
    prices,
    results,
    streams,
    trading,
    triggers,
    users,
    venue,
)
from perps.wire.operation import Operation
from perps.wire.orders import cancelling, placing, reading

MODULES: Final = (
    trading,
    margin,
    triggers,
    close_all,
    net,
    placing,
    reading,
    cancelling,
    markets,
    history,
    flows,
    prices,
    users,
    results,
    keys,
    streams,
    agents,
    venue,
    page,
)

OPERATIONS: Final[tuple[Operation, ...]] = tuple(
    value for module in MODULES for value in vars(module).values() if isinstance(value, Operation)
)
