"""How a run is shown: a live table on a terminal, elsewhere a line now and then; both on stderr. Then a summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from perps.agents.desk import Waits
from tools.agents.board import Board, Group
from tools.output import counted, fitting, hidden_note, printable, show_line, show_table

if TYPE_CHECKING:
    from rich.console import Group as RichGroup

LINE_EVERY_S: Final = 10.0
AGENTS_SHOWN: Final = 16
"""A live table has a row for each agent, if there are no more."""
CODES_SHOWN: Final = 5
COLUMNS: Final = ("equity", "gain", "decisions", "trades", "liquidated", "refused", "lost", "p50", "p99")

LESS: Final = ("trading", "state", "lost", "decisions", "liquidated", "p50", "refused", "trades", "p99")
"""Columns that a narrow terminal does not show: which goes first comes first."""

Tell = Callable[[Board], None]


@contextmanager
def showing() -> Iterator[Tell]:
    """Show a board while it changes."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
        yield lambda board: live.update(_live_table(board, live.console.width), refresh=True)


def show_summary(board: Board) -> None:
    """Each strategy's figures on stdout, and what went wrong on stderr."""
    groups = board.groups()
    rows = [(group.strategy, str(group.agents), *_figures(group)) for group in groups]
    if len(groups) > 1:
        total = board.total()
        rows.append(("all", str(total.agents), *_figures(total)))
    show_table(("strategy", "agents", *COLUMNS), rows, less=LESS[2:])
    if codes := _codes(board.total()):
        show_line(codes)
    for problem, users in board.problems().items():
        named = ", ".join(users[:3]) + (f" and {len(users) - 3} more" if len(users) > 3 else "")
        for number, line in enumerate(problem.splitlines()):
            show_line(f"{named}: {line}" if number == 0 else f"    {line}", err=True)


class _Lines:
    """A line every few seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, board: Board) -> None:
        if time.monotonic() - self._said < LINE_EVERY_S:
            return
        self._said = time.monotonic()
        total = board.total()
        show_line(
            f"{board.elapsed_s:.0f} s: {total.trading} of {counted(total.agents, 'agent')} trade, equity"
            f" {total.equity:,.2f} ({total.gain:+,.2f}), {counted(total.trades, 'trade')}, "
            f"{counted(sum(total.refusals.values()), 'refusal')}, p50 {_wait(total.waits, 0.5)}",
            err=True,
        )


def _live_table(board: Board, width: int) -> RichGroup:
    from rich.box import SIMPLE
    from rich.console import Group as RichGroup
    from rich.table import Table
    from rich.text import Text

    is_each, total = len(board.agents) <= AGENTS_SHOWN, board.total()
    columns = ("agent", "market", "state", *COLUMNS) if is_each else ("strategy", "agents", "trading", *COLUMNS)
    rows: list[tuple[str, ...]] = []
    if is_each:
        for one in board.agents.values():
            group = Group(one.strategy)
            group.add(one)
            rows.append((printable(one.user), one.ticker, one.state, *_figures(group)))
    else:
        for group in board.groups():
            rows.append((printable(group.strategy), str(group.agents), str(group.trading), *_figures(group)))
    rows.append(("all", str(total.agents), str(total.trading), *_figures(total)))
    kept = fitting(columns, rows, [name for name in LESS if name in columns], width)
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for at in kept:
        table.add_column(columns[at], justify="right" if columns[at] in COLUMNS else "left", no_wrap=True)
    for row in rows:
        if row is rows[-1]:
            table.add_section()
        table.add_row(*(Text(row[at]) for at in kept))
    lines = [f"seed {board.seed}, {board.elapsed_s:.0f} s; Ctrl-C ends it", _codes(total)]
    lines += [hidden_note(columns, rows, kept)] if len(kept) < len(columns) else []
    head, *tail = (Text(line, no_wrap=True, overflow="ellipsis") for line in lines if line)
    return RichGroup(head, table, *tail)


def _figures(group: Group) -> tuple[str, ...]:
    return (
        f"{group.equity:,.2f}",
        f"{group.gain:+,.2f}",
        str(group.decisions),
        str(group.trades),
        str(group.liquidations),
        str(sum(group.refusals.values())),
        str(group.lost),
        _wait(group.waits, 0.5),
        _wait(group.waits, 0.99),
    )


def _wait(waits: Waits, share: float) -> str:
    found = waits.percentile(share)
    return "-" if found is None else f"{found:.0f} ms" if found >= 10 else f"{found:.1f} ms"


def _codes(group: Group) -> str:
    """The refusals that came most often."""
    found = [f"{code} {count}" for code, count in group.refusals.most_common(CODES_SHOWN)]
    return "refused: " + ", ".join(found) if found else ""
