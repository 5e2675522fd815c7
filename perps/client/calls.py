"""What all methods of ``Venue`` stand on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from perps.client.lists import Listing
from perps.wire.operation import Operation
from perps.wire.orders.order import Pending

T = TypeVar("T")


class Calls:
    """Operations by their description; ``Venue`` says how they reach the venue."""

    async def call(self, operation: Operation, kind: type[T], /, **values: object) -> T:
        """Any operation."""
        raise NotImplementedError

    async def call_or_wait(self, operation: Operation, kind: type[T], /, **values: object) -> T | Pending:
        """An operation that some markets do at once and others at the next price: then an order, ``Pending``."""
        raise NotImplementedError

    def _list(
        self, operation: Operation, kind: Any, items: Callable[[Any], Any], given: Mapping[str, object]
    ) -> Listing[Any, Any]:
        values = values_of(given)
        first = values.pop("cursor")
        return Listing(lambda cursor: self.call(operation, kind, **values, cursor=cursor), items, first)


def values_of(given: Mapping[str, object]) -> dict[str, Any]:
    """A method's arguments by name, as ``locals()`` has them at its begin."""
    return {name: value for name, value in given.items() if name != "self"}
