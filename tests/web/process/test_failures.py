"""No verdict: overloaded, unavailable, in doubt, a fault of ours. What each promises, it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from actors.limits import MARKET_DEATHS_MAX
from actors.ports import Journal
from perps.commands import OpenPosition, Side
from perps.journal import DiskFull, Entry, JournalUnavailable, LoginRefused
from perps.query_rows import LegRecord
from perps.units import Micros
from tests.conftest import Event
from tests.support.memory import MemoryJournal, MemoryQueries, MemoryStore
from tests.web.conftest import Starter
from tests.web.venue import OnMemory, Running
from web.answers import positions
from web.compose import Limits

WORDS: Any = "not a number"
POISON = OpenPosition(
    ticker="BTC-PERP", user="ann", side=Side.LONG, size=Micros(10**9), leverage=10, max_slippage_bps=WORDS
)
"""An open that no request can ask for: its market cannot compute with it, and dies."""


async def _kill_market(venue: Running) -> None:
    await venue.venue.host.bridge.send(POISON, sender="ann", client_order_id=None, fresh=True, trace_id="poison")


class Doubtful:
    """A journal that, when told to, fails once: before it writes, or after it has written."""

    def __init__(self, journal: MemoryJournal, plan: list[str]) -> None:
        self._journal, self._plan = journal, plan

    @property
    def epoch(self) -> int:
        """As the journal."""
        return self._journal.epoch

    def append(self, entries: Sequence[Entry]) -> None:
        """As the journal, with the failure that is planned."""
        failure = self._plan.pop() if self._plan else ""
        if failure == "full":
            raise DiskFull("rows 1 to 2: no space left")
        if failure == "before":
            raise JournalUnavailable("the line broke")
        self._journal.append(entries)
        if failure == "after":
            raise JournalUnavailable("the line broke")

    def probe(self) -> None:
        """As the journal."""
        self._journal.probe()

    def close(self) -> None:
        """As the journal."""
        self._journal.close()


class Broken(MemoryQueries):
    """A read side that raises."""

    def __init__(self, store: MemoryStore, error: Exception) -> None:
        super().__init__(store)
        self._error = error

    async def transactions(self, user: str, *, before: tuple[int, int] | None = None, limit: int) -> list[LegRecord]:
        """No answer."""
        raise self._error


async def test_too_much_in_flight_is_refused_at_once_and_has_no_effect(starter: Starter) -> None:
    venue = await starter(limits=Limits(in_flight_max=3))
    await venue.market()
    users = [await venue.user(f"u{n}") for n in range(50)]

    answers = await asyncio.gather(*(user.open(size="20", clientOrderId="once") for user in users))

    refused = [user for user, answer in zip(users, answers, strict=True) if answer.status != 201]
    assert 0 < len(refused) < len(users)
    for user, answer in zip(users, answers, strict=True):
        if user not in refused:
            (position,) = await user.positions()
            assert position["id"] == answer.ok(201)["position"]["id"]
            continue
        answer.refused(503, "overloaded")
        assert answer.headers["Retry-After"] == "1"
        assert await user.positions() == []
    again = await refused[0].open(size="20", clientOrderId="once")
    again.ok(201)
    assert "Idempotent-Replay" not in again.headers


async def test_a_venue_that_starts_says_so(starter: Starter) -> None:
    venue = await starter()
    venue.venue.context.started = False

    (await venue.admin.get("/api/admin/stats")).refused(503, "unavailable")
    (await venue.anybody.get("/healthz")).ok()


async def test_a_venue_that_stops_refuses_what_is_new(starter: Starter) -> None:
    venue = await starter()
    await venue.market()
    ann = await venue.user("ann")
    await venue.venue.host.stop()

    (await ann.open()).refused(503, "unavailable")
    assert (await ann.balance())["balance"] == "10000.00"


async def test_a_market_that_is_down_says_so_and_its_neighbour_trades(venue: Running, error_lines: list[Event]) -> None:
    await venue.market("ETH-PERP", "3000")
    ann = await venue.user("ann")
    await ann.opened()
    for _ in range(MARKET_DEATHS_MAX + 1):
        await _kill_market(venue)

    details = (await ann.open()).refused(503, "unavailable")

    assert details == {"reason": "BTC-PERP is down"}, "and not the exception, which quotes somebody's command"
    (await ann.close("BTC-PERP-1")).refused(503, "unavailable")
    (await venue.admin.post("/api/markets/perps/BTC-PERP/price", {"price": "1"})).refused(503, "unavailable")
    await ann.opened("ETH-PERP")
    ready = await venue.anybody.get("/readyz")
    assert (ready.status, ready.json["status"], list(ready.json["problems"])) == (503, "not_ready", ["BTC-PERP"])
    shown = (await venue.anybody.get("/api/markets/perps")).ok()["markets"]
    assert [market["status"] for market in shown] == ["unavailable", "enabled"]
    assert [line["event"] for line in error_lines] == ["actor.died"] * (MARKET_DEATHS_MAX + 1) + ["market.down"]
    error_lines.clear()


async def test_a_market_that_died_once_is_rebuilt_and_nothing_is_lost(venue: Running, error_lines: list[Event]) -> None:
    ann = await venue.user("ann")
    await ann.opened()
    (before,) = await ann.positions()

    await _kill_market(venue)
    await ann.opened(size="20")
    (await ann.close("BTC-PERP-2")).ok()

    assert await ann.positions() == [before]
    assert (await venue.footprint())["stats"]["accounts"]["total"] == "0.00"
    assert (await venue.anybody.get("/readyz")).ok()["problems"] == {}
    assert [line["event"] for line in error_lines] == ["actor.died"]
    error_lines.clear()


@pytest.mark.parametrize(("failure", "was_done"), [("before", False), ("after", True)])
async def test_an_outcome_in_doubt_is_told_by_the_same_id(
    starter: Starter, error_lines: list[Event], failure: str, was_done: bool
) -> None:
    backend, plan = OnMemory(), list[str]()

    def open_journal() -> Journal:
        return Doubtful(backend.store.acquire(), plan)

    venue = await starter(backend, stores=replace(backend.stores(), open_journal=open_journal))
    await venue.market()
    ann = await venue.user("ann")
    plan.append(failure)

    assert (await ann.open(clientOrderId="x")).refused(503, "outcome_unknown") == {"reason": "the journal died"}
    answer = await ann.open(clientOrderId="x")
    while answer.status == 503:
        answer.refused(503, "unavailable")
        answer = await ann.open(clientOrderId="x")

    body = answer.ok(201)
    assert ("Idempotent-Replay" in answer.headers) is was_done
    assert [position["id"] for position in await ann.positions()] == [body["position"]["id"]] == ["BTC-PERP-1"]
    assert (await ann.balance())["balance"] == body["newBalance"]
    assert {line["event"] for line in error_lines} == {"actor.died", "core.failed"}
    assert not [line for line in error_lines if line.get("exc_info")], "an outage is told without tracebacks"
    error_lines.clear()


async def test_a_full_disk_is_shown_as_one_until_a_commit_shows_that_there_is_room(
    starter: Starter, error_lines: list[Event]
) -> None:
    backend, plan = OnMemory(), list[str]()

    def open_journal() -> Journal:
        return Doubtful(backend.store.acquire(), plan)

    venue = await starter(backend, stores=replace(backend.stores(), open_journal=open_journal))
    await venue.market()
    ann = await venue.user("ann")
    plan.append("full")
    (await ann.open()).refused(503, "outcome_unknown")
    shown = {"journal": "disk full: the database cannot write; make room"}
    async with asyncio.timeout(5):
        while (ready := await venue.anybody.get("/readyz")).json["problems"] != shown:
            assert ready.status == 503

    await ann.opened()
    assert (await venue.anybody.get("/readyz")).ok()["problems"] == {}
    error_lines.clear()


async def test_a_full_disk_is_forgotten_after_a_while_without_a_command(
    starter: Starter, error_lines: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.process.host.DISK_FULL_SHOWN_S", 0.1)
    backend, plan = OnMemory(), list[str]()

    def open_journal() -> Journal:
        return Doubtful(backend.store.acquire(), plan)

    venue = await starter(backend, stores=replace(backend.stores(), open_journal=open_journal))
    ann = await venue.user("ann")
    plan.append("full")
    (await venue.admin.post("/api/admin/users/ann/deposit", {"amount": "1"})).refused(503, "outcome_unknown")
    async with asyncio.timeout(5):
        while (await venue.anybody.get("/readyz")).status == 503:
            pass
    assert (await ann.balance())["balance"] == "10000.00"
    error_lines.clear()


async def test_a_login_that_is_refused_is_not_tried_again_at_the_start(starter: Starter) -> None:
    backend, tries = OnMemory(), 0

    def open_journal() -> Journal:
        nonlocal tries
        tries += 1
        raise LoginRefused("the database server at x:1 refuses the login: no such user")

    with pytest.raises(LoginRefused):
        await starter(backend, stores=replace(backend.stores(), open_journal=open_journal))
    assert tries == 1


async def test_a_database_that_does_not_answer_is_no_fault_of_the_request(starter: Starter) -> None:
    backend = OnMemory()
    broken = Broken(backend.store, JournalUnavailable("reading: no connection"))
    venue = await starter(backend, stores=replace(backend.stores(), queries=broken))
    ann = await venue.user("ann")

    (await ann.get("/api/users/ann/transactions")).refused(503, "unavailable")
    (await ann.get("/api/users/ann/trades")).ok()


async def test_a_fault_of_ours_is_an_answer_without_its_secrets(starter: Starter, error_lines: list[Event]) -> None:
    backend = OnMemory()
    broken = Broken(backend.store, RuntimeError("password=hunter2"))
    venue = await starter(backend, stores=replace(backend.stores(), queries=broken))
    ann = await venue.user("ann")

    answer = await ann.get("/api/users/ann/transactions")

    assert answer.refused(500, "internal_error") == {}
    assert b"hunter2" not in answer.body
    assert [line["event"] for line in error_lines] == ["request.failed"]
    error_lines.clear()


async def test_a_fault_after_the_commit_does_not_say_that_nothing_was_done(
    venue: Running, monkeypatch: pytest.MonkeyPatch, error_lines: list[Event]
) -> None:
    """I13: the retry brings the first answer."""
    ann = await venue.user("ann")
    with monkeypatch.context() as patched:
        patched.setattr(positions, "opened", None)
        (await ann.open(clientOrderId="once")).refused(503, "outcome_unknown")

    assert [line["event"] for line in error_lines] == ["request.failed"]
    error_lines.clear()
    again = await ann.open(clientOrderId="once")

    assert again.status == 201
    assert again.headers["Idempotent-Replay"] == "true"
    assert len(await ann.positions()) == 1
