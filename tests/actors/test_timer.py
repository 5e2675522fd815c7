"""Each second every market looks for what is due; and the log says when the system's clock is behind."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator
from typing import Any

import pykka
import pytest
import structlog

from actors.clock import VenueClock
from actors.limits import OBSERVATION_MS
from actors.market import MarketActor
from actors.messages import Tick, Wire
from actors.timer import BEHIND_MS, TimerActor, observation
from perps.sequencer import MarketSide, Moment
from perps.units import Millis
from tests.actors.test_clock import System
from tests.actors.venue import open_long, running


class Heard(pykka.ThreadingActor):
    """A supervisor that only listens."""

    use_daemon_thread = True

    def __init__(self, heard: queue.SimpleQueue[Any]) -> None:
        super().__init__()
        self._heard = heard

    def on_receive(self, message: Any) -> None:
        """Keep it."""
        self._heard.put(message)


class Outbox:
    """Nobody to tell."""

    def core_failed(self, reason: str) -> None:
        """The timer must not die."""
        raise AssertionError(reason)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of 10 ms."""
    monkeypatch.setattr("actors.timer.OBSERVATION_MS", 10)


@pytest.fixture
def system() -> System:
    return System()


@pytest.fixture
def heard(quick: None, system: System) -> Iterator[queue.SimpleQueue[Any]]:
    """What a timer tells its supervisor."""
    kept: queue.SimpleQueue[Any] = queue.SimpleQueue()
    supervisor = Heard.start(kept)
    timer = TimerActor.start(VenueClock(system), outbox=Outbox())
    timer.tell(Wire(timer, timer, supervisor, timer))
    yield kept
    timer.stop()
    supervisor.stop()


def test_it_ticks_on_and_on(heard: queue.SimpleQueue[Any]) -> None:
    assert [heard.get(timeout=5) for _ in range(3)] == [Tick()] * 3


def test_a_clock_that_lies_behind_is_said_once_and_again_when_it_has_caught_up(
    heard: queue.SimpleQueue[Any], system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = structlog.testing.CapturingLogger()
    monkeypatch.setattr("actors.timer.log", said)
    for behind in (0, BEHIND_MS + 1, -BEHIND_MS - 1):
        system.wall_ms -= behind
        for _ in range(4):  # it looks at the clock behind each tick
            heard.get(timeout=5)

    assert [call.args for call in said.calls] == [("clock.behind",), ("clock.caught_up",)]
    assert said.calls[0].kwargs["behind_ms"] == BEHIND_MS + 1


async def test_every_market_observes_and_says_nothing_while_nothing_is_due() -> None:
    async with running() as venue:
        await venue.list_market("A")
        await venue.list_market("B")
        await venue.add_user("ann")
        await venue.do(open_long("A", "ann"))
        rows = venue.model.offset
        core = venue.host._core
        assert core is not None
        for _ in range(3):
            core.supervisor.tell(Tick())
        await venue.do(open_long("B", "ann"))

        assert venue.model.offset == rows + 1
        assert venue.host.health == {}


async def test_an_observation_that_is_late_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: queue.SimpleQueue[Millis] = queue.SimpleQueue()

    def run(_: object, __: object, moment: Moment, ___: object) -> tuple[list[object], None]:
        seen.put(moment.now_ms)
        return [], None

    async with running() as venue:
        await venue.list_market("A")
        (market,) = pykka.ActorRegistry.get_by_class(MarketActor)
        monkeypatch.setattr(MarketSide, "run", run)
        now_ms = venue.clock.now_ms()
        market.tell([observation("A", Millis(now_ms - OBSERVATION_MS - 1), 0), observation("A", now_ms, 0)])

        assert await asyncio.to_thread(seen.get, timeout=5) == now_ms
        assert seen.empty()
