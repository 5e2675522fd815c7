"""A strategy by what somebody typed: the name of an example, ``FILE.py:Class`` or ``module:Class``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from perps.agents.strategy import Strategy
from perps.agents.trader import brief

EXAMPLES: Final = {
    "noise": "perps.agents.strategies.noise:Noise",
    "momentum": "perps.agents.strategies.momentum:Momentum",
    "reversion": "perps.agents.strategies.reversion:Reversion",
    "trend": "perps.agents.strategies.trend:Trend",
    "arbitrage": "perps.agents.strategies.arbitrage:Arbitrage",
    "hunter": "perps.agents.strategies.hunter:Hunter",
    "news": "perps.agents.strategies.news:News",
    "hedger": "perps.agents.strategies.hedger:Hedger",
}
"""The strategies that come with perps, by the name to type."""


class NoStrategy(Exception):
    """What was typed is no strategy; the text says why, and what would be one."""


def strategy_of(text: str) -> type[Strategy]:
    """The strategy's class. Errors: NoStrategy."""
    if ":" not in text and text not in EXAMPLES:
        raise NoStrategy(
            f"there is no strategy {text!r}. Name one of {', '.join(EXAMPLES)}, or a class of yours: FILE.py:Class"
        )
    place, _, name = EXAMPLES.get(text, text).rpartition(":")
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    found = getattr(module, name, None)
    if found is None:
        known = sorted(key for key, value in vars(module).items() if _is_strategy(value))
        instead = f"It has: {', '.join(known)}" if known else "It has no class that extends perps.agents.Strategy"
        raise NoStrategy(f"{place} has no class {name!r}. {instead}")
    if not _is_strategy(found):
        raise NoStrategy(f"{name} in {place} is no strategy: write class {name}(perps.agents.Strategy)")
    kind: type[Strategy] = found
    if kind.decide is Strategy.decide:
        raise NoStrategy(f"{name} in {place} decides nothing: give it a method async def decide(self)")
    return kind


def short_name(text: str) -> str:
    """What users of this strategy are called: ``Mine`` of ``my.py:Mine`` is ``mine``."""
    return text.rpartition(":")[2].lower().replace("_", "-")


def _is_strategy(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise NoStrategy(f"there is no file {path}")
    name = f"perps_strategy_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise NoStrategy(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise NoStrategy(f"{path} cannot be imported: {brief(error)}") from error
    return module


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise NoStrategy(f"the module {name} cannot be imported: {brief(error)}") from error
