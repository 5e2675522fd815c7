"""A world that runs: made once however often it starts, moving, calm about refusals, gone when it is told to stop."""

import asyncio
import stat
from collections import deque
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from perps.client import Venue
from tests.tools.conftest import Running
from tests.tools.fake_venue import ADMIN_KEY
from tools.worlds.agents import users_of
from tools.worlds.feeds import timed
from tools.worlds.places import WorldError
from tools.worlds.reading import PACKAGED, path_of, read_world
from tools.worlds.run import applied, run_world
from tools.worlds.stories import read_stories
from tools.worlds.world import Stories, World

PACE = 40.0
DEMO = read_world(path_of("demo"))
AGENTS = list(users_of(DEMO))
PEOPLE = [user.user_id for user in DEMO.users]


class Demo:
    """A demo beside a fake venue."""

    def __init__(self, running: Running, data_dir: Path) -> None:
        self.venue = running.venue
        self.people: list[Mapping[str, str]] = []
        self._stop = asyncio.Event()
        ready = self.people.append
        work = run_world(running.url, ADMIN_KEY, self._stop, DEMO, keys_in=data_dir, ready=ready, pace=PACE)
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


async def test_a_demo_lists_markets_makes_users_moves_prices_and_trades(running: Running, tmp_path: Path) -> None:
    demo = Demo(running, tmp_path)
    await demo.until_it_trades()
    await demo.stop()
    venue = running.venue
    assert list(venue.markets) == DEMO.tickers
    assert set(venue.users) == {*AGENTS, *PEOPLE}
    assert {price["ticker"] for price in venue.prices} >= {"BTC-PERP", "ETH-PERP"}
    (people,) = demo.people
    assert {person: venue.keys[key] for person, key in people.items()} == {f"{name}.key": name for name in PEOPLE}


async def test_a_second_start_makes_nothing_twice_and_has_the_same_keys(running: Running, tmp_path: Path) -> None:
    people = []
    for _ in range(2):
        demo = Demo(running, tmp_path)
        await demo.until_it_trades()
        await demo.stop()
        people += demo.people
    assert people[0] == people[1]
    assert list(people[0]) == [f"{name}.key" for name in PEOPLE]
    assert len(running.venue.users) == len(AGENTS) + len(PEOPLE)


async def test_a_second_start_asks_for_nothing_that_would_be_refused(running: Running, tmp_path: Path) -> None:
    async with Venue(running.url, ADMIN_KEY) as admin:
        await applied(admin, DEMO, tmp_path)
        made = {name: running.venue.seen[name] for name in ("create_market", "create_user", "create_key")}
        await applied(admin, DEMO, tmp_path)
    assert {name: running.venue.seen[name] for name in made} == made
    assert len(running.venue.markets) == len(DEMO.markets)


@pytest.mark.parametrize("kept", [None, b"", b"a-key-of-another-venue", b"two\nlines", b"\xff"])
async def test_a_key_that_the_venue_does_not_accept_is_made_again(
    running: Running, tmp_path: Path, kept: bytes | None
) -> None:
    file = tmp_path / "alice.key"
    if kept is not None:
        await asyncio.to_thread(file.write_bytes, kept)
        await asyncio.to_thread(file.chmod, 0o644)
    async with Venue(running.url, ADMIN_KEY) as admin:
        people = await applied(admin, DEMO, tmp_path)
    assert running.venue.keys[people["alice.key"]] == "alice"
    assert await asyncio.to_thread(file.read_text) == people["alice.key"] + "\n"
    assert stat.S_IMODE((await asyncio.to_thread(file.stat)).st_mode) == 0o600


async def test_keys_are_told_once_when_all_agents_have_begun(running: Running, tmp_path: Path) -> None:
    seen: list[int] = []
    stop = asyncio.Event()

    def ready(_: Mapping[str, str]) -> None:
        seen.append(running.venue.seen["create_key"])
        stop.set()

    work = run_world(running.url, ADMIN_KEY, stop, DEMO, keys_in=tmp_path, ready=ready, pace=PACE)
    await asyncio.wait_for(work, 10)
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


async def test_a_world_that_can_never_be_ends_with_its_error(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        raise WorldError("NOVA is something else")

    monkeypatch.setattr("tools.worlds.run.plan", never)
    work = run_world(running.url, ADMIN_KEY, asyncio.Event(), DEMO, keys_in=tmp_path, ready=lambda _: None, pace=PACE)
    with pytest.raises(WorldError, match="NOVA is something else"):
        await asyncio.wait_for(work, 3)
    assert running.venue.seen["open"] == 0


async def test_a_demo_stops_while_it_is_being_made(running: Running, tmp_path: Path) -> None:
    running.venue.refusals["create_market"] = deque([(503, "overloaded")] * 1000)
    running.venue.retry_after = "5"
    demo = Demo(running, tmp_path)
    await running.venue.until(lambda: running.venue.seen["create_market"] > 0)
    await demo.stop()


async def test_an_agent_without_money_is_topped_up(running: Running, tmp_path: Path) -> None:
    running.venue.refusals["open"] = deque([(422, "insufficient_funds")])
    paid = running.venue.seen["deposit"] + len(users_of(DEMO)) + len(PEOPLE)
    demo = Demo(running, tmp_path)
    await demo.until_it_trades()
    await demo.stop()
    assert running.venue.seen["deposit"] == paid + 1


MINE = """
from perps.agents import Strategy


class Raises(Strategy):
    async def decide(self):
        raise KeyError("no such thing")


class Buyer(Strategy):
    async def decide(self):
        await self.enter("long")
"""
OWN = """
[[markets]]
ticker = "NOVA"
price = 100
preset = "game"
[[agents]]
strategy = "mine.py:Raises"
[[agents]]
strategy = "mine.py:Buyer"
count = 2
size = 70
leverage = 2
seed = 7
pause = 0.5
"""


async def test_a_strategy_from_a_file_beside_the_world_trades_and_one_that_raises_ends_alone(
    running: Running, tmp_path: Path
) -> None:
    def write() -> World:
        (tmp_path / "mine.py").write_text(MINE)
        (tmp_path / "world.toml").write_text(OWN)
        return read_world(tmp_path / "world.toml")

    world, stop = await asyncio.to_thread(write), asyncio.Event()
    work = run_world(running.url, ADMIN_KEY, stop, world, keys_in=tmp_path, ready=lambda _: None, pace=PACE)
    task = asyncio.create_task(work)
    venue = running.venue
    await venue.until(lambda: venue.seen["open"] >= 6)
    stop.set()
    await asyncio.wait_for(task, 3)
    assert set(venue.users) == {"agent-raises-1", "agent-buyer-1", "agent-buyer-2"}
    assert {key for key in venue.keys.values() if key} == {"agent-raises-1", "agent-buyer-1", "agent-buyer-2"}
    assert venue.seen["create_key"] == 3, "an agent that has ended asks for no key again"


STORIES = """\
at,ticker,change,reason
0,NOVA,0.1,first
2,NOVA,-0.1,second
"""
WORLD = """\
[[markets]]
ticker = "NOVA"
price = 100
preset = "game"
[[markets]]
ticker = "BTC"
price = 100
[[feeds]]
kind = "stories"
file = "stories.csv"
[[feeds]]
kind = "file"
market = "BTC"
file = "prices.csv"
repeat = true
"""


async def test_stories_come_at_their_time_once_and_a_file_of_prices_again_and_again(
    running: Running, tmp_path: Path
) -> None:
    def write() -> World:
        (tmp_path / "stories.csv").write_text(STORIES)
        (tmp_path / "prices.csv").write_text("time,price\n1700000000,101\n1700000060,102\n")
        (tmp_path / "world.toml").write_text(WORLD)
        return read_world(tmp_path / "world.toml")

    world, stop, begun = await asyncio.to_thread(write), asyncio.Event(), asyncio.Event()
    work = run_world(running.url, ADMIN_KEY, stop, world, keys_in=tmp_path, ready=lambda _: begun.set(), pace=PACE)
    task = asyncio.create_task(work)
    venue = running.venue
    await venue.until(lambda: len(venue.prices) >= 8)
    stop.set()
    await asyncio.wait_for(task, 3)
    told = [(price["change"], price["reason"], price["source"]) for price in venue.prices if price["ticker"] == "NOVA"]
    assert told == [("0.1", "first", "event"), ("-0.1", "second", "event")]
    played = [price["price"] for price in venue.prices if price["ticker"] == "BTC"]
    assert played[:4] == ["101.00", "102.00"] * 2
    assert begun.is_set(), "a world without agents is ready at once"


async def test_live_prices_come_from_an_address(running: Running, tmp_path: Path) -> None:
    async def price(_: web.Request) -> web.Response:
        return web.json_response({"data": {"price": "123.45"}})

    app = web.Application()
    app.router.add_get("/price", price)

    def write(url: str) -> World:
        listing = '[[markets]]\nticker = "BTC"\nprice = 100\n'
        feed = f'[[feeds]]\nkind = "http"\nmarket = "BTC"\nurls = ["{url}"]\njson_path = "$.data.price"\n'
        (tmp_path / "world.toml").write_text(listing + feed)
        return read_world(tmp_path / "world.toml")

    async with TestServer(app) as source:
        world, stop = await asyncio.to_thread(write, str(source.make_url("/price"))), asyncio.Event()
        work = run_world(running.url, ADMIN_KEY, stop, world, keys_in=tmp_path, ready=lambda _: None, pace=PACE)
        task = asyncio.create_task(work)
        await running.venue.until(lambda: bool(running.venue.prices))
        stop.set()
        await asyncio.wait_for(task, 3)
    assert running.venue.prices[0]["price"] == "123.45"


def test_a_round_of_stories_in_any_order_has_each_once() -> None:
    stories = read_stories(PACKAGED / "demo-stories.csv")
    asked = Stories(file="demo-stories.csv", every=[15, 45])
    for _ in range(2):
        told = list(islice(timed(stories, asked), 2 * len(stories)))
        assert {story for _, story in told[: len(stories)]} == set(stories)
        assert {story for _, story in told[len(stories) :]} == set(stories)
        assert all(15 <= wait <= 45 for wait, _ in told)


def test_stories_that_repeat_begin_again_a_minute_after_the_last() -> None:
    stories = read_stories(PACKAGED / "game-stories.csv")
    told = list(islice(timed(stories, Stories(file="game-stories.csv", repeat=True)), 2 * len(stories)))
    assert [story for _, story in told] == stories * 2
    assert [wait for wait, _ in told[:2]] == [10, 12]
    assert told[len(stories)][0] == 60 + 10
    assert list(timed(stories, Stories(file="game-stories.csv")))[-1][1] == stories[-1]
