"""How all agents of a run do: the newest report of each, sums for each strategy, equity over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from perps.agents.catalogue import short_name
from perps.agents.desk import Waits
from tools.agents.jobs import AgentReport, SeatPlan

SAMPLES_MAX: Final = 2_000
"""Points of equity that are kept of each agent. Beyond that every second one is left out."""


@dataclass
class Group:
    """The agents of one strategy together. Money in USD."""

    strategy: str
    agents: int = 0
    trading: int = 0
    crashed: int = 0
    decisions: int = 0
    trades: int = 0
    liquidations: int = 0
    lost: int = 0
    equity: float = 0.0
    gain: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    waits: Waits = field(default_factory=Waits)

    def add(self, one: AgentReport) -> None:
        """One more agent."""
        self.agents += 1
        self.trading += one.state == "trading"
        self.crashed += one.state == "crashed"
        self.decisions += one.decisions
        self.trades += one.trades
        self.liquidations += one.liquidations
        self.lost += one.lost
        self.equity += one.equity
        self.gain += one.gain
        self.refusals.update(one.refusals)
        self.waits.merge(one.waits)

    def record(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "strategy": self.strategy,
            "agents": self.agents,
            "crashed": self.crashed,
            "decisions": self.decisions,
            "commands": self.waits.total,
            "trades": self.trades,
            "liquidations": self.liquidations,
            "refusals": dict(self.refusals.most_common()),
            "lost": self.lost,
            "equity": f"{self.equity:.2f}",
            "gain": f"{self.gain:.2f}",
            "latencyMs": {"p50": _ms(self.waits, 0.5), "p99": _ms(self.waits, 0.99)},
        }


class Board:
    """The newest figures of a run."""

    def __init__(self, seats: Sequence[SeatPlan], seed: int) -> None:
        self.seed, self.elapsed_s = seed, 0.0
        self.agents = {seat.user: AgentReport(seat.user, short_name(seat.strategy), seat.ticker) for seat in seats}
        self.samples: list[tuple[float, dict[str, float]]] = []
        """Seconds since the begin, and each agent's gain then."""
        self._every_s, self._next_s = 1.0, 0.0

    def take(self, reports: Iterable[AgentReport]) -> None:
        """Newer figures of some agents."""
        self.agents.update((one.user, one) for one in reports)

    def lose(self, users: Iterable[str], problem: str) -> None:
        """The process of these agents is gone."""
        for user in users:
            one = self.agents[user]
            if one.state in ("waiting", "trading"):
                one.state, one.problem = "crashed", problem

    def pass_time(self, elapsed_s: float) -> None:
        """So long after the begin: note each agent's gain, if it is time."""
        self.elapsed_s = elapsed_s
        if elapsed_s < self._next_s:
            return
        self._next_s = elapsed_s + self._every_s
        self.samples.append((elapsed_s, {user: one.gain for user, one in self.agents.items()}))
        if len(self.samples) > SAMPLES_MAX:
            del self.samples[1::2]
            self._every_s *= 2

    def groups(self) -> list[Group]:
        """Each strategy, in the order of the run."""
        found: dict[str, Group] = {}
        for one in self.agents.values():
            found.setdefault(one.strategy, Group(one.strategy)).add(one)
        return list(found.values())

    def total(self) -> Group:
        """All together."""
        total = Group("all")
        for one in self.agents.values():
            total.add(one)
        return total

    def problems(self) -> dict[str, list[str]]:
        """What went wrong, and with whom; the same words once."""
        found: dict[str, list[str]] = {}
        for one in self.agents.values():
            if one.problem:
                found.setdefault(one.problem, []).append(one.user)
        return found

    def record(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "seed": self.seed,
            "seconds": round(self.elapsed_s, 1),
            "total": {name: value for name, value in self.total().record().items() if name != "strategy"},
            "strategies": [group.record() for group in self.groups()],
            "agents": [
                {
                    "userId": one.user,
                    "strategy": one.strategy,
                    "ticker": one.ticker,
                    "state": one.state,
                    "decisions": one.decisions,
                    "trades": one.trades,
                    "equity": f"{one.equity:.2f}",
                    "gain": f"{one.gain:.2f}",
                }
                for one in self.agents.values()
            ],
            "problems": [{"problem": text, "users": users} for text, users in self.problems().items()],
        }


def _ms(waits: Waits, share: float) -> float | None:
    found = waits.percentile(share)
    return None if found is None else round(found, 1)
