"""Blocking work that the end of the process does not wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(name: str, function: Callable[[], T]) -> T:
    """Like ``asyncio.to_thread``, in a thread of its own that may be left behind.

    When nobody waits any more, the result is dropped: ``function`` must clean up by itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[], None]) -> None:
        if not future.done():
            set_it()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            outcome = partial(future.set_exception, error)
        else:
            outcome = partial(future.set_result, result)
        try:
            loop.call_soon_threadsafe(settle, outcome)
        except RuntimeError:  # the loop is closed: nobody waits
            return

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future
