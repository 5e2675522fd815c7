"""Equity curves of a run as a picture. matplotlib draws them; it is an extra that not everybody installs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Final

from tools.agents.board import Board
from tools.errors import ToolError

SUFFIXES: Final = (".png", ".svg", ".pdf")


def check_plot(file: Path) -> None:
    """Errors: ToolError if there will be no picture; better before the run than after it."""
    if find_spec("matplotlib") is None:
        raise ToolError("--plot needs matplotlib, which is not installed: pip install matplotlib, or perps[plot]")
    if file.suffix.lower() not in SUFFIXES:
        raise ToolError(f"{file}: a picture's name ends with {', '.join(SUFFIXES)}")
    if not file.parent.is_dir():
        raise ToolError(f"{file}: there is no directory {file.parent}")


def plot(board: Board, file: Path) -> None:
    """Each agent's gain over time as a thin line, each strategy's mean as a thick one. Errors: ToolError."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.add_subplot()
    times = [at for at, _ in board.samples]
    members: dict[str, list[str]] = {}
    for one in board.agents.values():
        members.setdefault(one.strategy, []).append(one.user)
    for number, (strategy, users) in enumerate(members.items()):
        colour = f"C{number % 10}"
        for user in users:
            axes.plot(times, [gains[user] for _, gains in board.samples], color=colour, alpha=0.25, linewidth=0.7)
        means = [fmean(gains[user] for user in users) for _, gains in board.samples]
        axes.plot(times, means, color=colour, linewidth=2, label=f"{strategy} ({len(users)})")
    axes.axhline(0, color="grey", linewidth=0.7)
    axes.set(xlabel="seconds", ylabel="gain, USD", title=f"Agents, seed {board.seed}")
    axes.legend(loc="upper left")
    try:
        figure.savefig(file)
    except OSError as error:
        raise ToolError(f"{file}: {error.strerror or error}") from error
