"""A manual clock: an administrator lets time pass."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from actors.clock import ManualClock
from actors.messages import Failure
from perps.commands import ObserveTime
from perps.market.funding import HOUR_MS
from perps.refusals import Rejected
from perps.units import Millis
from perps.wire import venue as wire
from perps.wire.operation import NoQuery
from perps.wire.venue import AdvanceBody, Advanced
from web.answers import errors
from web.answers.errors import RequestError, invalid
from web.answers.times import rfc3339
from web.api.bodies.units import number
from web.api.call import Call, Route

SECONDS_MAX: Final = 31 * 86_400
"""The most that one request lets pass: 744 hours, each looked at by every market."""

AT_ONCE: Final = 8
"""Markets that are looked at side by side."""


async def advance(call: Call[AdvanceBody, NoQuery]) -> Advanced:
    """Let time pass from full hour to full hour; each time every market does what is due, and the answer waits for it.

    So funding misses no time, and the history gets every hour. Each slice of a TWAP comes at its own time, too.
    """
    clock = call.context.clock
    by_ms = number(call.body.seconds, 3, "seconds")
    if not 0 < by_ms <= SECONDS_MAX * 1000:
        raise invalid(f"seconds must be more than 0 and at most {SECONDS_MAX} (31 days).", field="seconds")
    if not isinstance(clock, ManualClock):
        message = "This venue's clock is real: nobody can advance it. Start it with --clock manual."
        raise RequestError("clock_not_manual", message)
    steps = 0
    async with call.context.clock_turn:
        now_ms = clock.now_ms()
        end_ms = now_ms + by_ms
        while now_ms < end_ms:
            hour_ms = now_ms - now_ms % HOUR_MS + HOUR_MS
            now_ms = Millis(min(hour_ms, end_ms, *_slices_after(call, now_ms)))
            clock.advance_to(now_ms)
            await _observe_all(call)
            await call.context.observations.look()
            steps += 1
    return Advanced(time=rfc3339(now_ms), steps=steps, offset=call.context.model.offset)


def _slices_after(call: Call[AdvanceBody, NoQuery], now_ms: int) -> Iterator[int]:
    """When slices are due after ``now_ms``: the next one of each TWAP that rests."""
    for view in call.context.model.markets.values():
        orders = view.market.orders
        yield from (at for number in orders.twaps if (at := orders.by_number[number].due_from) > now_ms)


async def _observe_all(call: Call[AdvanceBody, NoQuery]) -> None:
    tickers = list(call.context.model.markets)
    for start in range(0, len(tickers), AT_ONCE):
        await asyncio.gather(*(_observe(call, ticker) for ticker in tickers[start : start + AT_ONCE]))


async def _observe(call: Call[AdvanceBody, NoQuery], ticker: str) -> None:
    command = ObserveTime(ticker=ticker)
    answer = await call.context.gateway.send(call.principal, command, trace_id=call.request_id)
    if isinstance(answer, Rejected | Failure):
        raise errors.unsuccessful(answer, call.context.market(ticker).market.params)


ROUTES = (Route(wire.ADVANCE_CLOCK, advance),)
