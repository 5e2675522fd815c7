"""Limits of time in tests: they hold, and give way on a slow machine only."""

from __future__ import annotations

import asyncio

import pytest

from tests.support import slowness


@pytest.fixture
def slower(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many times slower as the test's parameter says."""
    monkeypatch.setattr(slowness, "slowness", lambda: request.param)


@pytest.mark.parametrize("slower", [1.0, 2.0], indirect=True)
async def test_what_never_ends_is_ended(slower: None) -> None:
    with pytest.raises(TimeoutError):
        async with slowness.soon(0.01):
            await asyncio.Event().wait()


async def test_what_ends_late_on_a_slow_machine_is_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def measured() -> float:
        loop.call_soon_threadsafe(ended.set)
        return 1e6

    monkeypatch.setattr(slowness, "slowness", measured)
    async with slowness.soon(0.01):
        await ended.wait()
        for _ in range(20):  # the loop's turns in which it would be ended
            await asyncio.to_thread(int)
