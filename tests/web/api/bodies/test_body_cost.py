"""What a body costs everybody else: large ones take turns, and who has no key is told the code and little more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.web.api.bodies.test_bodies import NOT_JSON, NOT_OURS, OPEN, ROUTES
from tests.web.conftest import Starter
from tests.web.venue import Answer, Running
from web.api.bodies import reading
from web.api.bodies.reading import BODY_BYTES_MAX, ITEMS_PER_TURN
from web.limits.shares import BODIES_WAITING_MAX
from web.listener import SHUTDOWN_S

PRICES = "/api/markets/prices"
ITEM = b'{"ticker":"A","price":1}'
BAD_LIST = b"[" + b",".join([ITEM] * 2600) + b',{"ticker":1}]'
GOOD_LIST = b"[" + b",".join([ITEM] * 1000) + b"]"
"""Nothing is wrong with it, and there is no market A."""


@pytest.mark.parametrize("path", ROUTES)
async def test_a_stranger_gets_the_same_code_as_the_administrator(venue: Running, path: str) -> None:
    for body in (*NOT_JSON.values(), *NOT_OURS.values(), b"[]", b"{}", BAD_LIST, b"[" + ITEM):
        known, stranger = await venue.admin.post(path, body), await venue.anybody.post(path, body)

        if known.status == 400:
            stranger.refused(400, known.error()["code"])
        else:
            stranger.refused(401, "unauthorized")


async def test_only_who_has_a_key_is_told_where_a_bad_list_is_bad(venue: Running) -> None:
    bad = b"[" + ITEM + b',{"ticker":1}]'

    assert (await venue.anybody.post(PRICES, bad)).refused(400, "validation_error") == {}
    assert (await venue.admin.post(PRICES, bad)).refused(400, "validation_error") == {"index": 1, "field": "ticker"}


async def test_a_list_that_is_too_long_is_refused_before_its_items_are_looked_at(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nobody should look")

    with monkeypatch.context() as patched:
        patched.setattr(reading.Reader, "read", never)
        details = (await venue.admin.post(PRICES, [{"ticker": "A", "price": 1}] * 1001)).refused(
            400, "validation_error"
        )

    assert details == {"maximum": 1000}


class _Turns:
    """Counts the loop's turns, and what is done in each."""

    def __init__(self) -> None:
        self.turn, self.done = 0, dict[int, int]()

    def did(self, count: int = 1) -> None:
        self.done[self.turn] = self.done.get(self.turn, 0) + count

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1


async def test_of_many_large_bodies_one_is_read_in_a_turn_of_the_loop(
    venue: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, received = _Turns(), reading.Reader.read

    def counting(*args: Any) -> Any:
        turns.did()
        return received(*args)

    monkeypatch.setattr(reading.Reader, "read", counting)
    ticking = asyncio.create_task(turns.count())
    large = b'{"userId": "' + b"a" * (BODY_BYTES_MAX - 14) + b'"}'

    answers = await asyncio.gather(
        *(venue.anybody.post("/api/markets/perps/A/price", large) for _ in range(60)),
        *(venue.anybody.post("/api/admin/users", large) for _ in range(60)),
    )
    ticking.cancel()

    assert {answer.status for answer in answers} == {400}
    assert sum(turns.done.values()) == 120
    assert max(turns.done.values()) == 1


async def test_a_long_list_is_checked_a_part_at_a_time(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = _Turns()
    ticking = asyncio.create_task(turns.count())
    with monkeypatch.context() as patched:
        read = reading.Reader.read

        def counting(*args: Any) -> Any:
            turns.did()
            return read(*args)

        patched.setattr(reading.Reader, "read", counting)
        (await venue.anybody.post(PRICES, GOOD_LIST)).refused(401, "unauthorized")
    ticking.cancel()

    assert sum(turns.done.values()) == 1000
    assert max(turns.done.values()) == ITEMS_PER_TURN


async def test_who_has_a_key_does_not_wait_behind_strangers(venue: Running) -> None:
    async with venue.venue.context.turns.one(None), asyncio.timeout(5):
        stranger = asyncio.create_task(venue.anybody.post(PRICES, GOOD_LIST))
        answer = (await venue.admin.post(PRICES, GOOD_LIST)).ok()
        assert len(answer["results"]) == 1000
        (await venue.anybody.post(OPEN, {})).refused(400, "validation_error")
        assert not stranger.done()
    (await stranger).refused(401, "unauthorized")


async def test_a_short_list_waits_for_nobody(venue: Running) -> None:
    await venue.market("A", "100")
    async with venue.venue.context.turns.one("somebody else"), asyncio.timeout(5):
        answer = (await venue.admin.post(PRICES, [{"ticker": "A", "price": "101"}])).ok()

    assert answer["results"][0]["liquidations"] == 0


async def test_a_sender_has_a_share_of_the_line_of_large_bodies(venue: Running) -> None:
    ann, bob = await venue.user("ann"), await venue.user("bob")
    async with venue.venue.context.turns.one("somebody else"), asyncio.timeout(5):
        waiting = {asyncio.create_task(ann.post(PRICES, GOOD_LIST)) for _ in range(BODIES_WAITING_MAX + 3)}
        refused = set[asyncio.Task[Answer]]()
        while len(refused) < 3:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        behind = asyncio.create_task(bob.post(PRICES, GOOD_LIST))

    for task in refused:
        assert (await task).refused(429, "rate_limited") == {"limit": BODIES_WAITING_MAX}
    for task in (*waiting, behind):
        (await task).refused(403, "forbidden")
    (await ann.post(PRICES, GOOD_LIST)).refused(403, "forbidden")


async def test_a_body_that_does_not_arrive_is_given_up(venue: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BODY_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(venue.url.rpartition(":")[2]))
    writer.write(b'POST /api/admin/users HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"user')

    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert b"did not arrive" in await reader.readuntil(b"requestId")
    writer.close()


async def test_a_body_that_is_still_being_sent_when_the_venue_stops_is_answered_at_once(starter: Starter) -> None:
    venue = await starter()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(venue.url.rpartition(":")[2]))
    writer.write(b'POST /api/admin/users HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"user')
    async with asyncio.timeout(SHUTDOWN_S):
        while not venue.venue.context.arrivals._waits:  # noqa: ASYNC110 - a plain value
            await asyncio.sleep(0)
        stopping = asyncio.create_task(starter.stop(venue))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 503")
        assert b"The venue is stopping" in await reader.readuntil(b"requestId")
        await stopping
    writer.close()
