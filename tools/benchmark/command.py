"""``perps bench``: the command, and the parts of the benchmark."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click

from tools.settings import SettingsCommand, database_url_option_else, json_option

if TYPE_CHECKING:
    from tools.benchmark.report import Figure


PART_NAMES: Final = ("postgres", "engine", "http", "channel", "beside", "domain", "recovery")


@dataclass(frozen=True)
class Setting:
    """What every part of the benchmark gets."""

    directory: Path
    """Only for this run; the database's files are here too."""
    server_url: str
    client: str
    is_quick: bool
    tell: Callable[[str], None]

    @property
    def run(self) -> str:
        """The beginning of the names of this run's databases."""
        return f"perps_bench_{os.getpid()}"


@click.command(cls=SettingsCommand)
@click.option("--quick", is_flag=True, help="Measure only briefly, to see that it works.")
@click.option(
    "--only",
    "parts",
    type=click.Choice(PART_NAMES),
    multiple=True,
    help="Measure only this part; repeat it for more.  [default: all]",
)
@click.option(
    "--client",
    type=click.Choice(["auto", "wrk", "lean"]),
    default="auto",
    show_default=True,
    help="The program that sends HTTP requests: wrk, or our own (lean). auto: wrk if it is installed.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to put the database; choose the disk of the real one.  [default: a temporary directory]",
)
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@database_url_option_else("a temporary server of its own")
@json_option
def bench(
    quick: bool,
    parts: tuple[str, ...],
    client: str,
    directory: Path | None,
    markdown: bool,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Measure this machine: commits, orders over HTTP, price updates.

    Each figure comes with a yardstick, such as what PostgreSQL does alone. The benchmark makes its own databases and
    drops them at the end: on a temporary server, or on the server at --database-url. Your data is not touched.
    """
    from tools.benchmark import postgres
    from tools.benchmark.report import machine, ratios, show

    if markdown and as_json:
        raise click.UsageError("give --json or --markdown, not both")
    chosen = parts or tuple(PARTS)
    if client == "auto":
        client = "wrk" if shutil.which("wrk") else "lean"
    elif client == "wrk" and not shutil.which("wrk"):
        raise click.UsageError("wrk is not installed: install it, or use --client lean")
    found: list[Figure] = []
    with _work_directory(directory) as place, postgres.server(place, database_url) as server_url:
        about = machine(place, postgres.version(server_url))
        setting = Setting(place, server_url, client, quick, _tell)
        for part in chosen:
            found.extend(PARTS[part](setting))
    found.extend(ratios(found))
    show(found, about, "json" if as_json else "markdown" if markdown else "table")


def _postgres(setting: Setting) -> Iterator[Figure]:
    from tools.benchmark import postgres

    seconds = 1 if setting.is_quick else 5
    with postgres.database(setting.server_url, f"{setting.run}_pgbench") as url:
        setting.tell("pgbench")
        yield postgres.tpc_b(url, scale=1 if setting.is_quick else 10, seconds=seconds)
        yield postgres.commit_latency(url, setting.directory, seconds=seconds)


def _engine(setting: Setting) -> Iterator[Figure]:
    from tools.benchmark import engine, postgres

    seconds = 1.0 if setting.is_quick else 5.0
    with postgres.database(setting.server_url, f"{setting.run}_engine") as url:
        yield from engine.figures(url, setting.directory, seconds, setting.tell)


def _http(setting: Setting) -> Iterator[Figure]:
    from tools.benchmark import postgres
    from tools.benchmark.http import HttpBench

    with postgres.database(setting.server_url, f"{setting.run}_venue") as url:
        http = HttpBench(setting.directory, url, setting.client, seconds=1.0 if setting.is_quick else 5.0)
        yield from http.figures(setting.tell)


def _channel(setting: Setting) -> Iterator[Figure]:
    from tools.benchmark import postgres
    from tools.benchmark.http import HttpBench

    with postgres.database(setting.server_url, f"{setting.run}_channel") as url:
        http = HttpBench(setting.directory, url, setting.client, seconds=1.0 if setting.is_quick else 5.0)
        yield from http.channel(setting.tell)


def _beside(setting: Setting) -> Iterator[Figure]:
    from tools.benchmark import postgres
    from tools.benchmark.beside import BesideBench

    seconds, markets, positions = (1.0, 50, 500) if setting.is_quick else (5.0, 1_000, 10_000)
    with postgres.database(setting.server_url, f"{setting.run}_beside") as url:
        beside = BesideBench(setting.directory, url, seconds, markets, positions)
        yield from beside.figures(setting.tell)


def _domain(setting: Setting) -> Iterator[Figure]:
    from tools.benchmark import trailing
    from tools.benchmark.prices import POSITIONS, figures
    from tools.output import progress

    counts = POSITIONS[:2] if setting.is_quick else POSITIONS
    with progress("opening positions", counts[-1]) as report:
        yield from figures(counts, lambda count: report(count, f"{count:,}"))
        yield from trailing.figures((counts[0], counts[-1]), lambda count: report(count, f"{count:,}"))


def _recovery(setting: Setting) -> Iterator[Figure]:
    from tools.benchmark import postgres, recovery

    rows, positions = (20_000, 2_000) if setting.is_quick else (1_000_000, 100_000)
    with postgres.database(setting.server_url, f"{setting.run}_recovery") as url:
        yield from recovery.figures(url, setting.directory, rows, positions, setting.tell)


PARTS: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {
    "postgres": _postgres,
    "engine": _engine,
    "http": _http,
    "channel": _channel,
    "beside": _beside,
    "domain": _domain,
    "recovery": _recovery,
}
"""What can be measured, in this order."""


@contextlib.contextmanager
def _work_directory(parent: Path | None) -> Iterator[Path]:
    """A directory for this run, removed at the end. Others may enter it: root's PostgreSQL runs as another user."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="perps-bench-", dir=parent) as name:
        os.chmod(name, 0o755)
        yield Path(name).resolve()


def _tell(doing: str) -> None:
    print(f"measuring: {doing}", file=sys.stderr, flush=True)
