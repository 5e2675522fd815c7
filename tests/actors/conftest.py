"""The event loop never blocks while a core runs on it."""

from collections.abc import Iterator

import pytest

from tests.support.blocking import loop_never_blocks


@pytest.fixture(autouse=True)
def the_loop_never_blocks() -> Iterator[None]:
    """A pykka wait would be a lock wait."""
    with loop_never_blocks():
        yield
