"""Blocking work that the end of the process does not wait for.

By hand because ``asyncio.to_thread`` keeps its threads in a pool, which the interpreter waits for without limit: a
venue that is stopped while its database is away would not end before a take-over's 120 s are over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(name: str, function: Callable[[], T]) -> T:
    """Like ``asyncio.to_thread``, in a thread of its own that may be left behind.

    When nobody waits any more, the result is dropped: ``function`` must clean up by itself.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(future)
