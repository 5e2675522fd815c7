"""A world's file: what it may say, and one line about each mistake, with its place and what was expected."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tools.errors import ToolError
from tools.worlds.agents import agents_of, users_of
from tools.worlds.places import WorldError
from tools.worlds.reading import PACKAGED, path_of, read_world
from tools.worlds.stories import read_stories

MARKET = """\
[[markets]]
ticker = "NOVA"
price = 120
preset = "game"
"""


def the_error(tmp_path: Path, text: str) -> str:
    """What is said about a file, without its folder."""
    file = tmp_path / "my.toml"
    file.write_text(text)
    with pytest.raises(WorldError) as caught:
        read_world(file)
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize("name", sorted(file.stem for file in PACKAGED.glob("*.toml")))
def test_the_worlds_that_come_with_perps_are_right_and_have_their_names(name: str) -> None:
    world = read_world(path_of(name))
    assert world.name == name
    assert world.markets
    assert world.agents


def test_the_game_has_twenty_organisations_fifty_agents_and_stories_that_take_each_price_back() -> None:
    world = read_world(path_of("game"))
    stories = read_stories(PACKAGED / "game-stories.csv")
    assert (len(world.tickers), len(users_of(world))) == (20, 50)
    assert {plan.ticker for plan in agents_of(world)} == set(world.tickers)
    assert {story.ticker for story in stories} == set(world.tickers)
    for ticker in world.tickers:
        assert sum(story.change for story in stories if story.ticker == ticker) == 0


def test_an_organisation_behind_the_last_one_has_agents_too(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    added = '\n[[markets]]\nticker = "HERO"\nprice = 10\npreset = "game"\n'
    mine.write_text((PACKAGED / "game.toml").read_text() + added)
    (tmp_path / "game-stories.csv").write_text((PACKAGED / "game-stories.csv").read_text())
    agents = Counter(plan.ticker for plan in agents_of(read_world(mine)))
    assert set(agents.values()) == {2, 3}, "50 agents on 21 markets"
    assert agents["HERO"] == 2


def test_there_are_three_worlds_and_no_other_name() -> None:
    with pytest.raises(WorldError, match="there is no file gane; the worlds that come with perps are: crypto, demo, g"):
        path_of("gane")


def test_names_with_hyphens_are_the_same_as_with_underscores(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(MARKET + "max-leverage = 2\n")
    assert read_world(file).markets[0].given["max_leverage"] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            MARKET + "max_skw = 5",
            "my.toml:5: [[markets]] 1, max_skw: there is no key 'max_skw'; did you mean 'max_skew",
        ),
        (
            MARKET + "maxSkew = 5",
            "my.toml:5: [[markets]] 1, maxSkew: there is no key 'maxSkew'; did you mean 'max_skew",
        ),
        ("market = 1\n", "my.toml:1: market: there is no key 'market'; did you mean 'markets'?"),
        ("markets = 1\n", "my.toml:1: markets: write [[markets]], with its keys below it"),
        ('name = "My World"\n', "my.toml:1: name: must be 1 to 16 small letters, digits and -, such as game"),
        (MARKET + MARKET, "my.toml:6: [[markets]] 2, ticker: NOVA is there twice"),
        ('[[markets]]\nticker = "A"\n', "my.toml:1: [[markets]] 1, price: is missing"),
        (
            MARKET.replace("120", '"a lot"'),
            'my.toml:3: [[markets]] 1, price: must be a decimal number, such as 12.5 or "12.5"',
        ),
        (
            MARKET.replace('"game"', '"gam"'),
            "my.toml:4: [[markets]] 1, preset: must be one of crypto, game, volatile",
        ),
        (
            MARKET + '[[feeds]]\nkind = "rss"\n',
            "my.toml:6: [[feeds]] 1, kind: must be one of process, file, http, stories",
        ),
        (
            MARKET + '[[feeds]]\nkind = "http"\nmarket = "NOVA"\nurls = ["ftp://x"]\njson_path = "$.p"\n',
            "my.toml:8: [[feeds]] 1, urls: 'ftp://x' is not a URL that begins with http:// or https://",
        ),
        (
            MARKET + '[[feeds]]\nkind = "http"\nmarket = "NOVA"\nurls = ["http://x"]\njson_path = "$.["\n',
            "my.toml:9: [[feeds]] 1, json_path: '$.[' is not a JSONPath, such as $.data.price ",
        ),
        (
            MARKET + '[[feeds]]\nkind = "process"\nmarkets = ["NOVE"]\n',
            "my.toml:7: [[feeds]] 1, markets: there is no market of this file 'NOVE'; did you mean 'NOVA'?",
        ),
        (
            MARKET + '[[feeds]]\nkind = "process"\nmarkets = ["NOVA"]\nvolatility = "wild"\n',
            "my.toml:8: [[feeds]] 1, volatility: must be a number above 0, at most 0.05",
        ),
        (
            MARKET + '[[feeds]]\nkind = "stories"\nfile = "s.csv"\n',
            "my.toml:7: [[feeds]] 1, file: there is no file s.csv; a path begins at the folder of this file",
        ),
        (
            MARKET + '[[agents]]\nstrategy = "nois"\n',
            "my.toml:6: [[agents]] 1, strategy: there is no strategy 'nois'. Name one of noise, momentum, ",
        ),
        (
            MARKET + '[[agents]]\nstrategy = "mine.py:Mine"\n',
            "my.toml:6: [[agents]] 1, strategy: there is no file mine.py",
        ),
        (
            MARKET + '[[agents]]\nstrategy = "noise"\ncount = 0\n',
            "my.toml:7: [[agents]] 1, count: must be a whole number from 1 to 1000",
        ),
        (
            '[[users]]\nuser_id = "agent-noise-1"\n' + MARKET + '[[agents]]\nstrategy = "noise"\n',
            "my.toml:2: [[users]] 1, user_id: agent-noise-1 is the name of an agent",
        ),
        (
            '[[keys]]\nfile = "k.key"\nscopes = ["trade"]\n',
            "my.toml:3: [[keys]] 1, scopes: a key with the scope trade needs a user_id",
        ),
        *(
            (
                f'[[keys]]\nfile = "{name}"\nscopes = ["read"]\n',
                f"my.toml:2: [[keys]] 1, file: '{name}' is no name for it: letters, digits, . _ - and then .key,",
            )
            for name in ("../ann.key", "/home/ann/.bashrc", "a/ann.key", ".key", "ann", "admin.key", "Admin.key")
        ),
        ("name = \n", "my.toml: it is not TOML: "),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    assert the_error(tmp_path, text).startswith(said)


def test_a_price_file_that_cannot_be_read_is_a_mistake_of_the_world(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("time,price\n0,101\n60,102\n")
    said = the_error(tmp_path, MARKET + '[[feeds]]\nkind = "file"\nmarket = "NOVA"\nfile = "prices.csv"\n')
    assert said.startswith("my.toml:8: [[feeds]] 1, file: prices.csv line 2, column time: 0 is 1970-01-01T00:00:00Z")


def test_a_cap_that_is_too_large_is_told_with_the_largest_that_fits_and_how_far_the_price_can_then_go(
    tmp_path: Path,
) -> None:
    said = the_error(tmp_path, MARKET + "max_open_interest = 1000\n")
    assert said.startswith(
        "my.toml:5: [[markets]] 1, max_open_interest: NOVA: max_open_interest = 1000 does not fit. Rul"
    )
    assert "2 × maxOpenInterest ≤ maintenanceRate × (skewScale - maxOpenInterest)" in said
    largest = re.search(r"The largest max_open_interest that fits, all else as it is, is ([\d.]+)\.", said)
    assert said.endswith("With that max_open_interest trading can move the price by 7.6922892 %.")
    assert largest is not None
    file = tmp_path / "my.toml"
    file.write_text(MARKET + f"max_open_interest = {largest[1]}\n")
    assert read_world(file).tickers == ["NOVA"]


def test_leverage_that_no_cap_fits_is_the_field_to_change(tmp_path: Path) -> None:
    said = the_error(tmp_path, MARKET + "max_leverage = 100\n")
    assert said.startswith("my.toml:5: [[markets]] 1, max_leverage: NOVA: max_leverage = 100 does not fit.")
    assert said.endswith("No cap fits, all else as it is: lower max_leverage or the fees.")


def test_agents_share_out_the_markets_in_turn(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(
        MARKET
        + MARKET.replace("NOVA", "ORBIT")
        + '[[agents]]\nstrategy = "noise"\ncount = 3\n[[agents]]\nstrategy = "noise"\nmarkets = ["ORBIT"]\n'
    )
    assert [(plan.user, plan.ticker) for plan in agents_of(read_world(file))] == [
        ("agent-noise-1", "NOVA"),
        ("agent-noise-2", "ORBIT"),
        ("agent-noise-3", "NOVA"),
        ("agent-noise-4", "ORBIT"),
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "s.csv: it has no stories"),
        ("1,NOVA\n", "s.csv:2: it needs 4 columns; put a reason with a comma between quotes"),
        ("1,NOVA,0.1,war, peace\n", "s.csv:2: it needs 4 columns"),
        ("soon,NOVA,0.1,war\n", "s.csv:2: at: 'soon' is not a time; write seconds, or 1:30, or 2:00:00"),
        ("1,NOVA,10%,war\n", "s.csv:2: change: '10%' is not a fraction; 0.03 is 3 % up, -0.03 is down"),
        ("1,NOVA,0,war\n", "s.csv:2: change: '0' is not a fraction"),
        ("1,NOVA,0.1,\n", "s.csv:2: reason: write 1 to 256 characters"),
        ("9,NOVA,0.1,war\n1,NOVA,0.1,peace\n", "s.csv:3: at: it is earlier than the story above; sort the file"),
        ("1,NOVE,0.1,war\n", "s.csv:2: ticker: there is no market of "),
    ],
)
def test_a_mistake_in_a_story_names_its_line(tmp_path: Path, rows: str, said: str) -> None:
    (tmp_path / "s.csv").write_text("at,ticker,change,reason\n" + rows)
    file = tmp_path / "my.toml"
    file.write_text(MARKET + '[[feeds]]\nkind = "stories"\nfile = "s.csv"\n')
    with pytest.raises(ToolError) as caught:
        read_world(file)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(said)


def test_the_time_of_a_story_is_seconds_minutes_or_hours(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("at,ticker,change,reason\n1.5,A,0.1,a\n1:30,A,0.1,b\n2:00:05,A,0.1,c\n")
    assert [story.at_s for story in read_stories(tmp_path / "s.csv")] == [1.5, 90, 7205]
