"""A program's coroutine, from its first line to its last: without a traceback for what a person can see and mend."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import TypeVar

from perps.client.errors import VenueError

INTERRUPTED = 130
"""The exit code of a program that ctrl-C ends."""

T = TypeVar("T")


def run(main: Coroutine[object, object, T]) -> T:
    """As ``asyncio.run``. The program ends with 130 at ctrl-C, and at a ``VenueError`` with 1 and what it says."""
    try:
        return asyncio.run(main)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except VenueError as error:
        sys.exit(str(error))
