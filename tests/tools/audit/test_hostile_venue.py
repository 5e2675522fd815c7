"""A venue, or somebody in its place, whose answers leave out a market or are of another kind: told, never believed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec
import pytest

from perps.client import Venue, sending
from tests.tools.audit.conftest import Stored, run_json
from tests.tools.audit.test_live import BTC, ETH, KEY, serving
from tools.cli import main

pytestmark = pytest.mark.timeout(60)

Captured = pytest.CaptureFixture[str]
Json = dict[str, Any]
MARKETS, STATS, MEMORY, POSITIONS = (
    "/api/markets/perps",
    "/api/admin/stats",
    "/api/admin/state",
    "/api/markets/positions/",
)


@contextmanager
def answering(answers: Mapping[str, object]) -> Iterator[str]:
    """A server that answers these paths, without their query, with JSON or with these very bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0])
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            with contextlib.suppress(OSError):  # a client that has had enough
                self.send_response(404 if answer is None else 200)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def honest(stored: Stored) -> dict[str, Any]:
    """Every answer of an honest venue on that database, by path."""
    users = sorted(
        {position.user for market in stored.scribe.markets.values() for position in market.positions.values()}
    )
    paths = [MARKETS, STATS, MEMORY, *(POSITIONS + user for user in users)]
    with serving(stored.url) as found:

        async def ask(venue: Venue) -> dict[str, Any]:
            return {path: json.loads(bytes(await venue.get(path, msgspec.Raw))) for path in paths}

        return found.do(ask)


def differences(stored: Stored, answers: Mapping[str, object], capsys: Captured) -> list[Json]:
    with answering(answers) as url:
        _, answer = run_json(capsys, "reconcile", "--database-url", stored.url, "--url", url, "--key", KEY, "--json")
    found: list[Json] = answer["differences"]
    return found


def test_honest_answers_make_no_difference(stored: Stored, honest: Json, capsys: Captured) -> None:
    assert differences(stored, honest, capsys) == []


def test_a_venue_without_markets_is_not_equal_to_a_journal_with_some(
    stored: Stored, honest: Json, capsys: Captured
) -> None:
    honest[MARKETS]["markets"] = []
    honest[STATS]["markets"] = []

    found = differences(stored, honest, capsys)
    assert {(one["field"], one["ticker"], one["memory"], one["journal"]) for one in found} == {
        (field, ticker, "absent", "listed") for field in ("market", "stats") for ticker in (BTC, ETH)
    }


def test_a_market_that_only_the_venue_has_is_a_difference(stored: Stored, honest: Json, capsys: Captured) -> None:
    honest[MARKETS]["markets"].append({**honest[MARKETS]["markets"][0], "ticker": "GHOST"})

    (found,) = differences(stored, honest, capsys)
    assert (found["field"], found["ticker"], found["memory"], found["journal"]) == (
        "market",
        "GHOST",
        "listed",
        "absent",
    )


@pytest.mark.parametrize("what", ["account", "position"])
def test_a_value_that_is_left_out_is_a_difference(what: str, stored: Stored, honest: Json, capsys: Captured) -> None:
    if what == "account":
        del honest[STATS]["accounts"]["fees"]
    else:
        path = next(path for path in honest if path.startswith(POSITIONS))
        del honest[path]["perpetuals"]["positions"][0]["margin"]

    (found,) = differences(stored, honest, capsys)
    assert (found["field"], found["memory"]) == ("fees" if what == "account" else "margin", "absent")


def test_memory_without_markets_is_a_problem(stored: Stored, honest: Json, capsys: Captured) -> None:
    honest[MEMORY]["markets"] = []

    with answering(honest) as url:
        arguments = ("verify", "--database-url", stored.url, "--live", url, "--key", KEY, "--json")
        code, answer = run_json(capsys, *arguments)
    assert code == 1
    assert {problem["ticker"] for problem in answer["problems"]} == {BTC, ETH}


def _put(path: str, *keys: Any, value: object) -> Callable[[Json], None]:
    def put(answers: Json) -> None:
        path_ = next(one for one in answers if one.startswith(path))
        place = answers if not keys else answers[path_]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1] if keys else path_] = value

    return put


ILL: dict[str, Callable[[Json], None]] = {
    "no JSON": _put(MARKETS, value=b"\x1b[2Jhello"),
    "not UTF-8": _put(STATS, value=b'{"offset":1,"users":"\xff"}'),
    "deep": _put(STATS, value=b"[" * 200_000),
    "a list": _put(MARKETS, value=[]),
    "null": _put(MARKETS, value=b"null"),
    "an offset that is a text": _put(MARKETS, "offset", value="120"),
    "an offset beyond all": _put(MARKETS, "offset", value=2**80),
    "a negative offset": _put(STATS, "offset", value=-1),
    "markets that are a number": _put(MARKETS, "markets", value=7),
    "a market that is a number": _put(MARKETS, "markets", value=[7]),
    "a ticker that is a list": _put(MARKETS, "markets", 0, "ticker", value=[]),
    "a price that is a number": _put(MARKETS, "markets", 0, "indexPrice", value=1.5),
    "no open interest": _put(MARKETS, "markets", 0, "openInterest", value=None),
    "accounts that are a list": _put(STATS, "accounts", value=[1]),
    "numbers of a market that are a text": _put(STATS, "markets", value=["BTC-PERP"]),
    "positions that are a text": _put(POSITIONS, "perpetuals", value="none"),
    "a position that is a number": _put(POSITIONS, "perpetuals", "positions", value=[7]),
    "a position without an id, twice": _put(POSITIONS, "perpetuals", "positions", value=[{}, {}]),
    "too much": _put(MARKETS, value=b" " * 4_000_000),
}


@pytest.mark.parametrize("what", ILL)
def test_an_answer_of_another_kind_is_one_clear_line(
    what: str, stored: Stored, honest: Json, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ANSWER_BYTES_MAX", 2_000_000)
    ILL[what](honest)

    with answering(honest) as url:
        assert main(["reconcile", "--database-url", stored.url, "--url", url, "--key", KEY]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("perps: error: "), line
    assert line.isprintable()


@pytest.mark.parametrize("hash_", ["", "zz", "0" * 63, 7, None, "é" * 64])
def test_a_digest_that_is_none_is_a_problem_of_one_line(
    hash_: object, stored: Stored, honest: Json, capsys: Captured
) -> None:
    honest[MEMORY]["ledger"]["hash"] = hash_

    with answering(honest) as url:
        code, answer = run_json(capsys, "verify", "--database-url", stored.url, "--live", url, "--key", KEY, "--json")
    assert code == 1
    (problem,) = answer["problems"]
    assert problem["problem"].startswith("the running venue could not be compared: ")
