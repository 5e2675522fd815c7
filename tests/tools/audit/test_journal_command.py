"""``perps journal``: rows picked and told, for people and for machines, whatever they hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from perps.commands import KINDS
from perps.events import ModeChanged, PositionReduced, PriceUpdated, decode_events, encode_events
from perps.journal import Row
from perps.params import Mode
from persistence.journal.rows import PAGE_ROWS
from persistence.journal.writer import PostgresJournal
from tests.golden.files import load_rows, versions
from tests.support.entries import USD, Scribe
from tests.tools.audit.conftest import ROWS, Stored
from tools.audit.event_text import row_as_json, row_in_words
from tools.cli import main

Captured = pytest.CaptureFixture[str]
BTC = "BTC-PERP"


def lines(stored: Stored, capsys: Captured, *arguments: str) -> list[str]:
    capsys.readouterr()
    assert main(["journal", "--database-url", stored.url, *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def offsets(stored: Stored, capsys: Captured, *arguments: str) -> list[int]:
    return [int(line.split("\t")[0]) for line in lines(stored, capsys, *arguments)]


def rows(stored: Stored, capsys: Captured, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(stored, capsys, *arguments, "--json")]


def touches(row: Row, user: str) -> bool:
    events = decode_events(row.payload)
    accounts = {account for e in events for t in getattr(e, "transfers", ()) for account in (t.source, t.target)}
    return row.user_id == user or f"user:{user}" in accounts or user in {event.subject for event in events}


def test_every_row_is_a_line_in_order(stored: Stored, capsys: Captured) -> None:
    assert offsets(stored, capsys) == list(range(1, ROWS + 1))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--from", "100"), range(100, ROWS + 1)),
        (("--to", "3"), range(1, 4)),
        (("--from", "40", "--to", "42"), range(40, 43)),
        (("--from", "5", "--to", "4"), ()),
        (("--from", str(ROWS + 1)), ()),
        (("--last", "4"), range(ROWS - 3, ROWS + 1)),
        (("--last", "100000"), range(1, ROWS + 1)),
        (("--last", "2", "--to", "50"), range(49, 51)),
    ],
)
def test_rows_are_picked_by_offset(
    arguments: tuple[str, ...], expected: range, stored: Stored, capsys: Captured
) -> None:
    assert offsets(stored, capsys, *arguments) == list(expected)


def test_rows_are_picked_by_market_kind_and_user_and_all_of_these(stored: Stored, capsys: Captured) -> None:
    all_rows = stored.rows()

    def picked(ticker: str | None, kind: str | None, user: str | None) -> list[int]:
        return [
            row.offset
            for row in all_rows
            if ticker in (None, row.stream) and kind in (None, row.kind) and (user is None or touches(row, user))
        ]

    for ticker in (None, "BTC-PERP"):
        for kind in (None, "open", "price"):
            for user in (None, "user1", "nobody"):
                given = (("--ticker", ticker), ("--kind", kind), ("--user", user))
                arguments = [word for name, value in given if value is not None for word in (name, value)]
                expected = picked(ticker, kind, user)
                assert offsets(stored, capsys, *arguments) == expected, arguments
                assert offsets(stored, capsys, *arguments, "--last", "3") == expected[-3:], arguments


def test_a_liquidation_by_somebodys_price_is_in_the_rows_of_who_was_liquidated(
    stored: Stored, capsys: Captured
) -> None:
    liquidating = [
        (row.offset, event.position.user)
        for row in stored.rows()
        if row.kind == "price"
        for event in decode_events(row.payload)
        if isinstance(event, PositionReduced)
    ]
    assert liquidating, "the day had a crash"
    for offset, user in liquidating:
        assert offset in offsets(stored, capsys, "--user", user)


@pytest.mark.timeout(60)
def test_rows_come_page_by_page_without_one_too_many_or_too_few(database_url: str, capsys: Captured) -> None:
    scribe = Scribe()
    scribe.live(3 * PAGE_ROWS + 30, seed=3, users=2)
    with PostgresJournal.acquire(database_url) as journal:
        journal.append(scribe.entries)
    stored = Stored(database_url, scribe)

    assert offsets(stored, capsys) == list(range(1, scribe.offset + 1))
    mine = [entry.row.offset for entry in scribe.entries if touches(entry.row, "user1")]
    assert len(mine) > PAGE_ROWS
    assert offsets(stored, capsys, "--user", "user1") == mine
    kinds = [entry.row.offset for entry in scribe.entries if entry.row.kind == "price" and touches(entry.row, "user1")]
    assert offsets(stored, capsys, "--user", "user1", "--kind", "price") == kinds


def test_a_line_tells_money_and_prices_as_decimals(stored: Stored, capsys: Captured) -> None:
    told = "\n".join(lines(stored, capsys))
    for pattern in (
        r"1\t2023-11-14T22:13:20\.000Z\tBTC-PERP#1\tlist\tadmin\tlisted at 50000\.00\n",
        r"@ledger#\d+\tuser\tuser1\tuser user1, referred by user0, deposit \d+\.\d\d; user1 has \d+\.\d\d",
        r"opened BTC-PERP-1: (long|short) 0\.\d+ at \d+\.\d+, \d+x, margin \d+\.\d+, fee \d+\.\d+; user\d has \d+\.\d+",
        r"(closed|reduced) [A-Z]+-PERP-\d+: \d+\.\d+ at \d+\.\d+, pnl -?\d+\.\d+, fee \d+\.\d+; user\d has",
        r"\tprice\tfeed\tprice \d+\.\d\d from oracle",
        r"user\d was liquidated in [A-Z]+-PERP-\d+: ",
        r"user\d deposited \d+\.\d+; user\d has \d+\.\d+",
    ):
        assert re.search(pattern, told), pattern


def test_json_is_the_whole_row_by_name_and_field(stored: Stored, capsys: Captured) -> None:
    for told, row in zip(rows(stored, capsys), stored.rows(), strict=True):
        assert set(told) == {
            *("offset", "epoch", "stream", "marketSeq", "at", "kind", "schemaVersion", "userId"),
            *("clientOrderId", "fingerprint", "userBalance", "hash", "events"),
        }
        assert (told["offset"], told["hash"], told["at"]) == (row.offset, row.hash.hex(), row.at)
        events = decode_events(row.payload)
        assert [event["event"] for event in told["events"]] == [type(event).__name__ for event in events]


def test_the_events_in_json_have_every_field_in_the_domains_units(stored: Stored, capsys: Captured) -> None:
    offset = stored.offset_of("open")
    (told,) = rows(stored, capsys, "--from", str(offset), "--to", str(offset))
    event = told["events"][0]

    assert event["event"] == "PositionOpened"
    assert set(event) == {"event", "position", "fill", "fee", "referral", "transfers", "order"}
    assert event["transfers"][0].keys() == {"source", "target", "amount", "kind"}
    assert isinstance(event["position"]["entryCost"], int)
    assert isinstance(event["fill"]["quoteAfter"], int)


def test_a_payload_that_cannot_be_decoded_is_shown_as_it_is(stored: Stored, capsys: Captured) -> None:
    stored.change(1, payload=b"\xff\x00")
    stored.change(70, payload=b"\xc1")

    first, *_ = rows(stored, capsys)
    assert (first["payload"], "events" in first, "cannot be decoded" in first["problem"]) == ("ff00", False, True)
    told = lines(stored, capsys)
    assert len(told) == ROWS
    assert "a payload that cannot be decoded" in told[69]
    assert any(re.search(r"opened BTC-PERP-\d+: \w+ \d+ lots for \d+\.\d+", line) for line in told), "no tick, no lot"


def test_what_a_row_holds_cannot_move_the_cursor_or_begin_a_line(stored: Stored) -> None:
    row = stored.rows()[0]
    evil = ModeChanged(Mode.HALTED, "a\nb\x1b[2J\t\u202e")
    row = replace(row, payload=encode_events((evil,)))

    text = " ".join(row_in_words(row, None))
    assert "mode halted: a\\nb\\x1b[2J\\t\\u202e" in text
    assert text.isprintable()
    assert row_as_json(row)["events"][0]["reason"] == evil.reason


def test_funding_is_told_in_words_before_what_it_stands_before() -> None:
    row = next(row for row in load_rows(versions()[-1]) if row.stream == "FLOW-PERP" and row.kind == "close")
    told = row_in_words(row, None)[-1].split("; ")

    assert re.fullmatch(r"funding index \d+ at -?\d+\.\d+ % an hour until 2023-11-15T\S+", told[0]), told
    assert told[1].startswith("bob reduced FLOW-PERP-1")
    assert told[2].startswith("bob has ")


def test_a_row_of_many_events_tells_three_and_counts_the_rest(stored: Stored) -> None:
    row = next(row for row in stored.rows() if row.kind == "price")
    (price, *_) = decode_events(row.payload)
    assert isinstance(price, PriceUpdated)
    row = replace(row, payload=encode_events((price,) * 9))

    assert row_in_words(row, None)[-1].endswith("; and 6 more")
    assert len(row_as_json(row)["events"]) == 9


def test_a_time_beyond_the_calendar_is_told_as_a_number(stored: Stored, capsys: Captured) -> None:
    stored.change(7, at=2**62)

    assert lines(stored, capsys)[6].split("\t")[1] == str(2**62)


@pytest.mark.parametrize(
    "arguments", [("--from", "0"), ("--last", "0"), ("--to", "x"), ("--ticker", "btc"), ("--from", str(2**63))]
)
def test_a_bad_argument_is_a_usage_error(arguments: tuple[str, ...], capsys: Captured) -> None:
    assert main(["journal", "--database-url", "postgresql:///x", *arguments]) == 2
    assert capsys.readouterr().err.startswith("perps: error: ")


def test_a_kind_that_no_row_has_is_a_usage_error_that_names_those_there_are(capsys: Captured) -> None:
    assert main(["journal", "--database-url", "postgresql:///x", "--kind", "foo"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("perps: error: --kind: 'foo' is not one of ")
    assert all(f"'{kind}'" in said for kind in KINDS)


@pytest.mark.parametrize("words", [("--user", "nobody"), ("--kind", "withdraw", "--ticker", BTC), ("--from", "5000")])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_that_no_row_matches_is_told_beside_the_empty_answer(
    form: tuple[str, ...], words: tuple[str, ...], stored: Stored, capsys: Captured
) -> None:
    assert main(["journal", "--database-url", stored.url, *words, *form]) == 0
    assert capsys.readouterr() == ("", "no row matches these options\n")


def test_rows_that_match_are_told_alone(stored: Stored, capsys: Captured) -> None:
    assert main(["journal", "--database-url", stored.url, "--last", "1"]) == 0
    assert capsys.readouterr().err == ""


def test_a_deposit_of_nothing_but_cents_keeps_its_digits(stored: Stored, capsys: Captured) -> None:
    entry = stored.scribe.deposit("user1", USD // 100 + 1)

    told = row_in_words(entry.row, None)[-1]
    assert told.startswith("user1 deposited 0.010001; user1 has ")


@pytest.mark.timeout(60)
def test_a_reader_that_has_had_enough_ends_it_without_a_word(stored: Stored) -> None:
    program = "import sys; from tools.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "journal", "--database-url", stored.url, "--json"]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pipesize=4096) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["offset"] == 1
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_slow_pipe_gets_every_byte(unbuffered: str) -> None:
    """More than a pipe holds, written by a Python that does not buffer, as containers often set it."""
    program = (
        "from tools.output import buffer_stdout; buffer_stdout(); [print(f'{n:099d}\\n' * 2000) for n in range(20)]"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert process.stdout == b"".join(b"%099d\n" % n * 2000 + b"\n" for n in range(20))
