"""``perps verify``: whatever is done to a stored venue is found, and its place named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from persistence.journal.writer import PostgresJournal
from tests.support.postgres import sql
from tests.tools.audit.conftest import ROWS, Stored, run_json
from tests.tools.audit.damages import DAMAGES, SINGLE, Damage, alter_a_balance, alter_a_price, lose_a_fill
from tools.cli import main

Captured = pytest.CaptureFixture[str]
Problem = dict[str, Any]


def problems(stored: Stored, capsys: Captured) -> list[Problem]:
    code, answer = run_json(capsys, "verify", "--database-url", stored.url, "--json")
    assert answer["ok"] is (code == 0) is (not answer["problems"])
    found: list[Problem] = answer["problems"]
    return found


@pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_every_damage_is_found_and_its_place_named(
    damage: Damage, words: str, stored: Stored, capsys: Captured
) -> None:
    offset = damage(stored)

    found = problems(stored, capsys)
    assert any(problem.get("offset") == offset and words in problem["problem"] for problem in found), found


@pytest.mark.parametrize("damage", SINGLE, ids=lambda damage: damage.__name__)
def test_one_damage_that_leads_to_no_other_is_one_problem(damage: Damage, stored: Stored, capsys: Captured) -> None:
    damage(stored)

    assert len(problems(stored, capsys)) == 1


def test_a_snapshot_witnesses_against_a_chain_that_was_written_anew(stored: Stored, capsys: Captured) -> None:
    alter_a_balance(stored)

    found = problems(stored, capsys)
    assert [problem["offset"] for problem in found if "when the row had another hash" in problem["problem"]] == [90]


def test_a_venue_as_it_was_written_has_no_problem(stored: Stored, capsys: Captured) -> None:
    code, answer = run_json(capsys, "verify", "--database-url", stored.url, "--json")

    assert (code, answer) == (0, {"ok": True, "offset": ROWS, "problems": []})


def test_a_problem_of_a_market_names_it(stored: Stored, capsys: Captured) -> None:
    offset = alter_a_price(stored)

    (problem,) = problems(stored, capsys)
    assert problem["ticker"] == stored.rows()[offset - 1].stream


def test_several_damages_are_all_told_in_order(stored: Stored, capsys: Captured) -> None:
    stored.change(30, at=1)
    fill = lose_a_fill(stored)
    stored.change(110, kind="x")

    found = problems(stored, capsys)
    assert [problem["offset"] for problem in found] == sorted(problem["offset"] for problem in found)
    assert {30, fill, 110} <= {problem["offset"] for problem in found}


def test_many_problems_are_told_up_to_a_hundred_and_counted(stored: Stored, capsys: Captured) -> None:
    stored.run("update legs set target_balance = target_balance + 1")
    stored.run("update fills set wallet_balance = wallet_balance + 1")
    stored.run("update prices set mark_price = mark_price + 1")

    ((records,),) = stored.run(
        "select (select count(*) from legs) + (select count(wallet_balance) from fills) + (select count(*) from prices)"
    )
    found = problems(stored, capsys)
    assert len(found) == 101
    assert found[-1] == {"problem": f"and {records - 100} more"}


def test_an_empty_journal_has_no_problem(database_url: str, capsys: Captured) -> None:
    PostgresJournal.acquire(database_url).close()
    code, answer = run_json(capsys, "verify", "--database-url", database_url, "--json")

    assert (code, answer) == (0, {"ok": True, "offset": 0, "problems": []})


def test_all_rows_gone_is_a_lost_tail_from_row_1(stored: Stored, capsys: Captured) -> None:
    stored.run("delete from journal")

    found = problems(stored, capsys)
    assert (found[0]["offset"], "lost its last rows" in found[0]["problem"]) == (1, True)


def test_a_database_that_no_venue_was_served_from_is_one_line(database_url: str, capsys: Captured) -> None:
    assert main(["verify", "--database-url", database_url]) == 1
    assert "no venue has been served from it" in capsys.readouterr().err


def test_a_database_that_does_not_answer_is_one_line(capsys: Captured) -> None:
    assert main(["verify", "--database-url", "postgresql://nobody@127.0.0.1:1/none"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("perps: error: ")


def test_a_data_directory_without_a_database_is_one_line_and_nothing_is_made(capsys: Captured) -> None:
    assert main(["verify", "--data-dir", "nowhere"]) == 1
    assert "there is no venue's database in nowhere" in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_people_read_a_line_for_each_problem_and_how_many_there_are(stored: Stored, capsys: Captured) -> None:
    offset = alter_a_price(stored)

    assert main(["verify", "--database-url", stored.url]) == 1
    header, line, verdict = capsys.readouterr().out.splitlines()
    assert header == "offset\tticker\tproblem"
    assert line.startswith(f"{offset}\t")
    assert verdict.endswith("1 problem")


def test_verification_changes_nothing_and_takes_no_lock(stored: Stored, capsys: Captured) -> None:
    with PostgresJournal.acquire(stored.url) as journal:
        before = stored.run("select epoch, (select count(*) from journal) from owner")
        code, _ = run_json(capsys, "verify", "--database-url", stored.url, "--json")
        assert code == 0
        assert sql(stored.url, "select epoch, (select count(*) from journal) from owner") == before
        stored.scribe.epoch = journal.epoch
        stored.scribe.price(5_000_001)
        journal.append(stored.scribe.since(ROWS))
