"""``perps apply`` on the real venue: it says what it does, does what is missing, and nothing twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from perps.client import Venue
from tests.web.venue import ADMIN_KEY, OnMemory, Running, start
from tools.cli import main
from tools.worlds.places import WorldError
from tools.worlds.plan import plan
from tools.worlds.reading import read_world

WORLD = """\
name = "mine"

[[markets]]
ticker = "NOVA"
price = 120
preset = "game"
max_leverage = 2

[[users]]
user_id = "ben"
deposit = 50.5
referrer = "ann"

[[users]]
user_id = "ann"
deposit = 100

[[keys]]
file = "ann.key"
user_id = "ann"
scopes = ["read", "trade"]

[[agents]]
strategy = "noise"
deposit = 10
"""
STEPS = [
    "list NOVA at 120, game",
    "create the user ann",
    "pay 100 to ann",
    "create the user ben, referred by ann",
    "pay 50.5 to ben",
    "create the user agent-noise-1",
    "pay 10 to agent-noise-1",
    "make a key for ann (read, trade) in keys/ann.key",
]


@pytest.fixture
async def venue() -> AsyncIterator[Running]:
    """A venue on memory, empty."""
    async with aiohttp.ClientSession() as session:
        running = await start(OnMemory(), session)
        yield running
        await running.venue.close()


async def apply(venue: Running, text: str, *flags: str) -> int:
    """The command, on this file, with the keys in the folder ``keys``."""

    def work() -> int:
        Path("mine.toml").write_text(text)
        Path("keys").mkdir(exist_ok=True)
        return main(["apply", "mine.toml", "--keys-in", "keys", "--url", venue.url, "--key", ADMIN_KEY, *flags])

    return await asyncio.to_thread(work)


async def test_a_plan_says_everything_and_changes_nothing(venue: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert await apply(venue, WORLD, "--plan") == 0
    assert capsys.readouterr().out.splitlines() == [f"would {step}" for step in STEPS]
    assert venue.venue.context.model.offset == 0


async def test_applied_twice_it_is_done_once(venue: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert await apply(venue, WORLD) == 0
    offset = venue.venue.context.model.offset
    assert await apply(venue, WORLD) == 0
    first, _, second = capsys.readouterr().out.partition("nothing")
    assert first.splitlines() == STEPS
    assert second == " to change: 1 market, 3 users, 1 key are as the file says\n"
    assert venue.venue.context.model.offset == offset
    async with Venue(venue.url, ADMIN_KEY) as admin:
        users = {user.user_id: user async for user in admin.list_users()}
        assert {name: user.balance for name, user in users.items()} == {
            "ann": "100.00",
            "ben": "50.50",
            "agent-noise-1": "10.00",
        }
        assert users["ben"].referrer == "ann"
    key = await asyncio.to_thread(Path("keys/ann.key").read_text)
    async with Venue(venue.url, key.strip()) as ann:
        assert (await ann.get_me()).user_id == "ann"


async def test_a_larger_deposit_pays_the_difference_and_a_smaller_one_nothing(
    venue: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await apply(venue, WORLD)
    capsys.readouterr()
    await apply(venue, WORLD.replace("deposit = 100", "deposit = 120").replace("50.5", "5"))
    assert capsys.readouterr().out == "pay 20.00 to ann\n"


async def test_two_who_apply_the_same_file_at_once_pay_once(venue: Running, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    await asyncio.to_thread(file.write_text, WORLD)
    world = await asyncio.to_thread(read_world, file)
    async with Venue(venue.url, ADMIN_KEY) as admin:
        plans = [await plan(admin, world, tmp_path) for _ in range(2)]
        for steps in zip(*(made.steps for made in plans), strict=True):
            for step in steps:
                await step.do()
        assert (await admin.get_balance("ann")).balance == "100.00"


async def test_who_is_killed_while_paying_and_begins_again_pays_once(venue: Running, tmp_path: Path) -> None:
    """The second run finds the user and not yet the payment, which the venue gets only then."""
    file = tmp_path / "mine.toml"
    await asyncio.to_thread(file.write_text, WORLD)
    world = await asyncio.to_thread(read_world, file)
    async with Venue(venue.url, ADMIN_KEY) as admin:
        first = {step.text: step for step in (await plan(admin, world, tmp_path)).steps}
        await first["create the user ann"].do()
        second = {step.text: step for step in (await plan(admin, world, tmp_path)).steps}
        assert "create the user ann" not in second
        await first["pay 100 to ann"].do()
        await second["pay 100.00 to ann"].do()
        assert (await admin.get_balance("ann")).balance == "100.00"


async def test_a_parameter_that_has_changed_in_the_file_is_changed(
    venue: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await apply(venue, WORLD)
    capsys.readouterr()
    changed = WORLD.replace("max_leverage = 2", 'max_leverage = 3\nname = "Nova"\nmax_notional_per_user = 500')
    await apply(venue, changed)
    said = capsys.readouterr().out
    assert (
        said
        == "change NOVA: max_leverage from 2 to 3, max_notional_per_user from none to 500, name from NOVA to Nova\n"
    )
    await apply(venue, changed)
    assert capsys.readouterr().out.startswith("nothing to change")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("max_leverage = 2", "tick_size = 1", "mine.toml:7: [[markets]] 1, tick_size: NOVA has 0.001, which"),
        ('referrer = "ann"', 'referrer = "eve"', "mine.toml:12: [[users]] 1, referrer: there is no user eve, neithe"),
        ("deposit = 100\n", 'referrer = "ben"\n', "mine.toml:12: [[users]] 1, referrer: they refer each other in"),
        (
            "max_leverage = 2",
            "max_open_interest = 9000",
            "mine.toml:7: [[markets]] 1, max_open_interest: NOVA: max_open_interest = 9000 does not fit.",
        ),
    ],
)
async def test_what_can_never_be_so_is_refused_before_anything_is_done(
    venue: Running, capsys: pytest.CaptureFixture[str], before: str, after: str, said: str
) -> None:
    await venue.market("NOVA", price="120", preset="game") if "tick" in after else None
    offset = venue.venue.context.model.offset
    assert await apply(venue, WORLD.replace(before, after)) == 1
    assert said in capsys.readouterr().err
    assert venue.venue.context.model.offset == offset


async def test_a_refusal_of_the_venue_itself_names_the_line_too(venue: Running, tmp_path: Path) -> None:
    """Another venue's rules may differ from those of this program."""
    file = tmp_path / "mine.toml"
    await asyncio.to_thread(file.write_text, WORLD)
    world = await asyncio.to_thread(read_world, file)
    world.markets[0].given["max_open_interest"] = 9000  # as if this program had let it pass
    async with Venue(venue.url, ADMIN_KEY) as admin:
        (step, *_) = (await plan(admin, world, tmp_path)).steps
        with pytest.raises(
            WorldError, match=r"mine.toml:3: \[\[markets\]\] 1, max_open_interest: NOVA: .* largest max_open"
        ):
            await step.do()


async def test_for_programs_it_is_json(venue: Running, capsys: pytest.CaptureFixture[str]) -> None:
    await apply(venue, WORLD, "--plan", "--json")
    assert json.loads(capsys.readouterr().out) == {"world": "mine", "isPlan": True, "steps": STEPS}


async def test_a_key_of_less_than_the_file_says_is_made_again(
    venue: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    await apply(venue, WORLD.replace('["read", "trade"]', '["read"]'))
    capsys.readouterr()
    await apply(venue, WORLD)
    assert capsys.readouterr().out == "make a key for ann (read, trade) in keys/ann.key\n"
