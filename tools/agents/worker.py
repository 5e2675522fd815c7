"""One process of agents: ``python -m tools.agents.worker``.

The first line of its input is the job; it works until the input ends, so it also ends with a run that was killed.
Reports leave on its output. What a strategy prints goes to stderr.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing, suppress
from functools import partial
from random import Random
from typing import Any, BinaryIO, Final

import msgspec

from perps.agents.catalogue import short_name, strategy_of
from perps.agents.crowd import Crowd
from perps.agents.line import TRANSPORTS, Line
from perps.agents.trader import Trader, brief
from perps.client import VenueError
from tools.agents.jobs import AgentReport, Job, Report, SeatPlan

REPORT_S: Final = 0.5
STOP_S: Final = 5.0
"""How long a decision in progress may take at the end."""
LEAVE_S: Final = 30.0
"""How long all may take to close their positions at the end."""
JOB_BYTES_MAX: Final = 1 << 20

Send = Callable[[Report], Awaitable[object]]


class Crew:
    """The agents of one process. They hear the markets on one stream, and each its own account on another."""

    def __init__(self, job: Job, plans: Sequence[SeatPlan]) -> None:
        self._job, self._plans = job, plans
        self._crowd = Crowd()
        self._traders: list[Trader] = []
        self._feed_problem = ""

    async def work(self, stop: asyncio.Event, send: Send) -> None:
        """Trade until ``stop``, or until all have ended. ``send`` gets a report now and then, and one at the end."""
        connect = partial(TRANSPORTS[self._job.transport], self._job.url, retry_s=self._job.patience_s)
        async with AsyncExitStack() as stack:
            feed = asyncio.create_task(self._feed(await stack.enter_async_context(connect(None)), stop))
            for plan in self._plans:
                self._traders.append(self._trader(plan, await stack.enter_async_context(connect(plan.key))))
            reports = asyncio.create_task(self._report(send))
            try:
                await self._trade(stop)
                if self._job.close_on_exit:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LEAVE_S):
                            await asyncio.gather(*(_leave(trader) for trader in self._traders))
            finally:
                for task in (feed, reports):
                    task.cancel()
                await asyncio.gather(feed, reports, return_exceptions=True)
            await send(self.report())

    def report(self) -> Report:
        """How all do."""
        return Report([self._report_of(*pair) for pair in zip(self._plans, self._traders, strict=True)])

    async def _trade(self, stop: asyncio.Event) -> None:
        tasks = {asyncio.create_task(trader.run(stop)) for trader in self._traders}
        stopped = asyncio.create_task(stop.wait())
        pending: set[asyncio.Task[Any]] = {*tasks}
        while pending and not stopped.done():
            _, waiting = await asyncio.wait({*pending, stopped}, return_when=asyncio.FIRST_COMPLETED)
            pending = waiting - {stopped}
        if pending:
            _, pending = await asyncio.wait(pending, timeout=STOP_S)
        for task in (*pending, stopped):
            task.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)

    async def _feed(self, line: Line, stop: asyncio.Event) -> None:
        try:
            await self._crowd.hear(line, {plan.ticker for plan in self._plans})
        except VenueError as error:
            self._feed_problem = f"the markets' stream ended: {error}"
            stop.set()

    def _trader(self, plan: SeatPlan, line: Line) -> Trader:
        return self._crowd.add(
            line,
            strategy_of(plan.strategy),
            user=plan.user,
            ticker=plan.ticker,
            random=Random(f"{self._job.seed}:{plan.number}"),
            size=self._job.size,
            leverage=self._job.leverage,
            pace=self._job.pace,
            decisions_max=self._job.decisions,
        )

    async def _report(self, send: Send) -> None:
        while True:
            await send(self.report())
            await asyncio.sleep(REPORT_S)

    def _report_of(self, plan: SeatPlan, trader: Trader) -> AgentReport:
        account, desk = trader.seat.account, trader.seat.desk
        return AgentReport(
            user=plan.user,
            strategy=short_name(plan.strategy),
            ticker=plan.ticker,
            state=trader.state,
            problem=trader.problem or self._feed_problem,
            decisions=trader.decisions,
            trades=account.trades,
            liquidations=account.liquidations,
            refusals=dict(desk.refusals),
            lost=desk.lost,
            equity=trader.equity,
            gain=trader.gain,
            waits=desk.waits,
        )


async def _leave(trader: Trader) -> None:
    try:
        await trader.leave_all()
    except VenueError as error:
        trader.problem = trader.problem or f"it could not close its positions: {error}"


async def main() -> None:
    """Do the job that comes in."""
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    reader = asyncio.StreamReader(limit=JOB_BYTES_MAX)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stdin)
    job = msgspec.json.decode(await reader.readline(), type=Job)

    async def end() -> None:
        await reader.read()
        stop.set()

    async def send(report: Report) -> None:
        await asyncio.to_thread(_write, stdout, msgspec.json.encode(report) + b"\n")

    ending = asyncio.create_task(end())
    with closing(transport), stdout:
        await Crew(job, job.seats).work(stop, send)
    ending.cancel()


def _write(stream: BinaryIO, line: bytes) -> None:
    stream.write(line)
    stream.flush()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except Exception as error:  # noqa: BLE001 - the run hears it from our exit code and shows this line
        print(f"a process of agents failed: {brief(error)}", file=sys.stderr)
        sys.exit(1)
