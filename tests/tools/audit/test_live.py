"""A running venue beside its journal: equal to the letter while it trades, and every lie of its memory is found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

import pykka
import pytest
from msgspec.structs import replace

from actors.ledger import LedgerActor
from actors.market import MarketActor
from perps.client import Venue as Client
from perps.journal import Row
from perps.snapshot.images import digest
from perps.units import Micros, Ticks
from perps.venue import VenueState
from tests.support.postgres import fresh_database
from tests.tools.audit.conftest import ROWS, Stored, run_json
from tools.audit.live import Follower, Said, differences_in_memory
from tools.audit.memory import LedgerDigest, MarketDigest, Memory, contradictions_of_memory
from tools.audit.reconcile import tell_left_out
from tools.cli import main
from web.compose import VenueServer, postgres

pytestmark = pytest.mark.timeout(60)

Captured = pytest.CaptureFixture[str]
KEY = "the-administrator"
BTC, ETH = "BTC-PERP", "ETH-PERP"
WAIT_S = 20.0
T = TypeVar("T")


@dataclass(frozen=True)
class Serving:
    """A venue that runs in a thread of its own."""

    url: str
    venue: VenueServer
    loop: asyncio.AbstractEventLoop

    def do(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Ask it something, as a client with the administrator's key."""

        async def ask() -> T:
            async with Client(self.url, KEY) as client:
                return await work(client)

        return asyncio.run(ask())


@contextmanager
def serving(database_url: str) -> Iterator[Serving]:
    """A venue on a database, on a port of its own."""
    ready, made = Event(), []

    async def run() -> None:
        venue, stop = VenueServer(postgres(database_url), KEY), asyncio.Event()
        port = await venue.listen("127.0.0.1", 0)
        await venue.start()
        loop = asyncio.get_running_loop()
        made.append((Serving(f"http://127.0.0.1:{port}", venue, loop), stop))
        ready.set()
        await stop.wait()
        await venue.close()

    thread = Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(WAIT_S)
    ((found, stop),) = made
    try:
        yield found
    finally:
        found.loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT_S)
        assert not thread.is_alive()


@contextmanager
def prices_moving(found: Serving) -> Iterator[list[int]]:
    """Prices that come without a pause; how many so far."""
    sent: list[int] = []
    stop = Event()

    async def play(client: Client) -> None:
        market = (await client.get_market(BTC)).market
        while not stop.is_set():
            price = Decimal(market.index_price) + Decimal(market.tick_size) * (len(sent) % 7)
            await client.set_price(BTC, price, sequence=len(sent) + 1)
            sent.append(1)

    thread = Thread(target=lambda: found.do(play))
    thread.start()
    yield sent
    stop.set()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def live_problems(stored: Stored, found: Serving, capsys: Captured) -> list[dict[str, Any]]:
    arguments = ("--database-url", stored.url, "--live", found.url, "--key", KEY)
    code, answer = run_json(capsys, "verify", *arguments, "--json")
    assert (code == 0) is answer["ok"]
    problems: list[dict[str, Any]] = answer["problems"]
    return problems


def live_differences(stored: Stored, found: Serving, capsys: Captured) -> list[dict[str, Any]]:
    arguments = ("--database-url", stored.url, "--url", found.url, "--key", KEY)
    code, answer = run_json(capsys, "reconcile", *arguments, "--json")
    assert (code == 0) is answer["ok"]
    differences: list[dict[str, Any]] = answer["differences"]
    return differences


def actors_of(kind: type[pykka.ThreadingActor]) -> list[Any]:
    """The running actors themselves, to alter what they hold."""
    return [ref._actor_weakref() for ref in pykka.ActorRegistry.get_by_class(kind)]


def test_a_venue_at_rest_is_what_its_journal_leads_to(stored: Stored, capsys: Captured) -> None:
    with serving(stored.url) as found:
        assert live_problems(stored, found, capsys) == []
        assert live_differences(stored, found, capsys) == []


def test_a_venue_that_trades_meanwhile_is_compared_row_by_row(stored: Stored, capsys: Captured) -> None:
    with serving(stored.url) as found, prices_moving(found) as sent:
        for _ in range(3):
            assert live_problems(stored, found, capsys) == []
            assert live_differences(stored, found, capsys) == []
        assert len(sent) > 10


def test_a_price_altered_in_what_the_venue_serves_is_found(stored: Stored, capsys: Captured) -> None:
    with serving(stored.url) as found:
        market = found.venue.context.model.markets[BTC].market
        market.index_price = Ticks(market.index_price + 1)

        (problem, *_) = live_problems(stored, found, capsys)
        assert (problem["offset"], problem["ticker"]) == (ROWS, BTC)
        assert "indexPrice: the running venue says" in problem["problem"]
        fields = {(row["field"], row.get("ticker")) for row in live_differences(stored, found, capsys)}
        assert {("indexPrice", BTC), ("markPrice", BTC)} <= fields


def test_a_position_altered_in_what_the_venue_serves_is_found(stored: Stored, capsys: Captured) -> None:
    with serving(stored.url) as found:
        user = next(user for user in found.venue.context.model.users.values() if user.positions)
        (ticker, number), position = next(iter(user.positions.items()))
        user.positions[ticker, number] = replace(position, margin=Micros(position.margin + 1))

        found_fields = {
            (row["positionId"], row["field"]) for row in live_differences(stored, found, capsys) if "positionId" in row
        }
        assert (f"{ticker}-{number}", "margin") in found_fields


def test_a_market_actor_whose_memory_was_altered_is_found(stored: Stored, capsys: Captured) -> None:
    with serving(stored.url) as found:
        actor = next(actor for actor in actors_of(MarketActor) if actor._side.market.ticker == ETH)
        actor._side.market.next_number += 1

        (problem,) = live_problems(stored, found, capsys)
        assert problem["ticker"] == ETH
        assert "the running market's memory" in problem["problem"]


def test_a_ledger_actor_whose_memory_was_altered_is_found(stored: Stored, capsys: Captured) -> None:
    with serving(stored.url) as found:
        (actor,) = actors_of(LedgerActor)
        actor._side.ledger.balances["user:user1"] += 1
        actor._side.ledger.balances["user:user0"] -= 1

        (problem,) = live_problems(stored, found, capsys)
        assert (problem["offset"], "the running ledger's memory" in problem["problem"]) == (ROWS, True)


def test_a_venue_that_is_not_there_is_a_problem_and_the_rest_is_told(stored: Stored, capsys: Captured) -> None:
    stored.run('update prices set mark_price = mark_price + 1 where "offset" = 1')

    problems = live_problems(stored, Serving("http://127.0.0.1:1", None, None), capsys)  # type: ignore[arg-type]
    assert problems[0]["offset"] == 1
    assert "the running venue could not be compared" in problems[1]["problem"]


def test_reconciling_with_a_venue_that_is_not_there_is_one_line(stored: Stored, capsys: Captured) -> None:
    assert main(["reconcile", "--database-url", stored.url, "--url", "http://127.0.0.1:1", "--key", KEY]) == 1
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["a variable", "a file"])
def test_a_venue_that_only_a_setting_names_may_be_down(
    by: str, stored: Stored, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "a variable":
        monkeypatch.setenv("PERPS_URL", "http://127.0.0.1:1")
    else:
        Path("perps.toml").write_text('url = "http://127.0.0.1:1"')
        monkeypatch.setenv("PERPS_CONFIG", "perps.toml")

    assert main(["reconcile", "--database-url", stored.url, "--key", KEY, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["ok"]
    (note,) = err.splitlines()
    assert note.startswith("the venue's memory is not compared: http://127.0.0.1:1 cannot be reached")


def test_a_venue_that_a_setting_names_is_compared_if_it_runs(
    stored: Stored, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(stored.url) as found:
        monkeypatch.setenv("PERPS_URL", found.url)
        market = found.venue.context.model.markets[BTC].market
        market.index_price = Ticks(market.index_price + 1)

        assert main(["reconcile", "--database-url", stored.url, "--key", KEY]) == 1
    assert "indexPrice" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "words"), [(1, "1 user has"), (2, "2 users have")])
def test_users_that_are_not_asked_for_are_counted_in_grammar(count: int, words: str, capsys: Captured) -> None:
    tell_left_out(count)
    assert capsys.readouterr().err == f"{words} more than 500 open positions: these are not compared\n"


def test_a_venue_of_another_database_is_found(stored: Stored, capsys: Captured, server_url: str) -> None:
    with fresh_database(server_url) as other, serving(other) as found:
        (problem, *_) = live_problems(stored, found, capsys)
        assert "offset" in problem["problem"]
        assert live_differences(stored, found, capsys) != []


def after(rows: list[Row], offset: int) -> VenueState:
    state = VenueState()
    for row in rows[:offset]:
        state.apply(row)
    return state


def memory_of(rows: list[Row], ledger_at: int, markets_at: int) -> Memory:
    """What actors would say that have come to different rows."""
    state, later = after(rows, ledger_at), after(rows, markets_at)
    ledger = digest(state.ledger.image(ledger_at).chunks()).hex()
    markets = [
        MarketDigest(ticker, market.seq, digest(market.image().chunks()).hex())
        for ticker, market in later.markets.items()
    ]
    return Memory(LedgerDigest(ledger_at, state.ledger.seq, ledger), markets)


@pytest.mark.parametrize(("ledger_at", "markets_at"), [(60, 60), (60, 80), (60, ROWS), (90, 70)])
def test_each_actor_is_compared_at_its_own_row(ledger_at: int, markets_at: int, stored: Stored) -> None:
    rows = stored.rows()
    follower = Follower(after(rows, 60), lambda offset: iter(rows[offset:]))

    assert list(contradictions_of_memory(follower, memory_of(rows, ledger_at, markets_at))) == []


def test_an_actor_ahead_of_all_rows_is_a_finding(stored: Stored) -> None:
    rows = stored.rows()
    memory = memory_of(rows, ROWS, ROWS)
    cut = Follower(after(rows, 60), lambda offset: iter(rows[offset : ROWS - 20]))

    found = {(finding.ticker, finding.problem.split(" is at")[0]) for finding in contradictions_of_memory(cut, memory)}
    assert (None, "the running ledger") in found
    assert (BTC, "the running market") in found


def test_a_market_that_is_not_in_memory_is_a_finding(stored: Stored) -> None:
    rows = stored.rows()
    memory = memory_of(rows, 60, 60)
    without = Memory(memory.ledger, [market for market in memory.markets if market.ticker != ETH])
    follower = Follower(after(rows, 60), lambda offset: iter(rows[offset:]))

    (finding,) = contradictions_of_memory(follower, without)
    assert (finding.ticker, finding.offset) == (ETH, 60)


def test_what_was_said_of_a_row_that_is_not_there_is_a_difference(stored: Stored) -> None:
    rows = stored.rows()
    for offset in (ROWS + 5, 10):
        follower = Follower(after(rows, 60), lambda offset: iter(rows[offset:]))
        said = [Said(offset, "market", BTC, {"": {}})]
        (difference,) = differences_in_memory(follower, said)
        assert (difference.field, difference.memory) == ("offset", str(offset))
