"""A port is tried before it is needed, and a free one is found in place of one that is taken."""

from __future__ import annotations

import socket

import pytest

from web import listener
from web.listener import PortTaken, free_port, try_port
from web.process.data_directory import CannotStart


async def test_a_port_that_was_tried_is_free_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as before:
        port = before.getsockname()[1]
        with pytest.raises(PortTaken, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            await try_port("127.0.0.1", port)
        free = await free_port("127.0.0.1", port)
        assert free > port
    for _ in range(2):
        await try_port("127.0.0.1", free)
    socket.create_server(("127.0.0.1", free)).close()


async def test_no_free_port_nearby_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "FREE_PORTS_TRIED", 0)
    assert await free_port("127.0.0.1", 20_000) == 0
    assert await free_port("127.0.0.1", 65_535) == 0


@pytest.mark.parametrize(
    ("host", "why"), [("192.0.2.1", "Cannot assign requested address"), ("a" * 70, "label too long")]
)
async def test_a_host_that_is_not_ours_is_no_port_that_is_taken(host: str, why: str) -> None:
    with pytest.raises(CannotStart, match=why) as refused:
        await try_port(host, 20_000)
    assert not isinstance(refused.value, PortTaken)
