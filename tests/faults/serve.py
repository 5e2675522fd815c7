"""The real venue with faults in its stores: ``python -m tests.faults.serve serve --port P --data-dir D``.

``PERPS_FAULTS`` arms them, as ``where:what:when`` separated by commas; without it nothing differs from ``perps serve``.

- ``before_commit``, ``after_commit``: around the journal's ``append``, at the batch that holds the client order id
  *when*. Before it a command is decided and applied in memory and nothing of it is durable; after it the row is
  durable and nobody has been told.
- ``replay``: while the journal is read back, after the row *when*.
- ``query``: the first time the read side is asked for the trades of the user *when*, on the event loop.
- ``signal``: at the next SIGUSR2, one after the other; *when* is the name of the actor's thread in which it happens.

*what*: ``kill`` (SIGKILL, of the own process), ``raise`` (``JournalUnavailable``), ``exit`` (``SystemExit``),
``sleep=S`` (blocks this thread for so long). Each goes off once in a process. At a signal there is only ``exit``.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from actors.ports import History, Journal
from perps.journal import Entry, JournalUnavailable, Row
from web.compose import ServeSettings, Stores, serve

VARIABLE: Final = "PERPS_FAULTS"
PLACES: Final = ("before_commit", "after_commit", "replay", "query", "signal")


@dataclass
class Point:
    """One armed fault."""

    where: str
    what: str
    when: str
    is_spent: bool = False

    @classmethod
    def parse(cls, text: str) -> Point:
        """``where:what:when``. Raises ``ValueError``."""
        where, what, when = text.split(":", 2)
        if where not in PLACES or what.partition("=")[0] not in ("kill", "raise", "exit", "sleep"):
            raise ValueError(f"{VARIABLE}: {text}")
        return cls(where, what, when)

    def go_off(self) -> None:
        """Do it, if it has not been done."""
        if self.is_spent:
            return
        self.is_spent = True
        what, _, seconds = self.what.partition("=")
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "raise":
            raise JournalUnavailable(f"a fault {self.where} at {self.when}")
        elif what == "exit":
            sys.exit(f"a fault {self.where} at {self.when}")
        else:
            time.sleep(float(seconds))


class Faults:
    """What is armed."""

    def __init__(self, text: str) -> None:
        self._points = [Point.parse(part) for part in text.split(",") if part]

    def reach(self, where: str, *seen: str | None) -> None:
        """A place is reached, where these are seen."""
        for point in self._points:
            if point.where == where and point.when in seen:
                point.go_off()

    def watch_signals(self) -> None:
        """From now on each SIGUSR2 ends the thread of the next actor named, at whatever line it stands."""
        names = [point.when for point in self._points if point.where == "signal"]
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})  # here and in every thread to come
        threading.Thread(target=_end_threads, args=(names,), daemon=True).start()


def _end_threads(names: list[str]) -> None:
    for name in names:
        signal.sigwait({signal.SIGUSR2})
        found = [thread for thread in threading.enumerate() if thread.name == name]
        for thread in found[-1:]:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))


class FaultyJournal:
    """A journal with two places to go wrong."""

    def __init__(self, journal: Journal, faults: Faults) -> None:
        self._journal, self._faults = journal, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def append(self, entries: Sequence[Entry]) -> None:
        """As the journal's."""
        ids = [entry.row.client_order_id for entry in entries]
        self._faults.reach("before_commit", *ids)
        self._journal.append(entries)
        self._faults.reach("after_commit", *ids)


class FaultyHistory:
    """A history that goes wrong at a row."""

    def __init__(self, history: History, faults: Faults) -> None:
        self._history, self._faults = history, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._history, name)

    def rows(self, after: int = 0) -> Iterator[Row]:
        """As the history's."""
        for row in self._history.rows(after):
            yield row
            self._faults.reach("replay", str(row.offset))


class FaultyQueries:
    """A read side that goes wrong at a user's trades."""

    def __init__(self, queries: Any, faults: Faults) -> None:
        self._queries, self._faults = queries, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queries, name)

    async def fills(self, *, user: str | None = None, **more: Any) -> Any:
        """As the read side's."""
        self._faults.reach("query", user)
        return await self._queries.fills(user=user, **more)


def faulty(faults: Faults, stores: Stores) -> Stores:
    """The stores of ``perps serve``, wrapped."""
    open_journal = stores.open_journal
    return replace(
        stores,
        open_journal=lambda: FaultyJournal(open_journal(), faults),
        history=FaultyHistory(stores.history, faults),
        queries=FaultyQueries(stores.queries, faults),
    )


def main() -> int:
    """The options of ``perps serve`` that tests use."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--database-url")
    told = parser.parse_args()
    settings = ServeSettings(
        host="127.0.0.1",
        port=told.port,
        data_dir=told.data_dir,
        database_url=told.database_url,
        admin_key=os.environ["PERPS_ADMIN_KEY"],
    )
    faults = Faults(os.environ.get(VARIABLE, ""))
    faults.watch_signals()
    return serve(settings, wrap=partial(faulty, faults))


if __name__ == "__main__":
    sys.exit(main())
