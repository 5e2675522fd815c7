"""Structured logs: JSON where nobody looks, colours on a terminal; one canonical line per command.

A terminal shows the lines of commands, done and refused, only at the level ``debug``: trades would fill it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Container, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from msgspec import Struct

from actors.messages import Settled
from perps.effects import Priced, Traded
from perps.journal import Entry
from web.process import log_sink, log_text
from web.readside.model import MarketView

log = structlog.get_logger()

OF_COMMANDS: Final = frozenset(("command", "refused"))
"""The events of which there is one for each command."""


def configure(level: str = "info") -> None:
    """Set up structlog for this process: once, by the composition root. Logs go to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _timestamp,
    ]
    if sys.stderr.isatty():
        console = structlog.dev.ConsoleRenderer(exception_formatter=log_text.traceback)
        quiet = [] if level.upper() == "DEBUG" else [_without_commands]
        processors = [*quiet, *shared, log_text.escape_values, console, _encoded]
        sink: Any = log_sink.start(lambda lines: f"{_now()} [warning  ] log.lines_lost lines={lines}\n".encode())
    else:
        processors = [*shared, structlog.processors.format_exc_info, _json]
        sink = log_sink.start(
            lambda lines: log_text.json_line({"event": "log.lines_lost", "lines": lines} | _common("warning")) + b"\n"
        )
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.BytesLoggerFactory(sink),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Passing()], level=logging.WARNING, force=True)
    logging.getLogger("pykka").setLevel(logging.CRITICAL)  # deaths are told by actors/base.py


class _Passing(logging.Handler):
    """What libraries log by themselves, as lines like all others; a warning (an outage) is one without traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        said: dict[str, object] = {"logger": record.name, "message": record.getMessage()}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and record.levelno < logging.ERROR:
            said["error"], error = repr(error), None
        log.log(record.levelno, "library", **said, exc_info=error)


def _without_commands(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor that leaves the lines of commands out."""
    if event["event"] in OF_COMMANDS:
        raise structlog.DropEvent
    return event


def _timestamp(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor that adds the time, where a line has none of its own."""
    event.setdefault("timestamp", _now())
    return event


def _now() -> str:
    return _spelt(datetime.now(UTC))


def _spelt(time: datetime) -> str:
    """RFC 3339 UTC with microseconds: the one spelling of time in logs."""
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"


def _common(level: str) -> dict[str, str]:
    """What every line of JSON has."""
    return {"level": level, "timestamp": _now()}


def _json(_: object, __: str, event: MutableMapping[str, Any]) -> bytes:
    """The last processor, where nobody looks."""
    return log_text.json_line(event)


def _encoded(_: object, __: str, line: str) -> bytes:
    """The last processor on a terminal."""
    return line.encode("utf-8", "backslashreplace")


def _is_json() -> bool:
    return structlog.get_config()["processors"][-1] is _json


def _shows_commands() -> bool:
    return log.is_enabled_for(logging.INFO) and structlog.get_config()["processors"][0] is not _without_commands


class Published(NamedTuple):
    """A commit, and when the read model and the streams had it: monotonic nanoseconds, and UTC."""

    rows: Sequence[Settled]
    published_ns: int
    published_at: datetime


class CommandLine(Struct, frozen=True, omit_defaults=True, gc=False):
    """The canonical line: trace, user, ticker, price used with its source and offset, outcome, ms per stage."""

    event: str
    level: str
    timestamp: str
    trace: str
    kind: str
    user: str | None
    ticker: str | None
    outcome: str
    offset: int
    decide_ms: float
    sequence_ms: float
    commit_ms: float
    publish_ms: float
    index_price_ticks: int | None = None
    """The price a trade was decided on, and below the row that had set it, and who."""
    price_offset: int | None = None
    price_source: str | None = None
    liquidations: int = 0


class CommandLog:
    """Writes the canonical lines."""

    def __init__(self) -> None:
        self._prices: dict[str, tuple[int, str]] = {}
        self._enabled = _shows_commands()
        self._lines = structlog.get_config()["logger_factory"]() if _is_json() else None

    def know(self, markets: Mapping[str, MarketView]) -> None:
        """The prices that stand when the venue starts, or after rows that were not logged."""
        self._prices = {ticker: (view.price_offset, view.price_source) for ticker, view in markets.items()}

    def write(self, commits: Sequence[Published], markets: Container[str]) -> None:
        """The durable commands of commits, in journal order: each price offset is the one decided on.

        Where nobody looks, all lines are encoded and written at once: a line through structlog's processors costs as
        much as the command itself.
        """
        lines: list[CommandLine] = []
        for commit in commits:
            timestamp = _spelt(commit.published_at)
            for settled in commit.rows:
                self._learn(settled.entry)
                if self._enabled:
                    lines.append(self._line(settled, markets, commit.published_ns, timestamp))
        if not lines:
            return
        if self._lines is not None:
            self._lines.info(log_text.json_lines(lines))
            return
        for line in lines:
            log.info(**msgspec.to_builtins(line))

    def _learn(self, entry: Entry) -> None:
        for effect in entry.effects[0]:
            if isinstance(effect, Priced):
                self._prices[entry.row.stream] = (entry.row.offset, effect.source)

    def _line(self, settled: Settled, markets: Container[str], published_ns: int, timestamp: str) -> CommandLine:
        row, stages = settled.entry.row, settled.stages
        event = settled.entry.events[0]
        price: tuple[int | None, int | None, str | None] = (None, None, None)
        for effect in settled.entry.effects[0]:
            if isinstance(effect, Traded):
                price = (effect.fill.index_price, *self._prices.get(row.stream, (None, None)))
        return CommandLine(
            "command",
            "info",
            timestamp,
            settled.trace_id,
            row.kind,
            event.subject or row.user_id,
            row.stream if row.stream in markets else None,
            "done",
            row.offset,
            _ms(stages.held_ns or stages.decided_ns, stages.decided_ns),
            _ms(stages.decided_ns, stages.sequenced_ns),
            _ms(stages.sequenced_ns, stages.committed_ns),
            _ms(stages.committed_ns, published_ns),
            *price,
            settled.liquidations,
        )


def _ms(start_ns: int, end_ns: int) -> float:
    return (end_ns - start_ns) // 1_000 / 1_000
