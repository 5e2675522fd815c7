"""A log that is slow, full or gone stops nobody."""

from __future__ import annotations

import io
import threading

from web import log_sink
from web.log_sink import LogSink


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


def test_lines_come_out_in_order() -> None:
    file = io.BytesIO()
    sink = LogSink(file)
    for number in range(100):
        sink.write(b"%d\n" % number)
    sink.close()

    assert file.getvalue() == b"".join(b"%d\n" % number for number in range(100))
    assert sink.dropped == 0


def test_a_broken_log_raises_nowhere_and_is_counted() -> None:
    sink = LogSink(_Broken())
    sink.write(b"lost\n")
    sink.close()

    assert sink.dropped == 1


def test_a_log_that_does_not_move_is_not_waited_for() -> None:
    file = _Stuck()
    sink = LogSink(file)
    sink.write(b"first\n")
    assert file.entered.wait(5)
    for _ in range(log_sink.WAITING_MAX + 7):
        sink.write(b"x")

    assert sink.dropped == 7
    file.let_go.set()
    sink.close()
