"""docs/strategies.md says what is there, and its strategy works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import rich_click as click

from perps.agents.catalogue import EXAMPLES, strategy_of
from perps.agents.strategy import Strategy
from perps.agents.views import MarketView
from tests.agents.scene import Scene
from tools.agents.command import run_agents

DOCS = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text(encoding="utf-8")
GENERAL = {"--config", "--help", "--key", "--url", "--data-dir"}
OPTIONS = [
    option
    for parameter in run_agents.params
    if isinstance(parameter, click.Option)
    for option in parameter.opts
    if option not in GENERAL
]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_documented(option: str) -> None:
    assert f"`{option}`" in DOCS


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_documented(name: str) -> None:
    assert f"| `{name}` |" in DOCS


def test_what_a_strategy_has_is_there() -> None:
    strategy = Scene(strategy_of("noise")).trader.strategy
    named = set(re.findall(r"`self\.(\w+)", DOCS))
    assert named
    assert all(hasattr(strategy, name) for name in named)
    (line,) = [line for line in DOCS.splitlines() if line.startswith("| `self.market` |")]
    assert all(hasattr(strategy.market, name) for name in re.findall(r"`(\w+)`", line))
    assert set(MarketView.__dataclass_fields__) <= set(re.findall(r"`(\w+)`", line)) | {
        "ticker",
        "tick_size",
    }


async def test_the_strategy_of_the_page_trades(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    names: dict[str, type[Strategy]] = {}
    exec(code, names)
    scene = Scene(names["Contrarian"])
    scene.price(10_000, quote=10_020)
    assert [values["side"] for _, values in await scene.decide()] == ["short"]
    scene.price(10_000, quote=10_000)
    assert [name for name, _ in await scene.decide()] == ["closePosition"]
