"""Prints the figures and the machine they were measured on: as a table, Markdown or JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tools.output import show_table

PGBENCH: Final = ("postgres", "pgbench TPC-B-like")
INSERT: Final = ("postgres", "one client, one-row INSERT")
MILLION: Final = ("domain", "price update, 1,000,000 positions")
THOUSAND: Final = ("domain", "price update, 1,000 positions")
TRIGGERS_MILLION: Final = ("domain", "price update, 100,000 triggers, 1,000,000 positions")
TRIGGERS_THOUSAND: Final = ("domain", "price update, 1,000 triggers, 1,000 positions")
HTTP_64: Final = ("http", "opens, 64 in flight")
EMPTY_64: Final = ("http", "empty handler, 64 in flight")
AGENTS: Final = ("channel", "opens, 4 × 64, 256 in flight")
HTTP: Final = ("channel", "HTTP opens, 256 in flight")
ONE_AGENT: Final = ("channel", "opens, 1 × 1, 1 in flight")
ONE_HTTP: Final = ("channel", "HTTP opens, 1 in flight")

BESIDE_NOBODY: Final = ("beside", "an open beside nobody")
PAGE_OF_FEW: Final = ("beside", "a page of 10 positions, of a user with few")
PAGE_OF_MANY: Final = ("beside", "a page of 10 positions, of a user with many")

COLUMNS = ("part", "what", "result", "p50", "p99", "note")


@dataclass(frozen=True)
class Figure:
    """One measured number. ``unit`` belongs to ``value``; the percentiles have their own."""

    part: str
    name: str
    value: float
    unit: str
    p50: float | None = None
    p99: float | None = None
    percentile_unit: str = "ms"
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """As a row under ``COLUMNS``."""
        p50, p99 = (
            "" if share is None else f"{_figures(share)} {self.percentile_unit}" for share in (self.p50, self.p99)
        )
        return self.part, self.name, f"{_figures(self.value)} {self.unit}", p50, p99, self.note


RATIOS: Final = (
    ("opens in the process, 256 in flight / pgbench", ("engine", "opens, 256 in flight"), PGBENCH, "goal: ≥ 4.5"),
    ("opens over HTTP, 64 in flight / pgbench", HTTP_64, PGBENCH, "goal: ≥ 1.2; with PGO ≥ 1.4"),
    ("opens over HTTP / empty handler, 64 in flight", HTTP_64, EMPTY_64, "goal: ≥ 0.4"),
    ("opens over the channel / over HTTP, 256 in flight", AGENTS, HTTP, "goal: ≥ 2.5"),
    ("opens over the channel, 256 in flight / pgbench", AGENTS, PGBENCH, "goal: ≥ 2"),
    ("one open's wait over the channel / over HTTP (p50)", ONE_AGENT, ONE_HTTP, "goal: ≤ 0.8"),
    ("one open's wait / one INSERT's wait (p50)", ("engine", "opens, 1 in flight"), INSERT, "goal: ≤ 2.6"),
    ("price update, 1,000,000 / 1,000 positions", MILLION, THOUSAND, "goal: ≤ 1.5"),
    ("the same with 100,000 / 1,000 triggers", TRIGGERS_MILLION, TRIGGERS_THOUSAND, "goal: ≤ 1.5"),
    *(
        (f"{name} / beside nobody (p99)", ("beside", name), BESIDE_NOBODY, goal)
        for name, goal in (
            ("an open beside 32 readers of the list of markets", "goal: ≤ 2"),
            ("an open beside 500 readers of all markets' stream", ""),
            ("an open beside 1,000 readers of all markets' stream", ""),
            ("an open beside 16 readers of /metrics", ""),
            ("an open beside 1,000 opens of one key", ""),
        )
    ),
    ("a page of 10 positions, of a user with many / with few (p50)", PAGE_OF_MANY, PAGE_OF_FEW, "goal: ≤ 2"),
)
"""What is compared with what, and the goal. Waits are compared if the name says p50 or p99."""


def ratios(found: Sequence[Figure]) -> Iterator[Figure]:
    """This run's figures divided by its yardsticks: these stay comparable on a noisy machine."""
    by_name = {(figure.part, figure.name): figure for figure in found}
    for name, above, below, goal in RATIOS:
        one, other = by_name.get(above), by_name.get(below)
        if one is None or other is None:
            continue
        if "p99" in name:
            first, second = one.p99, other.p99
        else:
            first, second = (one.p50, other.p50) if "p50" in name else (one.value, other.value)
        if first and second:
            yield Figure("ratio", name, first / second, "×", note=goal)


def machine(directory: Path, postgres: str) -> Mapping[str, str]:
    """The machine that was measured. ``directory``: where the database's files are."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{pages / 2**30:.0f} GiB",
        "disk": _file_system(directory),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()} ({interpreter()})",
        "postgresql": postgres,
    }


def show(found: Sequence[Figure], about: Mapping[str, str], form: str) -> None:
    """Print the figures: ``table``, ``markdown`` or ``json``."""
    if form == "json":
        print(json.dumps({"machine": dict(about), "figures": [asdict(figure) for figure in found]}, indent=2))
        return
    described = " · ".join(f"{name}: {value}" for name, value in about.items())
    rows = [figure.cells() for figure in found]
    if form == "markdown":
        lines = [f"Measured on {described}.", "", _markdown_row(COLUMNS), "|---|---|--:|--:|--:|---|"]
        print("\n".join([*lines, *map(_markdown_row, rows)]))
        return
    print(described)
    show_table(COLUMNS, rows)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _figures(value: float) -> str:
    """Three significant figures, no exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def interpreter() -> str:
    """How this Python was built. One optimised by profile (PGO) needs a tenth less time for an open."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    built = [name for option, name in (("--enable-optimizations", "PGO"), ("--with-lto", "LTO")) if option in options]
    return " and ".join(built) or "built without PGO"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _file_system(directory: Path) -> str:
    """The type of the file system. On tmpfs a commit costs nothing, so that the figures say nothing."""
    command = ["df", "--output=fstype", str(directory)]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    except OSError:
        listed = []
    return listed[-1] if listed else "unknown"
