"""A log that is slow, full or gone stops nobody."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

from web.process import last_words, log_sink
from web.process.log_sink import LogSink

ROOT: Final = Path(__file__).parents[3]


class _Stuck(io.BytesIO):
    """A file whose first write waits until the test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def write(self, data: object) -> int:
        self.entered.set()
        assert self.let_go.wait(5)
        return super().write(data)  # type: ignore[arg-type]


class _Broken(io.BytesIO):
    """A pipe whose reader has left."""

    def write(self, data: object) -> int:
        raise BrokenPipeError("nobody reads")


class _Slow(io.BytesIO):
    """A file that takes three bytes at a time."""

    def write(self, data: object) -> int:
        return super().write(bytes(data)[:3])  # type: ignore[call-overload]


def _lost(lines: int) -> bytes:
    return b"%d lost\n" % lines


def test_lines_come_out_in_order() -> None:
    for file in (io.BytesIO(), _Slow()):
        sink = LogSink(file.write, _lost)
        for number in range(100):
            sink.write(b"%d\n" % number)
        sink.close()

        assert file.getvalue() == b"".join(b"%d\n" % number for number in range(100))
        assert sink.dropped == 0


def test_a_broken_log_raises_nowhere_and_is_counted() -> None:
    sink = LogSink(_Broken().write, _lost)
    sink.write(b"lost\n")
    sink.write(b"lost\nand lost\n")
    sink.close()

    assert sink.dropped == 3


def test_a_log_that_does_not_move_is_not_waited_for_and_says_later_what_it_lost() -> None:
    file = _Stuck()
    sink = LogSink(file.write, _lost)
    sink.write(b"first\n")
    assert file.entered.wait(5)
    line = b"x" * 1023 + b"\n"
    fit = log_sink.WAITING_BYTES_MAX // len(line)
    for _ in range(fit + 7):
        sink.write(line)

    assert sink.dropped == 7
    file.let_go.set()
    sink.close()
    assert file.getvalue() == b"first\n" + line * fit + b"7 lost\n"


def test_a_log_that_never_moves_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sink, "LAST_WRITES_S", 0.1)
    file = _Stuck()
    sink = LogSink(file.write, _lost)
    sink.write(b"first\n")
    assert file.entered.wait(5)

    sink.close()

    assert file.getvalue() == b""
    file.let_go.set()


STOPPED: Final = """
import os, sys
from web.process import logs
from web.process.log_sink import say
import structlog

logs.configure("info")
log = structlog.get_logger()
for number in range(20_000):
    log.info("line", number=number, text="x" * 2000)
say("the last words")
os.write(1, b"done")
"""


FULL: Final = """
import os, threading, time
from web.process import last_words, log_sink, logs

def tell_when_it_waits():
    while not os.get_blocking(2):
        time.sleep(0.001)
    os.write(1, b"full")

logs.configure()
os.set_blocking(2, False)
try:
    while os.write(2, b"x" * 4096):
        pass
except BlockingIOError:
    pass
threading.Thread(target=tell_when_it_waits, daemon=True).start()
{then}
"""
"""A program whose stderr is full and does not wait; it tells when it has been made to wait."""


def _said_when_read(code: str) -> tuple[bytes, int]:
    """What such a program says once somebody reads, and its exit code."""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"full"
        _, said = process.communicate(timeout=15)
    return said, process.returncode


def test_a_full_log_that_does_not_wait_is_made_to_wait_and_loses_nothing() -> None:
    then = "for n in range(40_000): log_sink.say(str(n))"
    said, code = _said_when_read(FULL.format(then=then))

    assert said.lstrip(b"x") == b"".join(b"%d\n" % n for n in range(40_000))
    assert code == 0


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "terminal", "pipe that does not wait", "terminal that does not wait"])
def test_a_process_whose_stderr_nobody_reads_goes_on_and_ends(kind: str) -> None:
    ours, theirs = os.pipe() if kind.startswith("pipe") else pty.openpty()
    os.set_blocking(theirs, "not wait" not in kind)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", STOPPED], cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
        ) as process:
            said, _ = process.communicate(timeout=15)
    finally:
        os.close(ours)
        os.close(theirs)

    assert said == b"done"
    assert process.returncode == 0


def test_last_words_wait_for_a_reader_of_a_full_pipe_that_does_not_wait() -> None:
    said, code = _said_when_read(FULL.format(then="last_words.end_process('it is over')"))

    assert b"perps: error: it is over\n" in said
    assert b"Traceback" not in said
    assert code == last_words.LOOP_BLOCKED_EXIT
