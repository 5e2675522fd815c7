"""A run of agents from its begin to its end. Other programs may call it: it prints nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from perps.agents.catalogue import NoStrategy, strategy_of
from perps.client import Venue
from tools.agents.board import Board
from tools.agents.jobs import Job, Report, SeatPlan
from tools.agents.population import markets_of, populate
from tools.agents.settings import RunSettings
from tools.errors import ToolError

TELL_S: Final = 0.5
REPORT_BYTES_MAX: Final = 16 << 20
END_S: Final = 10.0
"""How long a worker may take to end, and so much longer if it closes positions."""
CLOSING_S: Final = 35.0


async def run(
    admin: Venue, settings: RunSettings, stop: asyncio.Event, tell: Callable[[Board], None] = lambda _: None
) -> Board:
    """Run the agents until ``stop``, until the time is over, or until all have ended; how they did.

    ``admin``: the venue with an administrator's key, for users and keys; agents act with their own. ``tell`` gets the
    board twice a second. A strategy that raises ends its agent alone: see ``Board.problems``.

    Errors: ToolError if a strategy or market is not there, VenueError while users and keys are made.
    """
    await check(settings.strategies)
    seats = await populate(admin, settings, await markets_of(admin, settings))
    board = Board(seats, settings.seed)
    parts = [seats[first :: settings.processes] for first in range(settings.processes)]
    workers = [_Worker(part, board) for part in parts if part]
    begun = time.monotonic()
    tasks: list[asyncio.Task[None]] = []
    try:
        tasks += [asyncio.create_task(worker.work(_job(settings, worker.seats))) for worker in workers]
        pending = set(tasks)
        while pending and not stop.is_set() and not _is_over(settings, begun):
            _, pending = await asyncio.wait(pending, timeout=TELL_S)
            board.pass_time(time.monotonic() - begun)
            tell(board)
        for worker in workers:
            worker.finish()
        await asyncio.wait(tasks, timeout=END_S + CLOSING_S * settings.close_on_exit)
    finally:
        await asyncio.gather(*(worker.end() for worker in workers))
        await asyncio.gather(*tasks)
    board.pass_time(time.monotonic() - begun)
    return board


async def check(strategies: Sequence[str]) -> None:
    """Errors: ToolError if one of these is no strategy."""
    for text in dict.fromkeys(strategies):
        try:
            await asyncio.to_thread(strategy_of, text)
        except NoStrategy as error:
            raise ToolError(str(error)) from error


def _is_over(settings: RunSettings, begun: float) -> bool:
    return settings.seconds is not None and time.monotonic() - begun >= settings.seconds


def _job(settings: RunSettings, seats: Sequence[SeatPlan]) -> Job:
    return Job(
        url=settings.url,
        transport=settings.transport,
        seed=settings.seed,
        seats=list(seats),
        size=settings.size,
        leverage=settings.leverage,
        pace=settings.pace,
        decisions=settings.decisions,
        patience_s=settings.patience_s,
        close_on_exit=settings.close_on_exit,
    )


class _Worker:
    """One process of agents. Its end, whatever the reason, concerns its own agents alone."""

    def __init__(self, seats: Sequence[SeatPlan], board: Board) -> None:
        self.seats, self._board = seats, board
        self._process: Process | None = None

    async def work(self, job: Job) -> None:
        """Start it, and take its reports until it ends."""
        # a session of its own: Ctrl-C on the terminal is for us, and we tell the workers
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tools.agents.worker"),
            stdin=PIPE,
            stdout=PIPE,
            limit=REPORT_BYTES_MAX,
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the process has no pipes")
        with suppress(ConnectionError):
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            await process.stdin.drain()
        with suppress(ValueError, msgspec.MsgspecError):  # a line cut by its end
            while line := await process.stdout.readline():
                self._board.take(msgspec.json.decode(line, type=Report).agents)
        code = await process.wait()
        self._lose(f"its process ended with {code}")

    def finish(self) -> None:
        """Tell it to end in order."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def end(self) -> None:
        """It does not run afterwards."""
        if self._process is not None and self._process.returncode is None:
            self._lose("its process did not end in time")
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _lose(self, problem: str) -> None:
        self._board.lose((seat.user for seat in self.seats), problem)
