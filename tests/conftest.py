"""What holds for every test: no actor outlives it, the loop never blocks, nothing is logged where nobody reads."""

import gc
import logging
import os
from collections.abc import Generator, Iterator, MutableMapping
from inspect import iscoroutinefunction
from pathlib import PurePath
from typing import Any

import pykka
import pytest
import structlog
from hypothesis import settings

from tests.support.blocking import loop_never_blocks
from tests.support.clusters import cluster
from tests.support.postgres import at_last

__all__ = ["at_last", "cluster"]

Event = MutableMapping[str, Any]

NO_CERTIFICATES = dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR"), "")
"""Nothing here speaks TLS. Whoever loads aiohttp reads all certificates of the system, a fifth of a program's start."""
os.environ |= NO_CERTIFICATES

# An example may wait for the processor, as others run beside it. What hangs is ended by the time limit of its test.
settings.register_profile("perps", deadline=None)
settings.load_profile("perps")

STOPPING_S = 5.0
NICENESS = 3
"""Of tests beside those that are timed."""
SHARED = 3
"""How many times longer than alone a test may take in one of several processes."""


OTHER_PROCESSES = {"endtoend", "faults"}
"""Where the product runs in processes of its own, and the loop here is only the test's, which may wait."""
UNTIMED = {
    "test_agents.py",
    "test_data.py",
    "test_first_minute.py",
    "test_kill_9.py",
    "test_real_market.py",
    "test_table.py",
}
"""Files there that measure no time: whatever else runs, they pass."""


def is_timed(path: PurePath) -> bool:
    """Whether a file's tests say how long things may take, and so run one after another, others giving way to them."""
    return bool(OTHER_PROCESSES.intersection(path.parts)) and path.name not in UNTIMED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """However the processes of pytest are asked for."""
    from tests.support.scheduling import TimedTestsInTurn

    return TimedTestsInTurn(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The tests that are found are no garbage until the end: nobody looks for it meanwhile, nor among them later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that has its processor not for itself may take longer before it counts as hanging. Long ones run first."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    from tests.support.scheduling import longest_first

    longest_first(items)
    usual = float(config.getini("timeout"))
    for item in items:
        stated = item.get_closest_marker("timeout")
        limit_s = stated.args[0] if stated else usual
        item.add_marker(pytest.mark.timeout(limit_s * SHARED), append=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Whatever runs beside those tests gives way to them."""
    if "PYTEST_XDIST_WORKER" in os.environ and not is_timed(item.path):
        os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), NICENESS))


@pytest.fixture(autouse=True)
def the_loop_never_blocks(request: pytest.FixtureRequest) -> Iterator[None]:
    """No blocking call on the event loop that a test shares with the product. A pykka wait would be a lock wait.

    A test that is no coroutine has no such loop; what blocks there has one of its own.
    """
    if OTHER_PROCESSES.intersection(request.path.parts) or not iscoroutinefunction(request.function):
        yield
        return
    with loop_never_blocks():
        yield


@pytest.fixture(autouse=True)
def no_actor_outlives_its_test() -> Iterator[None]:
    """Every actor that a test starts has stopped when it ends; one that is stopping may finish."""
    yield
    left = [ref for ref in pykka.ActorRegistry.get_all() if not ref.actor_stopped.wait(STOPPING_S)]
    pykka.ActorRegistry.stop_all(block=False)
    assert not left, f"actors that outlived the test: {left}"


@pytest.fixture(autouse=True)
def error_lines() -> Iterator[list[Event]]:
    """What the venue logged as an error during the test. Everything below that is dropped."""
    lines: list[Event] = []

    def keep(_: object, __: str, event: Event) -> Event:
        lines.append(event)
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield lines
    structlog.configure(**before)
