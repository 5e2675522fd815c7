"""Payers take turns at the core: a thousand commands of one are not in front of another's next one."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest

from actors.bridge import Bridge
from actors.clock import VenueClock
from actors.fair_queue import FairQueue
from actors.limits import DEADLINE_MS, IN_CORE_EACH
from actors.messages import Envelope, Failure, FailureKind
from perps.commands import CreateUser
from perps.units import Micros, Millis
from tests.web.venue import ManualClock

EACH, AT_ONCE = 4, 10


def _envelope(token: int) -> Envelope:
    return Envelope(
        command=CreateUser(user="ann", deposit=Micros(0)),
        token=token,
        trace_id="",
        sender="",
        client_order_id=None,
        fresh=True,
        fingerprint=b"",
        now_ms=Millis(0),
        deadline_ms=Millis(0),
        ahead_ms=0,
    )


def _add(queue: FairQueue, payer: str, *tokens: int) -> None:
    for token in tokens:
        queue.add(payer, _envelope(token))


def _taken(queue: FairQueue) -> list[int]:
    return [envelope.token for envelope in queue.take()]


def test_one_of_each_payer_goes_in_turn_and_each_payers_own_in_order() -> None:
    queue = FairQueue(AT_ONCE, EACH)
    _add(queue, "ann", *range(100))
    _add(queue, "bob", 200, 201)
    _add(queue, "cyd", 300)

    assert _taken(queue) == [0, 200, 300, 1, 201, 2, 3]
    _add(queue, "dan", 400)
    assert _taken(queue) == [400]


def test_what_ends_makes_room_for_the_next_of_the_same_payer() -> None:
    queue = FairQueue(AT_ONCE, EACH)
    _add(queue, "ann", *range(6))
    assert _taken(queue) == [0, 1, 2, 3]
    assert not queue.has_ready

    queue.ended(2)
    queue.ended(2)
    queue.ended(77)

    assert _taken(queue) == [4]
    assert _taken(queue) == []


def test_no_more_than_so_many_of_all_payers_are_in_the_core() -> None:
    queue = FairQueue(AT_ONCE, EACH)
    for payer in range(6):
        _add(queue, str(payer), *range(100 * payer, 100 * payer + 3))

    first = _taken(queue)
    assert len(first) == AT_ONCE
    queue.ended(first[0])
    assert _taken(queue) == [401]


def test_who_gives_up_before_the_core_is_never_sent() -> None:
    queue = FairQueue(AT_ONCE, EACH)
    _add(queue, "ann", *range(6))
    _taken(queue)

    assert queue.give_up("ann", 4)
    assert not queue.give_up("ann", 4)
    assert not queue.give_up("ann", 0)
    assert not queue.give_up("bob", 1)
    for token in range(4):
        queue.ended(token)
    assert _taken(queue) == [5]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_ends_all_is_sent_once_within_the_limits_and_nothing_is_kept(seed: int) -> None:
    chance, queue, sent, given_up = Random(seed), FairQueue(AT_ONCE, EACH), list[int](), set[int]()
    owner, inside = dict[int, str](), set[int]()
    for token in range(400):
        owner[token] = payer = chance.choice("aaaaabc")
        _add(queue, payer, token)
        if chance.random() < 0.1:
            one = chance.choice(list(owner))
            if queue.give_up(owner[one], one):
                given_up.add(one)
        if chance.random() < 0.5:
            taken = _taken(queue)
            sent += taken
            inside |= set(taken)
        for one in chance.sample(sorted(inside), min(len(inside), chance.randrange(3))):
            inside.remove(one)
            queue.ended(one)
        assert len(inside) <= AT_ONCE
        assert max(Counter(owner[one] for one in inside).values(), default=0) <= EACH
    while inside or queue.has_ready:
        for one in inside:
            queue.ended(one)
        inside = set(_taken(queue))
        sent += inside

    assert sorted(sent + list(given_up)) == list(range(400))
    assert not queue._lines
    assert not queue._round


class Core:
    """A supervisor that takes what it is told and says nothing."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []

    def tell(self, message: list[Envelope]) -> None:
        """Take commands."""
        self.got += message


@pytest.fixture
async def bridge() -> Bridge:
    """A bridge on a clock of its own."""
    return Bridge(VenueClock(ManualClock()), on_settled=lambda _: None, on_health=lambda *_: None)


def _send(bridge: Bridge, payer: str) -> asyncio.Task[Any]:
    command = CreateUser(user="ann", deposit=Micros(0))
    sending = bridge.send(command, sender=payer, client_order_id=None, fresh=True, trace_id="")
    return asyncio.create_task(sending)


async def _turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_anothers_command_waits_behind_a_few_of_a_thousand(bridge: Bridge) -> None:
    core: Any = Core()
    bridge.attach(core)
    herd = [_send(bridge, "herd") for _ in range(1_000)]
    await _turns()
    mine = _send(bridge, "ann")
    await _turns()

    assert [envelope.sender for envelope in core.got] == ["herd"] * IN_CORE_EACH + ["ann"]
    bridge.answer([(envelope.token, Failure(FailureKind.UNAVAILABLE, "")) for envelope in core.got[:10]])
    await _turns()
    assert len(core.got) == IN_CORE_EACH + 1 + 10
    bridge.core_failed(bridge.outlet(), "over")
    assert (await mine).kind is FailureKind.OUTCOME_UNKNOWN
    await asyncio.wait(herd)
    bridge.close()


async def test_when_the_core_dies_what_waits_for_it_was_certainly_not_done(bridge: Bridge) -> None:
    core: Any = Core()
    bridge.attach(core)
    outlet = bridge.outlet()
    herd = [_send(bridge, "herd") for _ in range(IN_CORE_EACH + 5)]
    await _turns()
    bridge.core_failed(outlet, "a bug")

    kinds = [outcome.kind for outcome in await asyncio.gather(*herd)]

    assert kinds == [FailureKind.OUTCOME_UNKNOWN] * IN_CORE_EACH + [FailureKind.UNAVAILABLE] * 5
    assert bridge.in_flight == 0
    bridge.close()


async def test_what_waits_past_its_deadline_is_never_begun() -> None:
    clock, core = ManualClock(), Core()
    bridge = Bridge(VenueClock(clock), on_settled=lambda _: None, on_health=lambda *_: None)
    bridge.attach(core)  # type: ignore[arg-type]
    herd = [_send(bridge, "herd") for _ in range(IN_CORE_EACH + 5)]
    await _turns()
    clock.advance(DEADLINE_MS / 1000 + 1)
    bridge._expire()

    kinds = [outcome.kind for outcome in await asyncio.gather(*herd)]
    await _turns()

    assert kinds == [FailureKind.OUTCOME_UNKNOWN] * IN_CORE_EACH + [FailureKind.OVERLOADED] * 5
    assert len(core.got) == IN_CORE_EACH
    bridge.close()
