"""A strategy that cannot be found is refused in words that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from perps.agents.catalogue import EXAMPLES, NoStrategy, short_name, strategy_of

MINE = """
from perps.agents import Strategy
import beside

class Mine(Strategy):
    async def decide(self) -> None:
        beside.act()

class Idle(Strategy):
    pass

class Other:
    pass
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A user's file, with a module beside it."""
    (tmp_path / "beside.py").write_text("def act() -> None: ...\n")
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "mine.py"


def test_every_example_has_a_name_and_every_file_of_examples_is_one() -> None:
    folder = Path(__file__).parents[2] / "perps" / "agents" / "strategies"
    assert {path.stem for path in folder.glob("[!_]*.py")} == set(EXAMPLES)
    assert all(strategy_of(name) for name in EXAMPLES)


def test_a_file_of_ones_own_may_import_what_lies_beside_it(file: Path) -> None:
    assert strategy_of(f"{file}:Mine").__name__ == "Mine"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nosie", "there is no strategy 'nosie'. Name one of noise, momentum, .* or a class of yours: FILE.py:Class"),
        ("{folder}/nix.py:Mine", "there is no file .*/nix.py"),
        ("{file}:Nope", "has no class 'Nope'. It has: Idle, Mine"),
        ("{file}:Other", "Other in .* is no strategy: write class Other"),
        ("{file}:Idle", "Idle in .* decides nothing: give it a method async def decide"),
        ("no.such.module:Mine", "the module no.such.module cannot be imported: .*No module named 'no'"),
        ("json:Mine", "json has no class 'Mine'. It has no class that extends perps.agents.Strategy"),
    ],
)
def test_what_is_no_strategy_is_refused_in_words_that_help(file: Path, text: str, problem: str) -> None:
    with pytest.raises(NoStrategy, match=f"(?s){problem}"):
        strategy_of(text.format(file=file, folder=file.parent))


def test_a_file_that_cannot_be_imported_says_where(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import math\nmath.sqrt(-1)\n")
    with pytest.raises(NoStrategy, match=r"(?s)bad.py:2 in <module>: math.sqrt\(-1\)\nValueError"):
        strategy_of(f"{tmp_path}/bad.py:Mine")


def test_users_are_called_by_the_class() -> None:
    assert short_name("my/own_file.py:Big_Mover") == "big-mover"
    assert short_name("noise") == "noise"
