"""Payers take turns at the core: a thousand commands of one, or for one market, are not in front of another's."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest

from actors.bridge import Bridge
from actors.clock import VenueClock
from actors.fair_queue import FairQueue
from actors.limits import DEADLINE_MS, IN_CORE_EACH, IN_CORE_MAX, IN_CORE_PARTS
from actors.messages import Envelope, Failure, FailureKind
from actors.turns import Turns
from perps.commands import Command, CreateUser
from perps.units import Micros, Millis
from tests.actors.venue import open_long
from tests.web.venue import ManualClock

EACH, AT_ONCE, PARTS = 4, 10, 2
OF_STREAM = AT_ONCE // PARTS


def _envelope(token: int, ticker: str | None = None) -> Envelope:
    return Envelope(
        command=CreateUser(user="ann", deposit=Micros(0)) if ticker is None else open_long(ticker, "ann"),
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


def _send_for(turns: Turns, ticker: str | None, payer: str, *tokens: int) -> None:
    for token in tokens:
        turns.add(payer, _envelope(token, ticker))


def _taken(queue: FairQueue | Turns) -> list[int]:
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


def test_a_market_whose_places_are_taken_keeps_nobody_elsewhere_waiting() -> None:
    turns = Turns(AT_ONCE, EACH, PARTS)
    for payer in range(20):
        _send_for(turns, "BTC-PERP", str(payer), payer)
    assert _taken(turns) == list(range(OF_STREAM))

    _send_for(turns, "ETH-PERP", "ann", 100)
    _send_for(turns, "ETH-PERP", "19", 101)
    _send_for(turns, None, "19", 102)

    assert _taken(turns) == [100, 101, 102]
    assert not turns.has_ready


def test_a_payers_own_thousand_for_one_market_are_not_in_front_of_what_it_sends_elsewhere() -> None:
    turns = Turns(AT_ONCE, EACH, PARTS)
    _send_for(turns, "BTC-PERP", "ann", *range(1_000))
    _send_for(turns, None, "ann", 1_000)
    _send_for(turns, "ETH-PERP", "ann", 1_001)

    assert _taken(turns) == [0, 1, 2, 3, 1_000, 1_001]


def test_in_a_market_whose_places_are_taken_payers_take_turns() -> None:
    turns = Turns(AT_ONCE, EACH, PARTS)
    _send_for(turns, "BTC-PERP", "ann", *range(100))
    _send_for(turns, "BTC-PERP", "bob", 200, 201, 202)
    _send_for(turns, "BTC-PERP", "cyd", 300, 301)
    sent = _taken(turns)
    assert sent == [0, 200, 1, 2, 3]

    while len(sent) < 14:
        turns.ended(sent[-OF_STREAM])
        sent += _taken(turns)

    assert sent[OF_STREAM:] == [201, 300, 4, 202, 301, 5, 6, 7, 8]


def test_a_payers_commands_keep_their_order_across_markets_while_there_is_room() -> None:
    turns = Turns(AT_ONCE, EACH, PARTS)
    for token, ticker in enumerate(["BTC-PERP", None, "BTC-PERP", "ETH-PERP", None, "BTC-PERP"]):
        _send_for(turns, ticker, "ann", token)

    assert _taken(turns) == list(range(6))


def test_over_all_markets_a_payer_has_places_for_a_part_of_them() -> None:
    turns = Turns(100, EACH, PARTS)
    for market in range(5):
        _send_for(turns, f"M{market}-PERP", "ann", *range(10 * market, 10 * market + 3))

    assert len(_taken(turns)) == EACH * PARTS
    turns.ended(0)
    assert _taken(turns) == [22]


def test_who_gives_up_at_either_queue_leaves_the_place_to_the_next() -> None:
    turns = Turns(AT_ONCE, EACH, PARTS)
    _send_for(turns, "BTC-PERP", "ann", *range(7))

    assert turns.give_up(5), "it waits for a place in its market"
    assert turns.give_up(3), "it has that, and has not gone"
    assert not turns.give_up(3)
    assert _taken(turns) == [0, 1, 2, 4]
    assert not turns.give_up(0)
    turns.ended(6)
    turns.ended(0)
    assert _taken(turns) == [6]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_for_any_market_and_ends_all_is_sent_once_within_the_limits_and_nothing_is_kept(
    seed: int,
) -> None:
    chance, turns, sent, given_up = Random(seed), Turns(AT_ONCE, EACH, PARTS), list[int](), set[int]()
    origin, inside = dict[int, tuple[str, str | None]](), set[int]()
    for token in range(400):
        origin[token] = payer, ticker = chance.choice("aaaaabc"), chance.choice(["BTC-PERP"] * 3 + ["ETH-PERP", None])
        _send_for(turns, ticker, payer, token)
        if chance.random() < 0.1:
            one = chance.choice(list(origin))
            if turns.give_up(one):
                given_up.add(one)
        if chance.random() < 0.5:
            taken = _taken(turns)
            sent += taken
            inside |= set(taken)
        for one in chance.sample(sorted(inside), min(len(inside), chance.randrange(4))):
            inside.remove(one)
            turns.ended(one)
        assert len(inside) <= AT_ONCE
        assert max(Counter(origin[one] for one in inside).values(), default=0) <= EACH
        assert max(Counter(origin[one][0] for one in inside).values(), default=0) <= EACH * PARTS
        assert max(Counter(origin[one][1] for one in inside).values(), default=0) <= OF_STREAM
    while inside or turns.has_ready:
        for one in inside:
            turns.ended(one)
        inside = set(taken := _taken(turns))
        sent += taken

    assert sorted(sent + list(given_up)) == list(range(400))
    for one_origin in set(origin.values()):
        of_it = [token for token in sent if origin[token] == one_origin]
        assert of_it == sorted(of_it)
    assert not turns._streams
    assert not turns._origins
    assert turns._all.is_idle


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


def _send(bridge: Bridge, payer: str, command: Command | None = None) -> asyncio.Task[Any]:
    command = command or CreateUser(user="ann", deposit=Micros(0))
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


async def test_a_thousand_users_opens_in_a_market_that_crashes_leave_room_for_the_others(bridge: Bridge) -> None:
    core: Any = Core()
    bridge.attach(core)
    herd = [_send(bridge, f"u{number}", open_long("BTC-PERP", "ann")) for number in range(1_200)]
    await _turns()
    others = [_send(bridge, "ann", open_long("ETH-PERP", "ann")), _send(bridge, "u1199")]
    await _turns()

    assert len(core.got) == IN_CORE_MAX // IN_CORE_PARTS + 2
    assert [envelope.sender for envelope in core.got[-2:]] == ["ann", "u1199"]
    bridge.core_failed(bridge.outlet(), "over")
    await asyncio.wait(herd + others)
    assert sum(one.result().kind is FailureKind.OUTCOME_UNKNOWN for one in herd) == IN_CORE_MAX // IN_CORE_PARTS
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
