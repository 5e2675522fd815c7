"""``perps reconcile``: the tables and the outside, held against the journal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, localcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from perps.units import PICO
from perps.venue import VenueState
from persistence.journal.writer import PostgresJournal
from tests.support.entries import USD, Scribe
from tests.support.postgres import sql
from tests.tools.audit.conftest import ROWS, SNAPSHOTS, Stored, run_json
from tools.audit.compare_prices import compare_prices
from tools.audit.external import ExternalPrice
from tools.cli import main

Captured = pytest.CaptureFixture[str]
BTC, ETH = "BTC-PERP", "ETH-PERP"


def reconcile(stored: Stored, capsys: Captured, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, answer = run_json(capsys, "reconcile", "--database-url", stored.url, "--json", *arguments)
    assert answer["ok"] is (code == 0)
    return code, answer


def differences(stored: Stored, capsys: Captured) -> list[dict[str, Any]]:
    code, answer = reconcile(stored, capsys)
    found: list[dict[str, Any]] = answer["differences"]
    assert bool(found) is (code == 1)
    return found


def price_of(stored: Stored, ticker: str) -> Decimal:
    market = stored.scribe.markets[ticker]
    return Decimal(market.index_price) * market.params.tick_size / PICO


def write(*lines: str) -> str:
    Path("prices.csv").write_text("\n".join(lines) + "\n")
    return "prices.csv"


def test_a_venue_as_it_was_written_agrees_with_itself(stored: Stored, capsys: Captured) -> None:
    code, answer = reconcile(stored, capsys)

    positions = sum(len(market.positions) for market in stored.scribe.markets.values())
    assert code == 0
    assert answer == {
        "ok": True,
        "offset": ROWS,
        "markets": 2,
        "positions": positions,
        "differences": [],
        "external": [],
    }


def test_a_last_price_altered_in_the_table_is_told_on_both_sides(stored: Stored, capsys: Captured) -> None:
    stored.run("update prices set index_price = index_price + 1 where ticker = $1", BTC)

    (found,) = differences(stored, capsys)
    ours = price_of(stored, BTC)
    assert found == {
        "field": "indexPrice",
        "ticker": BTC,
        "offset": ROWS,
        "journal": f"{ours:.2f}",
        "tables": f"{ours + Decimal('0.01'):.2f}",
    }


def test_a_market_without_prices_in_the_table_is_told(stored: Stored, capsys: Captured) -> None:
    stored.run("delete from prices where ticker = $1", ETH)

    (found,) = differences(stored, capsys)
    assert (found["field"], found["ticker"], found["tables"]) == ("indexPrice", ETH, "absent")


def test_a_quote_altered_in_the_newest_record_is_told(stored: Stored, capsys: Captured) -> None:
    for table, column in (("fills", "quote_after"), ("prices", "quote_price")):
        sql(stored.url, f"update {table} set {column} = {column} + 1")

    assert {(found["field"], found["ticker"]) for found in differences(stored, capsys)} == {
        ("currentPrice", BTC),
        ("currentPrice", ETH),
    }


def test_the_quote_is_that_of_the_newest_record_be_it_a_price_or_a_trade(stored: Stored, capsys: Captured) -> None:
    with PostgresJournal.acquire(stored.url) as journal:
        stored.scribe.epoch = journal.epoch
        stored.scribe.price(stored.scribe.markets[ETH].index_price + 1, ETH)
        stored.scribe.open("user0", size=5_000 * USD)
        journal.append(stored.scribe.since(ROWS))
    columns = {"fills": "quote_after", "prices": "quote_price"}
    for ticker, older, newer in ((BTC, "prices", "fills"), (ETH, "fills", "prices")):
        stored.run(f"update {older} set {columns[older]} = 1 where ticker = $1", ticker)
        assert differences(stored, capsys) == []
        stored.run(f"update {newer} set {columns[newer]} = 1 where ticker = $1", ticker)
        (found,) = differences(stored, capsys)
        assert (found["field"], found["ticker"]) == ("currentPrice", ticker)
        right = stored.scribe.markets[ticker].quote
        stored.run(f"update {newer} set {columns[newer]} = $2 where ticker = $1", ticker, right)


@pytest.mark.parametrize("column", ["lots", "cash", "margin", "leverage", "entry_cost", "funding_paid"])
def test_an_open_position_altered_in_the_table_is_told_by_field(column: str, stored: Stored, capsys: Captured) -> None:
    ((name,),) = sql(
        stored.url,
        f"update positions set {column} = {column} + 1"
        " where id = (select min(id) from positions where status = 'open') returning id",
    )

    (found,) = differences(stored, capsys)
    assert found["positionId"] == name
    assert found["field"].lower() == column.replace("_", "")
    assert found["tables"] != found["journal"]


@pytest.mark.parametrize("column", ["lots", "cash", "margin", "leverage"])
def test_an_open_position_altered_in_its_fill_is_told_by_field(column: str, stored: Stored, capsys: Captured) -> None:
    ((name,),) = sql(
        stored.url,
        f"update fills set {column} = {column} + 1"
        " where position_id = (select min(id) from all_positions where id not in (select id from positions))"
        " returning position_id",
    )

    (found,) = differences(stored, capsys)
    assert (found["positionId"], found["field"]) == (name, column)
    assert found["tables"] != found["journal"]


def test_positions_that_only_one_side_knows_are_told(stored: Stored, capsys: Captured) -> None:
    stored.run("insert into positions select * from all_positions where id not in (select id from positions)")
    open_ids = [name for (name,) in stored.run("select id from positions where status = 'open' order by id")]
    ((closed,), *_) = stored.run("select id from positions where status = 'closed' order by id")
    stored.run("update positions set status = 'closed' where id = $1", open_ids[0])
    stored.run("update positions set status = 'open' where id = $1", closed)
    stored.run("update positions set id = 'nonsense' where id = $1", open_ids[1])
    stored.run("update fills set leverage = null where position_id = $1", open_ids[1])

    found = {(row["positionId"], row["tables"], row["journal"]) for row in differences(stored, capsys)}
    assert found == {
        (open_ids[0], "absent", "open"),
        (open_ids[1], "absent", "open"),
        ("nonsense", "open", "absent"),
        (closed, "open", "absent"),
    }


def test_a_broken_snapshot_is_passed_over(stored: Stored, capsys: Captured) -> None:
    stored.run("update snapshot_parts set body = 'x'::bytea where \"offset\" = $1", SNAPSHOTS[-1])

    assert reconcile(stored, capsys)[0] == 0


def test_a_snapshot_that_is_passed_over_is_told_beside_the_answer_not_in_it(stored: Stored) -> None:
    stored.run("update snapshot_parts set body = 'x'::bytea where \"offset\" = $1", SNAPSHOTS[-1])

    command = [sys.executable, "-m", "tools", "reconcile", "--database-url", stored.url, "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert json.loads(ran.stdout)["ok"]
    assert "snapshot.skipped" in ran.stderr


def test_a_journal_without_the_row_of_its_snapshot_is_told_as_at_a_start(stored: Stored, capsys: Captured) -> None:
    stored.run('delete from journal where "offset" >= $1', SNAPSHOTS[-1])

    assert main(["reconcile", "--database-url", stored.url]) == 1
    assert "missing, but a snapshot stands on it" in capsys.readouterr().err


def test_a_journal_that_cannot_be_replayed_is_one_line_that_sends_to_verify(stored: Stored, capsys: Captured) -> None:
    stored.change(ROWS - 5, at=1)

    assert main(["reconcile", "--database-url", stored.url]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"perps: error: journal row {ROWS - 5}: ")
    assert "run perps verify to learn more" in said


def test_outside_prices_within_the_tolerance_are_equal_and_beyond_it_they_differ(
    stored: Stored, capsys: Captured
) -> None:
    file = write("ticker,price,at", f"{BTC},{price_of(stored, BTC) / 2},2026-01-01", f"{ETH},{price_of(stored, ETH)},")

    code, answer = reconcile(stored, capsys, "--external", file)
    btc, eth = answer["external"]
    assert code == 1
    assert (btc["ticker"], btc["bps"], btc["within"], btc["at"]) == (BTC, "10000.00", False, "2026-01-01T00:00:00.000Z")
    assert (eth["ticker"], eth["bps"], eth["within"]) == (ETH, "0.00", True)
    assert reconcile(stored, capsys, "--external", file, "--tolerance-bps", "10000")[0] == 0
    assert reconcile(stored, capsys, "--external", file, "--tolerance-bps", "9999.9999")[0] == 1


def test_markets_that_only_one_side_knows_are_told(stored: Stored, capsys: Captured) -> None:
    file = write("ticker,price", f"{BTC},{price_of(stored, BTC)}", "DOGE,1")

    code, answer = reconcile(stored, capsys, "--external", file, "--tolerance-bps", "99999")
    assert code == 1
    assert [(row["ticker"], row["external"] is None, row["ours"] is None) for row in answer["external"]] == [
        (BTC, False, False),
        ("DOGE", False, True),
        (ETH, True, False),
    ]


def test_outside_positions_are_matched_one_by_one(stored: Stored, capsys: Captured) -> None:
    names = [(ticker, number) for ticker in (BTC, ETH) for number in stored.scribe.markets[ticker].positions]
    rows = [f"{ticker},{number},{price_of(stored, ticker)}" for ticker, number in names]
    assert reconcile(stored, capsys, "--external", write("ticker,positionId,price", *rows))[0] == 0

    code, answer = reconcile(stored, capsys, "--external", write("ticker,positionId,price", *rows[1:], f"{BTC},9999,1"))
    assert code == 1
    lonely = [(row["positionId"], row["external"], row["ours"]) for row in answer["external"] if not row["within"]]
    assert sorted(name for name, _, _ in lonely) == sorted([f"{names[0][0]}-{names[0][1]}", f"{BTC}-9999"])


def test_outside_prices_may_come_from_another_database_which_is_only_read(stored: Stored, capsys: Captured) -> None:
    stored.run("create table theirs (symbol text, price numeric, at timestamptz)")
    stored.run("insert into theirs values ($1, $2, now())", BTC, price_of(stored, BTC))
    ask = ("--external-url", stored.url, "--external-query")

    code, answer = reconcile(stored, capsys, *ask, "select symbol as ticker, price, at from theirs")
    assert (code, answer["external"][0]["within"]) == (1, True), "the other market is missing there"
    command = ["reconcile", "--database-url", stored.url, *ask]
    for query, words in (
        ("delete from theirs returning symbol as ticker, price", "syntax error"),
        ("select nonsense", "nonsense"),
        ("select symbol as ticker, price from theirs where false", "no rows"),
        ("select symbol from theirs", "no column for the price"),
        ("select null as ticker, 1 as price", "row 1: it has no ticker"),
        (
            "select 'A' as ticker, 'NaN'::float8 as price",
            "row 1: the price must be a number above 0, such as 12.5; it is 'NaN'",
        ),
        ("select 1; select 2", "cannot insert multiple commands"),
    ):
        assert main([*command, query]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("perps: error: "), line
        assert words in line, line
    assert stored.run("select count(*) from theirs")[0][0] == 1


@contextmanager
def web_server(body: str) -> Iterator[str]:
    """The address of a server that answers ``/prices.csv``, and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/prices.csv" else 404)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/prices.csv"
        server.shutdown()
        thread.join()


def test_outside_prices_may_come_from_a_web_server(stored: Stored, capsys: Captured) -> None:
    command = ["reconcile", "--database-url", stored.url, "--external"]
    body = f"ticker,price\n{BTC},{price_of(stored, BTC)}\n{ETH},{price_of(stored, ETH)}\n"
    with web_server(body) as url:
        assert main([*command, url]) == 0
        assert "outside prices: 2, mismatches: 0" in capsys.readouterr().out
        assert main([*command, url + "x"]) == 1
        assert "the server answered with status 404, not 200" in capsys.readouterr().err
    assert main([*command, url]) == 1
    assert capsys.readouterr().err.startswith(f"perps: error: {url}: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--external-url", "postgresql:///x"),
        ("--external-query", "select 1"),
        ("--external", "x", "--external-url", "postgresql:///x", "--external-query", "select 1"),
        ("--tolerance-bps", "-1"),
        ("--price", "fair"),
        ("--url", "http://127.0.0.1:1"),
    ],
)
def test_arguments_that_make_no_sense_are_usage_errors(arguments: tuple[str, ...], capsys: Captured) -> None:
    assert main(["reconcile", "--database-url", "postgresql:///x", *arguments]) == 2
    assert capsys.readouterr().err.startswith("perps: error: ")


def test_a_tolerance_is_exact_before_anything_is_rounded(stored: Stored) -> None:
    state = VenueState()
    for row in stored.rows():
        state.apply(row)
    price = price_of(stored, BTC)

    def within(theirs: Decimal, tolerance: str) -> bool:
        (row,) = (
            row
            for row in compare_prices(
                state, [ExternalPrice(BTC, theirs, None, None)], kind="index", tolerance_bps=Decimal(tolerance)
            )
            if row.ticker == BTC
        )
        return row.within

    with localcontext() as context:
        context.prec = 60
        half, less, more = price / 2, price / 2 - Decimal("1e-30"), price + Decimal("1e-30")
    assert within(half, "10000")
    assert not within(less, "10000")
    assert not within(more, "0")
    assert within(price, "0")
    assert not within(Decimal("1e-99"), "0")


def test_equal_is_said_of_the_same_price_only_and_within_of_another_that_is_near(
    stored: Stored, capsys: Captured
) -> None:
    near, same = price_of(stored, BTC) + 1, price_of(stored, ETH)
    file = write("ticker,price", f"{BTC},{near}", f"{ETH},{same}00")

    assert main(["reconcile", "--database-url", stored.url, "--external", file, "--tolerance-bps", "50"]) == 0
    _, btc, eth, summary = capsys.readouterr().out.splitlines()
    assert (btc.split("\t")[5], eth.split("\t")[5]) == ("within", "equal")
    assert summary.endswith("mismatches: 0")


def test_people_read_a_table_of_differences_and_a_line(stored: Stored, capsys: Captured) -> None:
    stored.run("update prices set index_price = index_price + 1 where ticker = $1", BTC)
    file = write("ticker,price", f"{BTC},{price_of(stored, BTC)}")

    assert main(["reconcile", "--database-url", stored.url, "--external", file]) == 1
    header, line, outside, equal, lonely, verdict = capsys.readouterr().out.splitlines()
    assert header.split("\t") == ["offset", "ticker", "position", "field", "memory", "tables", "journal"]
    assert line.split("\t")[:4] == [str(ROWS), BTC, "", "indexPrice"]
    assert outside.startswith("ticker\tposition\texternal\tours\tbps")
    assert (equal.split("\t")[5], lonely.split("\t")[5]) == ("equal", "only here")
    assert verdict.endswith("differences: 1, outside prices: 2, mismatches: 1")


def test_one_market_is_not_told_as_several(database_url: str, capsys: Captured) -> None:
    scribe = Scribe()
    scribe.list_market(BTC)
    with PostgresJournal.acquire(database_url) as journal:
        journal.append(scribe.entries)

    assert main(["reconcile", "--database-url", database_url]) == 0
    assert capsys.readouterr().out == "row 1: 1 market, 0 open positions, differences: 0\n"

    assert main(["verify", "--database-url", database_url]) == 0
    assert capsys.readouterr().out.startswith("1 row verified in ")
