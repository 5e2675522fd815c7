"""Breaks of how a crash of the price goes on in further rows, and deaths of a bug in the product itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.core import Core
from actors.market import MarketActor
from actors.messages import Proceed
from actors.supervisor import Supervisor
from perps.commands import ClosePosition
from perps.sequencer import MarketSide


def between_rows(handle: Callable[..., None]) -> Callable[..., None]:
    """A market does what waits before it goes on with a crash."""

    def broken(self: MarketActor, batch: list[Any]) -> None:
        rest, self._rest = self._rest, None
        handle(self, [work for work in batch if not isinstance(work, Proceed)])
        if rest is not None:
            self._rest = rest
        handle(self, [proceed for proceed in batch if isinstance(proceed, Proceed)])

    return broken


def never_proceeds(_: Supervisor, __: Proceed) -> None:
    """A crash of many rows never ends."""


def bug_of_its_own(run: Callable[..., Any]) -> Callable[..., Any]:
    """A market cannot close the last position; it is rebuilt, and nobody is the wiser."""

    def broken(self: MarketSide, command: Any, *args: Any) -> Any:
        if isinstance(command, ClosePosition) and self.market is not None and len(self.market.positions) == 1:
            raise KeyError("a bug that is in the product")
        return run(self, command, *args)

    return broken


def cannot_stop(_: Core) -> None:
    """What stops a core fails."""
    raise KeyError("a bug that is in the product")
