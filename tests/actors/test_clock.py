"""The venue's time never falls behind a durable row, and never stands still."""

from __future__ import annotations

import pytest

from actors.clock import NS_PER_MS, VenueClock
from perps.units import Millis


class System:
    """A system's two clocks, set by hand."""

    def __init__(self) -> None:
        self.wall_ms, self.uptime_ms = 1_000_000, 50_000

    def now_ms(self) -> Millis:
        """What it is told."""
        return Millis(self.wall_ms)

    def monotonic_ns(self) -> int:
        """What has passed."""
        return self.uptime_ms * NS_PER_MS

    def passes(self, ms: int) -> None:
        """Time passes on both."""
        self.wall_ms += ms
        self.uptime_ms += ms


def test_it_is_the_systems_time_while_nobody_sets_that() -> None:
    system = System()
    clock = VenueClock(system)
    for ms in (0, 1, 700, 86_400_000):
        system.passes(ms)
        assert clock.reading() == (system.wall_ms, 0)


@pytest.mark.parametrize("ahead", [1, 7_200_000])
def test_a_clock_that_is_set_back_goes_on_from_where_it_was(ahead: int) -> None:
    system = System()
    clock = VenueClock(system)
    before = clock.now_ms()
    system.wall_ms -= ahead

    assert clock.reading() == (before, ahead)
    system.passes(500)
    assert clock.reading() == (before + 500, ahead), "at the pace of the clock that nobody can set"
    system.wall_ms += ahead + 3
    assert clock.reading() == (system.wall_ms, 0), "and is the system's again when that has caught up"


def test_a_clock_that_is_set_forward_takes_the_venue_along() -> None:
    system = System()
    clock = VenueClock(system)
    system.wall_ms += 7_200_000

    assert clock.reading() == (system.wall_ms, 0)


def test_a_start_begins_after_the_newest_row() -> None:
    system = System()
    clock = VenueClock(system)
    clock.begin_after(Millis(system.wall_ms + 7_200_000))

    assert clock.reading() == (system.wall_ms + 7_200_000, 7_200_000)
    system.passes(60_000)
    assert clock.reading() == (system.wall_ms + 7_200_000, 7_200_000)


def test_a_row_of_the_past_changes_nothing() -> None:
    system = System()
    clock = VenueClock(system)
    clock.begin_after(Millis(system.wall_ms - 1))

    assert clock.reading() == (system.wall_ms, 0)
