"""What a tool shows moves no cursor and stays on its line, whoever wrote it; JSON keeps its value."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tools.commands import run
from tools.errors import BadAnswer, ToolError
from tools.output import counted, json_text, printable, progress, show_record, show_table

Captured = pytest.CaptureFixture[str]

HOSTILE = "\x1b]0;owned\x07\r\n\tgood\x7f\x9b31m\u202e\u2028\U000e0001 é😀"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both outputs are terminals."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


@pytest.mark.parametrize(("count", "told"), [(0, "0 open positions"), (1, "1 open position"), (2, "2 open positions")])
def test_one_thing_is_no_plural(count: int, told: str) -> None:
    assert counted(count, "open position") == told


def is_harmless(text: str) -> bool:
    return all(line.replace("\t", " ").isprintable() for line in text.split("\n"))


def test_what_cannot_be_printed_is_spelt_out_and_the_rest_left_alone() -> None:
    assert printable(HOSTILE) == (r"\x1b]0;owned\x07\r\n\tgood\x7f\x9b31m\u202e\u2028\U000e0001 é😀")


@pytest.mark.parametrize("value", [{"a": HOSTILE, HOSTILE: [1]}, json.dumps({"a": [HOSTILE]}, indent=1).encode()])
def test_json_is_one_printable_line_of_the_same_value(value: object) -> None:
    text = json_text(value)

    assert text.isprintable()
    assert json.loads(text) == (json.loads(value) if isinstance(value, bytes) else value)


def test_a_raw_escape_within_an_answer_is_escaped_too() -> None:
    text = json_text('{"a":"\x9b31m\u202e\U000e0001"}'.encode())

    assert text.isprintable()
    assert json.loads(text) == {"a": "\x9b31m\u202e\U000e0001"}


def test_a_path_that_is_not_utf_8_can_be_told_in_json() -> None:
    path = os.fsdecode(b"/tmp/\xff.csv")

    assert printable(path) == r"/tmp/\udcff.csv"
    assert json.loads(json_text({"error": path})) == {"error": path}


@pytest.mark.parametrize("answer", [b"\x1b[2J", b'{"a":', b'{"a":"\xff"}', b"<html>", b"[" * 100_000])
def test_an_answer_that_is_not_json_is_refused(answer: bytes) -> None:
    with pytest.raises(BadAnswer, match="not JSON"):
        json_text(answer)


def test_a_cell_stays_a_cell_on_a_pipe(capsys: Captured) -> None:
    show_table(("a", "b"), [(HOSTILE, "1")])
    show_record({HOSTILE: {HOSTILE: HOSTILE}})

    said = capsys.readouterr().out
    assert is_harmless(said)
    assert [line.count("\t") for line in said.splitlines()] == [1, 1, 1]


@pytest.mark.usefixtures("terminal")
def test_a_table_on_a_terminal_has_no_escapes_of_its_content(capsys: Captured) -> None:
    show_table(("a", "b"), [(HOSTILE, "1")])
    show_record({"name": HOSTILE})

    said = capsys.readouterr().out
    assert "\x1b]0" not in said
    assert "\x9b" not in said
    assert "\u202e" not in said


@pytest.mark.usefixtures("terminal")
def test_the_note_of_a_progress_bar_has_no_escapes(capsys: Captured) -> None:
    with progress("working", 2) as report:
        report(1, HOSTILE)

    assert "\x1b]0" not in capsys.readouterr().err


def test_an_error_is_one_printable_line(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> int:
        error = ToolError(HOSTILE)
        error.as_json = True
        raise error

    monkeypatch.setattr("tools.commands.perps.main", fail)
    assert run(()) == 1
    said = capsys.readouterr()
    assert is_harmless(said.err)
    assert said.err.count("\n") == 1
    assert is_harmless(said.out)
    assert json.loads(said.out)["error"]["message"] == HOSTILE
