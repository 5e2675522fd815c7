"""What a run shows: sums, a summary, a picture."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.agents import plot as plotting
from tools.agents.board import SAMPLES_MAX, Board
from tools.agents.display import show_summary, showing
from tools.agents.jobs import AgentReport, SeatPlan
from tools.agents.plot import check_plot, plot
from tools.errors import ToolError


def a_board() -> Board:
    """Two strategies with three agents."""
    seats = [SeatPlan(n, f"agent-{n}", "key", ("noise", "x.py:Mine", "noise")[n], "BTC-PERP") for n in range(3)]
    board = Board(seats, seed=7)
    for number, one in enumerate(board.agents.values()):
        one.state, one.equity, one.gain, one.trades = "trading", 1000.0 + number, float(number), 10
        one.refusals = {"price_stale": number}
        one.waits.add(4.0)
    return board


def test_the_agents_of_a_strategy_are_summed() -> None:
    noise, mine = a_board().groups()
    assert (noise.strategy, noise.agents, noise.trades, noise.equity, noise.gain) == ("noise", 2, 20, 2002.0, 2.0)
    assert (mine.strategy, mine.agents, mine.refusals) == ("mine", 1, {"price_stale": 1})


def test_a_summary_for_programs_has_every_strategy_and_agent() -> None:
    board = a_board()
    board.lose(["agent-1"], "it broke")
    record = board.record()
    assert record["total"]["equity"] == "3003.00"
    assert record["total"]["crashed"] == 1
    assert record["total"]["refusals"] == {"price_stale": 3}
    assert [one["strategy"] for one in record["strategies"]] == ["noise", "mine"]
    assert record["problems"] == [{"problem": "it broke", "users": ["agent-1"]}]
    assert record["agents"][1]["state"] == "crashed"


def test_a_summary_for_people_names_what_went_wrong_once(capsys: pytest.CaptureFixture[str]) -> None:
    board = a_board()
    board.lose(list(board.agents), "first line\nsecond line")
    show_summary(board)
    shown = capsys.readouterr()
    assert "noise\t2\t2,002.00\t+2.00" in shown.out
    assert "refused: price_stale 3" in shown.out
    assert shown.err == "agent-0, agent-1, agent-2: first line\n    second line\n"


def test_where_there_is_no_terminal_a_line_comes_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with showing() as tell:
        tell(a_board())
        monkeypatch.setattr("tools.agents.display.LINE_EVERY_S", 0.0)
        tell(a_board())
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "0 s: 3 of 3 agents trade, equity 3,003.00 (+3.00), 30 trades, 3 refusals, p50 4.6 ms"


def test_samples_are_thinned_and_never_more_than_their_limit() -> None:
    board = a_board()
    for second in range(3 * SAMPLES_MAX):
        board.pass_time(float(second))
    assert SAMPLES_MAX // 2 <= len(board.samples) <= SAMPLES_MAX
    assert board.samples[0][0] == 0
    assert board.samples[-1][0] >= 3 * SAMPLES_MAX - 4


def test_a_report_takes_the_place_of_the_one_before() -> None:
    board = a_board()
    board.take([AgentReport("agent-0", "noise", "BTC-PERP", equity=5.0)])
    assert board.agents["agent-0"].equity == 5.0


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="the extra plot is not installed")
def test_a_plot_is_a_picture(tmp_path: Path) -> None:
    board = a_board()
    for second in range(5):
        board.pass_time(float(second))
    file = tmp_path / "equity.png"
    check_plot(file)
    plot(board, file)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_plot_without_matplotlib_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plotting, "find_spec", lambda _: None)
    with pytest.raises(ToolError, match=r"pip install matplotlib, or perps\[plot\]"):
        check_plot(tmp_path / "equity.png")


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="the extra plot is not installed")
@pytest.mark.parametrize(("name", "problem"), [("x.doc", "ends with .png"), ("no/x.png", "there is no directory")])
def test_a_picture_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        check_plot(tmp_path / name)
