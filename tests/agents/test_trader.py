"""One agent at work: what it decides again with the same seed, and what it survives."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from perps.agents import Event, Refused, Strategy
from perps.agents.catalogue import EXAMPLES, strategy_of
from perps.client import OutcomeUnknown, Unavailable
from tests.agents.scene import BALANCE, Scene, Sent, account_now, names, own, position, refusal


class Eager(Strategy):
    """Goes long in each decision."""

    every_s: ClassVar[float] = 0.001

    async def decide(self) -> None:
        await self.enter("long")


class Patient(Eager):
    """Takes its time."""

    every_s: ClassVar[float] = 1.0


class Broken(Strategy):
    """Fails in its second decision."""

    every_s: ClassVar[float] = 0.001
    count = 0

    async def decide(self) -> None:
        self.count += 1
        if self.count == 2:
            raise ZeroDivisionError("nothing to divide")


class Deaf(Strategy):
    """Fails when it hears a price."""

    async def decide(self) -> None:
        pass

    def see(self, event: Event) -> None:
        if event.name == "price":
            raise LookupError(event.data["ticker"])


class Stubborn(Eager):
    """Keeps its refusals."""

    def __init__(self, seat: object) -> None:
        super().__init__(seat)  # type: ignore[arg-type]
        self.codes: list[str] = []

    async def refused(self, error: Refused) -> None:
        self.codes.append(error.code)


async def session(name: str, seed: int) -> list[Sent]:
    """What an example sends when it hears a recorded market of a hundred prices, trades and stories."""
    scene = Scene(strategy_of(name), seed=seed)
    for turn in range(100):
        mark = 10_000 * (1 + 0.0001 * turn * ((turn * 7) % 23 - 11) / 11)
        scene.price(
            mark, quote=mark * (1 + 0.006 * ((turn * 5) % 17 - 8) / 8), reason="A fund buys in" * (turn % 9 == 3)
        )
        scene.trade("long" if turn % 20 < 10 else "short", 2)
        if turn % 11 == 5:
            scene.trade("short", 1, "liquidation", "liquidation")
        await scene.decide()
    return scene.line.sent


@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_seed_repeats_every_decision_on_the_same_events(name: str) -> None:
    sent = await session(name, 7)
    assert sent
    assert await session(name, 7) == sent


async def test_another_seed_decides_otherwise() -> None:
    assert await session("noise", 7) != await session("noise", 8)


async def test_a_refusal_is_counted_and_a_full_agent_closes_its_oldest_position() -> None:
    scene = Scene(Eager)
    await scene.decide(2)
    scene.line.failures.append(refusal("max_skew_exceeded"))
    sent = await scene.decide()
    assert names(sent) == ["openPosition", "closePosition"]
    assert sent[1][1]["position_id"] == "BTC-PERP-1"
    assert scene.seat.desk.refusals == {"max_skew_exceeded": 1}
    assert [one.id for one in scene.seat.account.positions] == ["BTC-PERP-2"]


async def test_a_strategy_may_answer_refusals_itself() -> None:
    scene = Scene(Stubborn)
    scene.line.failures.extend([refusal("market_halted", 409), refusal("forbidden", 403)])
    await scene.decide(3)
    strategy = scene.trader.strategy
    assert isinstance(strategy, Stubborn)
    assert strategy.codes == ["market_halted", "forbidden"]


@pytest.mark.parametrize("failure", [Unavailable("away"), OutcomeUnknown("cut", "an-id")])
async def test_a_command_without_a_verdict_is_counted_and_the_agent_goes_on(failure: Exception) -> None:
    scene = Scene(Eager)
    scene.line.failures.append(failure)
    await scene.decide(2)
    assert scene.seat.desk.lost == 1
    assert len(scene.seat.account.positions) == 1


async def test_an_agent_without_money_or_position_is_topped_up() -> None:
    topped_up: list[bool] = []

    async def top_up() -> None:
        topped_up.append(True)

    scene = Scene(Eager, top_up=top_up)
    scene.line.failures.append(refusal("insufficient_funds"))
    await scene.decide()
    assert topped_up == [True]


async def test_an_agent_waits_longer_after_each_failure_in_a_row() -> None:
    scene = Scene(Patient)
    pauses = []
    for scene.trader.failures in range(0, 60, 4):
        pauses.append(scene.trader.next_pause())
    assert pauses[0] < pauses[1] < pauses[-1] == 30


async def test_pace_shortens_the_pauses() -> None:
    slow, fast = Scene(Eager), Scene(Eager, pace=10)
    assert fast.trader.next_pause() == pytest.approx(slow.trader.next_pause() / 10)


async def run(scene: Scene, stop: asyncio.Event | None = None) -> None:
    """Let it run until it ends by itself, or ``stop``."""
    scene.line.rows.put_nowait(own("snapshot", **account_now()))
    await asyncio.wait_for(scene.trader.run(stop or asyncio.Event()), 10)


async def test_an_agent_ends_after_its_decisions() -> None:
    scene = Scene(Eager, decisions_max=3)
    for offset in (2, 3, 4):
        scene.line.rows.put_nowait(own("balance", offset, **BALANCE, userId="ann"))
    await run(scene)
    assert (scene.trader.state, scene.trader.decisions) == ("ended", 3)
    assert names(scene.line.sent) == ["openPosition"] * 3


async def test_a_strategy_that_raises_ends_with_its_own_line_in_brief() -> None:
    scene = Scene(Broken)
    await run(scene)
    assert scene.trader.state == "crashed"
    first, last = scene.trader.problem.splitlines()
    assert first.startswith("test_trader.py:")
    assert first.endswith('in decide: raise ZeroDivisionError("nothing to divide")')
    assert last == "ZeroDivisionError: nothing to divide"


async def test_a_strategy_that_raises_when_it_hears_of_something_ends_as_well() -> None:
    scene = Scene(Deaf)
    scene.price(10_001)
    await run(scene)
    assert scene.trader.state == "crashed"
    assert "LookupError" in scene.trader.problem


async def test_a_key_that_is_no_longer_valid_ends_the_agent() -> None:
    scene = Scene(Eager)
    scene.line.failures.append(refusal("unauthorized", 401))
    await run(scene)
    assert scene.trader.state == "ended"
    assert scene.trader.problem.startswith("unauthorized")


async def test_a_stop_ends_the_pause_between_two_decisions() -> None:
    decided = asyncio.Event()

    class Slow(Eager):
        every_s = 1_000.0

        async def decide(self) -> None:
            await super().decide()
            decided.set()

    scene, stop = Scene(Slow), asyncio.Event()
    running = asyncio.create_task(run(scene, stop))
    await decided.wait()
    scene.line.rows.put_nowait(own("balance", 2, **BALANCE, userId="ann"))
    stop.set()
    await asyncio.wait_for(running, 5)
    assert scene.trader.state == "ended"


async def test_an_agent_that_is_woken_decides_at_once() -> None:
    decided = asyncio.Event()

    class Reader(Strategy):
        every_s = 1_000.0

        async def decide(self) -> None:
            decided.set()

        def see(self, event: Event) -> None:
            if event.name == "price":
                self.now()

    scene = Scene(Reader, decisions_max=2)
    running = asyncio.create_task(run(scene))
    await decided.wait()
    scene.price(10_001)
    await asyncio.wait_for(running, 5)
    assert scene.trader.decisions == 2


async def test_leaving_cancels_what_rests_and_closes_what_is_open() -> None:
    scene = Scene(Eager)
    await scene.decide()
    scene.line.sent.clear()
    await scene.trader.leave_all()
    assert names(scene.line.sent) == ["cancelOrders", "closeAllPositions", "getBalance"]


async def test_a_gain_is_no_deposit() -> None:
    scene = Scene(Eager)
    richer = {**BALANCE, "total": "1500.00", "totalDeposited": "1400.00"}
    scene.trader.take_own(own("balance", 2, **richer, userId="ann"))
    assert scene.trader.equity == 1500
    assert scene.trader.gain == pytest.approx(100)


async def test_equity_counts_positions_at_the_mark() -> None:
    scene = Scene(Eager)
    held = position(entryPrice="10000.00", quantity="0.1000", margin="100.00", side="short")
    scene.trader.take_own(own("position", 2, **held))
    scene.price(9_000)
    assert scene.trader.equity == pytest.approx(1000 + 100 + 100)
