"""The table of faults and tests: ``python -m tests.faults.table`` writes it into ``docs/faults.md``."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.faults import faults_of

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "faults.md"
BEGIN: Final = "<!-- written by python -m tests.faults.table -->"
END: Final = "<!-- to here -->"
HEAD: Final = ("| Fault | Invariants | Test |", "|---|---|---|")

SECTIONS: Final = {
    "Process": (
        "tests/endtoend/test_kill_9.py",
        "tests/endtoend/test_kill_9_amid_a_crash.py",
        "tests/endtoend/test_kill_9_deleveraging.py",
        "tests/endtoend/test_streams.py",
        "tests/endtoend/test_channel.py",
        "tests/faults/test_process.py",
        "tests/faults/test_limits.py",
    ),
    "Database": (
        "tests/faults/test_database.py",
        "tests/faults/test_disk.py",
        "tests/faults/test_network.py",
        "tests/faults/test_ownership.py",
    ),
    "Data": ("tests/faults/test_data.py", "tests/faults/test_snapshots.py"),
    "Actors": ("tests/faults/test_actors.py",),
}
"""Modules whose tests say by ``fault`` what they throw, by what it is thrown at."""

ELSEWHERE: Final = (
    ("Process", "SIGTERM under load", "I1 I8", "endtoend/test_serving.py::test_sigterm_answers_all_that_is_in_flight"
     "_and_refuses_the_rest"),
    ("Process", "start called off during replay", "I5", "actors/test_starts_can_be_called_off.py::"
     "test_a_start_that_is_called_off_gives_the_shard_back"),
    ("Database", "kill -9 of the postmaster", "I1 I8 I13", "endtoend/test_database_faults.py::"
     "test_nothing_is_acknowledged_and_nothing_lost_while_the_database_is_dead"),
    ("Database", "kill -9 of one backend, and of the venue", "I12", "endtoend/test_database_faults.py::"
     "test_a_venue_started_while_its_database_recovers_waits_for_it"),
    ("Database", "pg_ctl restart -m fast", "I1 I3 I4 I12 I13", "endtoend/test_database_faults.py::"
     "test_a_venue_serves_again_by_itself_after_its_database_was_restarted"),
    ("Database", "commit outcome unknown", "I4 I13", "actors/test_core_is_rebuilt.py::"
     "test_an_unknown_outcome_resolves_by_retry_to_what_the_journal_says"),
    ("Database", "commit outcome unknown", "I4 I13", "actors/test_core_is_rebuilt.py::"
     "test_of_many_in_doubt_each_is_done_once_or_never_seen"),
    ("Database", "commit outcome unknown", "I1 I3", "actors/test_core_is_rebuilt.py::"
     "test_what_was_lost_leaves_no_trace_in_any_balance"),
    ("Database", "commit outcome unknown: no answer in time", "I2 I5", "persistence/journal/test_writer.py::"
     "test_an_append_that_takes_too_long_is_in_doubt_and_ends_the_journal"),
    ("Database", "rows lost that a refusal rested on", "I8", "actors/test_nothing_is_lost_between_actors.py::"
     "test_a_refusal_does_not_leave_before_the_rows_it_rests_on"),
    ("Database", "second server on the same database", "I5 I9", "endtoend/test_serving.py::"
     "test_a_second_venue_on_the_same_database_is_refused"),
    ("Database", "second server on the same data directory", "I5 I9", "endtoend/test_serving.py::"
     "test_a_second_venue_on_the_same_data_directory_is_refused"),
    ("Database", "zombie owner: its write meets a take-over", "I9", "persistence/journal/test_writer.py::"
     "test_an_append_that_meets_a_take_over_not_committed_yet_waits_for_it_and_writes_nothing"),
    ("Database", "zombie owner: its write after a take-over", "I9", "persistence/journal/test_journal_contract.py::"
     "test_an_owner_after_a_take_over_writes_nothing_more"),
    ("Data", "snapshot of a state that contradicts itself", "I3 I6", "web/readside/test_wrong_snapshots.py::"
     "test_a_state_that_contradicts_itself_is_skipped_with_a_warning"),
    ("Data", "snapshot whose read side does not fit its state", "I6", "web/readside/test_wrong_snapshots.py::"
     "test_views_that_do_not_fit_the_state_are_skipped_with_a_warning"),
    ("Actors", "poison command: its neighbours in the batch", "I4 I8 I13", "actors/test_markets_die_alone.py::"
     "test_its_neighbours_in_the_batch_are_done_by_its_successor"),
    ("Actors", "poison command: its effect", "I3 I7", "actors/test_markets_die_alone.py::"
     "test_a_poison_command_is_answered_and_has_no_effect"),
    ("Actors", "poison command: its hold", "I3 I7", "actors/test_markets_die_alone.py::test_its_holds_are_voided"),
    ("Actors", "poison command: other markets", "I12", "actors/test_markets_die_alone.py::"
     "test_other_markets_trade_on_while_one_is_rebuilt"),
    ("Actors", "poison command: the journal", "I3 I5 I6", "actors/test_markets_die_alone.py::"
     "test_the_journal_replays_to_the_same_state_after_a_death"),
    ("Actors", "poison command, again and again", "I11 I12", "actors/test_markets_die_alone.py::"
     "test_a_market_that_dies_again_and_again_stays_down_and_says_why"),
    ("Actors", "a command that breaks the ledger", "I12 I13", "actors/test_core_is_rebuilt.py::"
     "test_a_command_that_breaks_the_ledger_does_not_stop_the_venue"),
    ("Actors", "an actor's thread dies, of any exception", "I12", "actors/test_deaths_are_noticed.py::"
     "test_a_thread_that_is_told_to_exit_is_made_good"),
)  # fmt: skip
"""Tests of other packages: section, fault, invariants, and the test's place under ``tests/``."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    section: str
    fault: str
    invariants: tuple[str, ...]
    test: str
    """``path::name``."""

    def __str__(self) -> str:
        return f"| {self.fault} | {' '.join(self.invariants)} | `{self.test}` |"


def rows() -> list[Row]:
    """Every fault that is thrown, with its test."""
    found = [
        Row(section, fault.name, fault.invariants, f"{path}::{name}")
        for section, paths in SECTIONS.items()
        for path in paths
        for name, test in vars(importlib.import_module(path.removesuffix(".py").replace("/", "."))).items()
        for fault in (faults_of(test) if name.startswith("test_") else ())
    ]
    return found + [
        Row(section, fault, tuple(invariants.split()), f"tests/{test}")
        for section, fault, invariants, test in ELSEWHERE
    ]


def render() -> str:
    """The table, section by section."""
    lines: list[str] = []
    for section in SECTIONS:
        lines += [f"## {section}", "", *HEAD, *(str(row) for row in rows() if row.section == section), ""]
    return "\n".join(lines)


def main() -> None:
    """Put the table into the page, between its marks."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{render()}\n{END}{after}")


if __name__ == "__main__":
    main()
