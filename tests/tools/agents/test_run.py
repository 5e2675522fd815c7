"""A run of agents on a venue: users, keys and trades like anybody's, and an end whatever happens."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import rich_click as click

from perps.agents.desk import Desk
from perps.agents.line import TRANSPORTS
from perps.agents.views import Account
from perps.client import Venue
from perps.client.requests import Request
from perps.client.sending import Reply, Sender
from perps.wire.trading import Opened
from tests.support.slowness import soon
from tests.web.venue import ADMIN_KEY, OnMemory, Running, start
from tools.agents.board import Board
from tools.agents.command import run_agents
from tools.agents.run import run
from tools.agents.settings import RunSettings
from tools.errors import ToolError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

STRATEGIES = """
import os
import time

from perps.agents import Strategy


class Buyer(Strategy):
    every_s = 0.05

    async def decide(self):
        print("a strategy may print")
        if not self.is_full:
            await self.enter("long" if self.random.random() < 0.5 else "short")


class Raises(Strategy):
    every_s = 0.05

    async def decide(self):
        raise KeyError("no such thing")


class Dies(Strategy):
    every_s = 0.05

    async def decide(self):
        os._exit(3)


class Hangs(Strategy):
    every_s = 0.05

    async def decide(self):
        time.sleep(1000)
"""


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue on memory with two markets."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session)
        await running.market(price="10000")
        await running.market("ETH-PERP", price="3000")
        yield running
        await running.venue.close()


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """A file of strategies."""
    file = tmp_path / "mine.py"
    file.write_text(STRATEGIES)
    return str(file)


def settings(venue: Running, *strategies: str, **given: Any) -> RunSettings:
    """A short run."""
    usual = {"count": 2, "seed": 7, "decisions": 4, "pace": 10.0, "patience_s": 20.0}
    return RunSettings(url=venue.url, strategies=strategies, **{**usual, **given})


async def run_on(venue: Running, chosen: RunSettings, stop: asyncio.Event | None = None) -> Board:
    """Let it run to its end."""
    async with Venue(venue.url, ADMIN_KEY) as admin, soon(60):
        return await run(admin, chosen, stop or asyncio.Event())


def keys_in(folder: Path) -> dict[str, str]:
    """Every key that is kept, by the file's name."""
    return {file.name: file.read_text() for file in folder.iterdir()}


async def trades_of(venue: Running, user: str) -> list[tuple[str, str, str]]:
    """What somebody did, oldest first."""
    async with Venue(venue.url, ADMIN_KEY) as admin:
        found = [(trade.kind.value, trade.ticker, trade.side.value) async for trade in admin.list_user_trades(user)]
    return found[::-1]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_agents_are_users_with_keys_and_journalled_trades(
    venue: Running, mine: str, tmp_path: Path, transport: str
) -> None:
    board = await run_on(venue, settings(venue, f"{mine}:Buyer", "noise", count=4, processes=2, transport=transport))
    assert list(board.agents) == ["agent-buyer-1", "agent-noise-2", "agent-buyer-3", "agent-noise-4"]
    assert [one.ticker for one in board.agents.values()] == ["BTC-PERP"] * 2 + ["ETH-PERP"] * 2
    assert board.problems() == {}
    assert all((one.state, one.decisions) == ("ended", 4) for one in board.agents.values())
    for user in ("agent-buyer-1", "agent-buyer-3"):
        assert board.agents[user].trades == len(await trades_of(venue, user)) == 3
    file = tmp_path / "agent-keys" / "agent-buyer-1.key"
    assert stat.S_IMODE((await asyncio.to_thread(file.stat)).st_mode) == 0o600
    key = (await asyncio.to_thread(file.read_text)).strip()
    async with Venue(venue.url, key) as buyer:
        balance = await buyer.get_balance("me")
        assert balance.total_deposited == "10000.00"
        open_now = [one async for one in buyer.list_positions("me")]
    worth = float(balance.total) + sum(float(one.margin) + float(one.unrealized_pnl) for one in open_now)
    assert board.agents["agent-buyer-1"].equity == pytest.approx(worth, abs=0.01)
    assert board.agents["agent-buyer-1"].gain == pytest.approx(worth - 10_000, abs=0.01)


async def test_agents_on_a_websocket_send_no_order_over_http(
    venue: Running, mine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    over_http: list[str] = []
    real = Sender.once

    async def once(self: Sender, request: Request) -> Reply:
        over_http.append(request.target)
        return await real(self, request)

    monkeypatch.setattr(Sender, "once", once)
    key = (await venue.user("ann")).key
    seen: dict[str, list[str]] = {}
    for transport in TRANSPORTS:
        over_http.clear()
        async with TRANSPORTS[transport](venue.url, key, retry_s=10) as line:
            desk = Desk(line, Account())
            opened = await desk.open("BTC-PERP", "long", "100", 2)
            assert isinstance(opened, Opened)
            await desk.close(opened.position.id)
        seen[transport] = over_http.copy()
    assert len(seen["http"]) == 2, "what is counted counts"
    assert seen["websocket"] == []


def test_every_transport_can_be_chosen() -> None:
    (option,) = [one for one in run_agents.params if one.name == "transport"]
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(TRANSPORTS)


async def test_a_second_run_has_the_same_users_and_keys(venue: Running, mine: str, tmp_path: Path) -> None:
    chosen = settings(venue, f"{mine}:Buyer", decisions=1)
    await run_on(venue, chosen)
    keys = await asyncio.to_thread(keys_in, tmp_path / "agent-keys")
    await run_on(venue, chosen)
    assert await asyncio.to_thread(keys_in, tmp_path / "agent-keys") == keys
    async with Venue(venue.url, ADMIN_KEY) as admin:
        assert len([user async for user in admin.list_users()]) == 2
        assert len([key async for key in admin.list_keys()]) == 2


async def test_key_files_of_another_venue_are_replaced_however_many_there_are(
    venue: Running, mine: str, tmp_path: Path
) -> None:
    chosen = settings(venue, f"{mine}:Buyer", count=30, decisions=1)
    folder = tmp_path / "agent-keys"
    await asyncio.to_thread(folder.mkdir)
    for number in range(30):
        await asyncio.to_thread((folder / f"{chosen.user(number)}.key").write_text, "a-key-of-another-venue")
    board = await run_on(venue, chosen)
    assert board.problems() == {}
    assert board.total().trades == 30


async def test_a_seed_repeats_what_agents_do_where_they_see_the_same(mine: str) -> None:
    told = []
    for seed in (7, 7, 8):
        async with aiohttp.ClientSession() as session:
            running = await start(OnMemory(), session)
            await running.market(price="10000")
            chosen = settings(running, f"{mine}:Buyer", count=4, seed=seed, name=f"seed{seed}")
            board = await run_on(running, chosen)
            told.append([await trades_of(running, user) for user in board.agents])
            await running.venue.close()
    assert told[0] == told[1] != told[2]


async def test_a_strategy_that_raises_is_told_in_brief_and_the_others_go_on(venue: Running, mine: str) -> None:
    board = await run_on(venue, settings(venue, f"{mine}:Raises", f"{mine}:Buyer"))
    raises, buyer = board.agents.values()
    assert (raises.state, buyer.state) == ("crashed", "ended")
    assert buyer.trades == 3
    ((problem, users),) = board.problems().items()
    assert users == ["agent-raises-1"]
    assert problem == "mine.py:21 in decide: raise KeyError(\"no such thing\")\nKeyError: 'no such thing'"
    assert board.total().crashed == 1


async def test_a_process_that_dies_concerns_its_own_agents_alone(venue: Running, mine: str) -> None:
    board = await run_on(venue, settings(venue, f"{mine}:Dies", f"{mine}:Buyer", processes=2))
    dies, buyer = board.agents.values()
    assert (dies.state, dies.problem) == ("crashed", "its process ended with 3")
    assert (buyer.state, buyer.trades) == ("ended", 3)


async def test_a_strategy_that_never_returns_is_ended_with_its_process(
    venue: Running, mine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.agents.run.END_S", 0.5)
    board = await run_on(venue, settings(venue, f"{mine}:Hangs", count=1, seconds=1.0))
    (hangs,) = board.agents.values()
    assert (hangs.state, hangs.problem) == ("crashed", "its process did not end in time")


async def test_a_stop_ends_the_run_and_closes_what_is_open_if_asked(venue: Running, mine: str) -> None:
    stop = asyncio.Event()
    chosen = settings(venue, f"{mine}:Buyer", decisions=None, close_on_exit=True)
    running = asyncio.create_task(run_on(venue, chosen, stop))
    async with Venue(venue.url, ADMIN_KEY) as admin:
        async for row in admin.stream(["BTC-PERP"]):
            if any(event.name == "trade" for event in row.events):
                break
        stop.set()
        board = await running
        assert board.problems() == {}
        for user, one in board.agents.items():
            balance = await admin.get_balance(user)
            assert [found.id async for found in admin.list_positions(user)] == []
            assert one.equity == pytest.approx(float(balance.total))


@pytest.mark.parametrize(
    ("strategy", "given", "problem"),
    [
        ("nosie", {}, "there is no strategy 'nosie'"),
        ("nix.py:Mine", {}, "there is no file nix.py"),
        ("noise", {"tickers": ("DOGE",)}, "there is no market DOGE. The venue has: BTC-PERP, ETH-PERP"),
    ],
)
async def test_what_cannot_run_is_refused_before_any_user_is_made(
    venue: Running, strategy: str, given: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ToolError, match=problem):
        await run_on(venue, settings(venue, strategy, **given))
    async with Venue(venue.url, ADMIN_KEY) as admin:
        assert [user async for user in admin.list_users()] == []
