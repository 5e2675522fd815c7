"""What a run of agents is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from perps.agents.catalogue import short_name
from perps.agents.line import DEFAULT_TRANSPORT

PER_PROCESS: Final = 25
"""Agents that one worker process has, as long as there are processors."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """A run. The strategies and the markets are dealt out in turn, so each gets about the same number of agents."""

    url: str
    strategies: tuple[str, ...]
    """Each the name of an example, ``FILE.py:Class`` or ``module:Class``."""
    count: int = 8
    seed: int = 0
    """Decides all chance of all agents."""
    tickers: tuple[str, ...] = ()
    """The markets to trade in; none: all that are enabled."""
    size: float = 500.0
    """USD of notional that an open usually takes."""
    leverage: int = 5
    deposit: str = "10000"
    """USD that a new user gets."""
    name: str = "agent"
    """What the users' names begin with."""
    keys_dir: Path = Path("agent-keys")
    """Where each user's key is kept, for its owner alone to read."""
    processes: int = 1
    decisions: int | None = None
    """After so many decisions an agent ends."""
    seconds: float | None = None
    """After so long the run ends."""
    pace: float = 1.0
    """How much faster than usual the agents decide."""
    patience_s: float = 300.0
    """How long a command is sent again, always with its client order id, while the venue gives no verdict."""
    close_on_exit: bool = False
    """At the end cancel all orders and close all positions."""
    transport: str = DEFAULT_TRANSPORT

    def user(self, number: int) -> str:
        """What agent ``number`` is called, from 0 on."""
        return f"{self.name}-{short_name(self.strategy(number))}-{number + 1}"

    def strategy(self, number: int) -> str:
        """What decides for agent ``number``."""
        return self.strategies[number % len(self.strategies)]

    def ticker(self, number: int, tickers: tuple[str, ...]) -> str:
        """Where agent ``number`` trades."""
        return tickers[number // len(self.strategies) % len(tickers)]
