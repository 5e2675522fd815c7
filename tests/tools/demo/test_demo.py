"""The demo: made once however often it starts, moving, calm about refusals, and gone when it is told to stop."""

import asyncio
import stat
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import pytest

from perps.client import Venue
from perps.client.requests import request_of
from perps.market.listing import check_params
from perps.wire.base import decoder
from perps.wire.listing import MarketBody
from perps.wire.markets import LIST_MARKET
from tests.tools.conftest import Running
from tests.tools.fake_venue import ADMIN_KEY
from tools.benchmark.http import MARKET, TICKERS
from tools.demo.demo import run_demo
from tools.demo.setup import AGENTS, MARKETS, PEOPLE, prepare
from web.api.bodies.commands import list_command

PACE = 40.0


class Demo:
    """A demo beside a fake venue."""

    def __init__(self, running: Running, data_dir: Path) -> None:
        self.venue = running.venue
        self.people: list[Mapping[str, str]] = []
        self._stop = asyncio.Event()
        work = run_demo(running.url, ADMIN_KEY, self._stop, data_dir=data_dir, ready=self.people.append, pace=PACE)
        self._task = asyncio.create_task(work)

    async def until_it_trades(self) -> None:
        venue, seen = self.venue, self.venue.seen.copy()
        await venue.until(
            lambda: all(
                venue.seen[name] - seen[name] >= count for name, count in (("open", 8), ("close", 3), ("price", 8))
            )
        )

    async def stop(self) -> None:
        self._stop.set()
        await asyncio.wait_for(self._task, 3)


@pytest.mark.parametrize("parameters", [*MARKETS, {"ticker": TICKERS[0], **MARKET}], ids=lambda p: str(p["ticker"]))
def test_the_sample_markets_keep_the_listing_rules(parameters: Mapping[str, object]) -> None:
    command = list_command(decoder(MarketBody).decode(request_of(LIST_MARKET, parameters).body or b""))
    assert check_params(command.params, command.price) is None


async def test_a_demo_lists_markets_makes_users_moves_prices_and_trades(running: Running, tmp_path: Path) -> None:
    demo = Demo(running, tmp_path)
    await demo.until_it_trades()
    await demo.stop()
    venue = running.venue
    assert list(venue.markets) == [market["ticker"] for market in MARKETS]
    assert set(venue.users) == {plan.user for plan in AGENTS} | set(PEOPLE)
    assert {price["ticker"] for price in venue.prices} >= {"BTC-PERP", "ETH-PERP"}
    (people,) = demo.people
    assert {venue.keys[key]: person for person, key in people.items()} == {person: person for person in PEOPLE}


async def test_a_second_start_makes_nothing_twice_and_has_the_same_keys(running: Running, tmp_path: Path) -> None:
    people = []
    for _ in range(2):
        demo = Demo(running, tmp_path)
        await demo.until_it_trades()
        await demo.stop()
        people += demo.people
    assert people[0] == people[1]
    assert list(people[0]) == list(PEOPLE)
    assert len(running.venue.users) == len(AGENTS) + len(PEOPLE)


async def test_a_second_start_asks_for_nothing_that_would_be_refused(running: Running, tmp_path: Path) -> None:
    async with Venue(running.url, ADMIN_KEY) as admin:
        await prepare(admin, tmp_path)
        made = {name: running.venue.seen[name] for name in ("create_market", "create_user", "create_key")}
        await prepare(admin, tmp_path)
    assert {name: running.venue.seen[name] for name in made} == made
    assert len(running.venue.markets) == len(MARKETS)


@pytest.mark.parametrize("kept", [None, b"", b"a-key-of-another-venue", b"two\nlines", b"\xff"])
async def test_a_key_that_the_venue_does_not_accept_is_made_again(
    running: Running, tmp_path: Path, kept: bytes | None
) -> None:
    file = tmp_path / "alice.key"
    if kept is not None:
        await asyncio.to_thread(file.write_bytes, kept)
        await asyncio.to_thread(file.chmod, 0o644)
    async with Venue(running.url, ADMIN_KEY) as admin:
        people = await prepare(admin, tmp_path)
    assert running.venue.keys[people["alice"]] == "alice"
    assert await asyncio.to_thread(file.read_text) == people["alice"] + "\n"
    assert stat.S_IMODE((await asyncio.to_thread(file.stat)).st_mode) == 0o600


async def test_keys_are_told_once_when_all_agents_have_begun(running: Running, tmp_path: Path) -> None:
    seen: list[int] = []
    stop = asyncio.Event()

    def ready(_: Mapping[str, str]) -> None:
        seen.append(running.venue.seen["create_key"])
        stop.set()

    await asyncio.wait_for(run_demo(running.url, ADMIN_KEY, stop, data_dir=tmp_path, ready=ready, pace=PACE), 10)
    assert seen == [len(AGENTS) + len(PEOPLE)]


async def test_a_demo_waits_for_a_venue_that_is_not_ready_for_it(running: Running, tmp_path: Path) -> None:
    running.venue.refusals["create_market"] = deque([(500, "internal_error")] * 2)
    demo = Demo(running, tmp_path)
    await demo.until_it_trades()
    await demo.stop()


async def test_a_feed_that_fails_begins_again_while_the_others_go_on(running: Running, tmp_path: Path) -> None:
    running.venue.refusals["price"] = deque([(400, "validation_error")] * 4)
    demo = Demo(running, tmp_path)
    await demo.until_it_trades()
    await demo.stop()


async def test_an_agent_whose_key_has_ended_asks_for_another(running: Running, tmp_path: Path) -> None:
    demo = Demo(running, tmp_path)
    await demo.until_it_trades()
    keys = running.venue.keys
    for key in [key for key, user in keys.items() if user is not None]:
        del keys[key]
    await demo.until_it_trades()
    await demo.stop()


async def test_a_demo_stops_while_it_is_being_made(running: Running, tmp_path: Path) -> None:
    running.venue.refusals["create_market"] = deque([(503, "overloaded")] * 1000)
    running.venue.retry_after = "5"
    demo = Demo(running, tmp_path)
    await running.venue.until(lambda: running.venue.seen["create_market"] > 0)
    await demo.stop()


async def test_an_agent_without_money_is_topped_up(running: Running, tmp_path: Path) -> None:
    running.venue.refusals["open"] = deque([(422, "insufficient_funds")])
    demo = Demo(running, tmp_path)
    await demo.until_it_trades()
    await demo.stop()
    assert running.venue.seen["deposit"] == 1
