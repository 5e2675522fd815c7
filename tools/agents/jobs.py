"""What the run and its workers tell each other: one JSON value a line."""

from __future__ import annotations

from msgspec import Struct, field

from perps.agents.desk import Waits


class SeatPlan(Struct, frozen=True):
    """One agent."""

    number: int
    user: str
    key: str
    strategy: str
    ticker: str


class Job(Struct, frozen=True):
    """What a worker is to do: the first line of its input. It works until its input ends."""

    url: str
    transport: str
    seed: int
    seats: list[SeatPlan]
    size: float
    leverage: int
    pace: float
    decisions: int | None
    patience_s: float
    close_on_exit: bool


class AgentReport(Struct):
    """How one agent does."""

    user: str
    strategy: str
    ticker: str
    state: str = "waiting"
    """``waiting`` ``trading`` ``ended`` ``crashed``."""
    problem: str = ""
    decisions: int = 0
    trades: int = 0
    liquidations: int = 0
    refusals: dict[str, int] = {}
    """By code."""
    lost: int = 0
    """Commands without a verdict."""
    equity: float = 0.0
    gain: float = 0.0
    waits: Waits = field(default_factory=Waits)


class Report(Struct, frozen=True):
    """All agents of a worker."""

    agents: list[AgentReport]
