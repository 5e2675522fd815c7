"""A detector of blocking calls on the event loop that a test runs on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvloop
from blockbuster import BlockBuster


@contextmanager
def loop_never_blocks() -> Iterator[None]:
    """No blocking call on the main thread's event loop: no lock, no sleep, no file. It raises where one happens."""
    detector = BlockBuster()
    for function in detector.functions.values():
        function.can_block_predicate = _or_elsewhere(function.can_block_predicate)
    # asyncpg looks for ~/.pgpass whenever it connects: one stat of a file that is not there.
    detector.functions["os.stat"].can_block_in("asyncpg/connect_utils.py", "_read_password_file")
    detector.activate()
    try:
        yield
    finally:
        detector.deactivate()


def _or_elsewhere(allowed: Callable[..., bool]) -> Callable[..., bool]:
    """Other threads may block, and other loops, as the journal's connection has one: uvloop's, never a test's."""

    def may_block(*args: object, **kwargs: object) -> bool:
        if threading.current_thread() is not threading.main_thread() or allowed(*args, **kwargs):
            return True
        return isinstance(asyncio.get_running_loop(), uvloop.Loop)

    return may_block
