"""What the watchdog sees of actors: who is busy for too long, who is idle, who is gone without a word."""

from __future__ import annotations

import threading

import pytest

from actors.base import FailStopActor
from actors.vitals import IDLE_AFTER_S, SHOWN_AFTER_S, Pulse, Vitals


@pytest.fixture
def lost() -> list[str]:
    """What was reported as gone."""
    return []


@pytest.fixture
def vitals(lost: list[str]) -> Vitals:
    """The vitals of a core without actors."""
    return Vitals(lost.append)


def test_a_batch_shows_when_it_takes_too_long_and_no_longer_when_it_is_done(vitals: Vitals) -> None:
    pulse = vitals.pulse("journal")
    pulse.doing = "committing"
    pulse.turn += 1
    assert vitals.look(10.0) == []
    assert vitals.look(10.0 + SHOWN_AFTER_S - 0.01) == []
    (busy,) = vitals.look(12.5)
    assert (busy.part, busy.doing, busy.for_s) == ("journal", "committing", 2.5)
    pulse.turn += 1
    assert vitals.look(12.7) == []


def test_many_short_batches_are_not_one_long_one(vitals: Vitals) -> None:
    pulse = vitals.pulse("market", "BTC-PERP")
    for look in range(20):
        pulse.turn += 1 if look == 0 else 2
        assert vitals.look(look * 0.2) == []


def test_a_large_batch_that_goes_on_is_not_stuck(vitals: Vitals) -> None:
    pulse = vitals.pulse("journal")
    pulse.turn += 1
    for look in range(20):
        pulse.step()
        assert vitals.look(look * (SHOWN_AFTER_S - 0.01)) == []
    assert len(vitals.look(20 * SHOWN_AFTER_S)) == 1


def test_a_busy_market_is_named_by_its_ticker(vitals: Vitals) -> None:
    vitals.pulse("market", "BTC-PERP").turn += 1
    vitals.look(0.0)
    assert [busy.part for busy in vitals.look(1.0)] == ["BTC-PERP"]


def test_only_who_is_idle_is_asked_and_again_only_after_another_while(vitals: Vitals) -> None:
    pulse, asked = vitals.pulse("journal"), list[float]()
    now = 0.0

    def ask() -> None:
        asked.append(now)
        pulse.turn += 2

    pulse.on_idle = ask
    for quarter in range(13):
        now = quarter / 4
        if now < 1:
            pulse.turn += 2
        vitals.look(now)
    assert asked == [0.75 + IDLE_AFTER_S, 2.0, 2.75], "idleness begins at the first look that sees it"


def test_a_busy_actor_is_not_asked(vitals: Vitals) -> None:
    pulse, asked = vitals.pulse("journal"), list[bool]()
    pulse.on_idle = lambda: asked.append(True)
    pulse.turn += 1
    for second in range(10):
        vitals.look(second)
    assert asked == []


def _ended_thread() -> threading.Thread:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return thread


@pytest.mark.parametrize(("ticker", "said"), [(None, "the ledger"), ("BTC-PERP", "BTC-PERP")])
def test_a_thread_that_is_gone_without_a_word_is_reported_once(
    vitals: Vitals, lost: list[str], ticker: str | None, said: str
) -> None:
    pulse = vitals.pulse("ledger", ticker)
    pulse.thread = _ended_thread()
    vitals.look(0.0)
    vitals.look(0.2)
    assert lost == [f"{said} is gone without a word"]


def test_an_end_that_was_told_or_asked_for_is_not_reported(vitals: Vitals, lost: list[str]) -> None:
    vitals.pulse("ledger").ended()
    vitals.look(0.0)
    vitals.expect_stops()
    vitals.pulse("journal").thread = _ended_thread()
    vitals.pulse("supervisor").stopped()
    vitals.look(0.2)
    assert lost == []


def test_the_first_part_that_dies_is_the_cause_and_a_market_never_is(vitals: Vitals) -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    vitals.pulse("market", "A").died(ValueError("a market"))
    vitals.pulse("ledger").died(first)
    vitals.pulse("journal").died(second)
    assert vitals.cause is first


def test_a_pulse_without_a_core_may_end_in_any_way() -> None:
    pulse = Pulse("an actor")
    pulse.died(None)
    pulse.stopped()
    pulse.lost()
    pulse.ended()


class _Idle(FailStopActor):
    """Does nothing."""

    def handle(self, batch: list[object]) -> None:
        """Nothing."""


def test_an_actor_whose_thread_is_just_starting_is_not_gone(
    vitals: Vitals, lost: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def looked_at(thread: threading.Thread) -> None:
        vitals.look(0.0)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", looked_at)
    ref = _Idle.start(pulse=vitals.pulse("market", "NEW-PERP"))
    vitals.look(0.1)
    ref.stop()

    assert lost == []
