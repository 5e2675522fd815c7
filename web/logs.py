"""Structured logs: JSON where nobody looks, colours on a terminal; one canonical line per command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Container, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from actors.messages import Settled
from perps.events import MarketListed, PositionOpened, PositionReduced, PriceUpdated, subject_of
from perps.journal import Entry
from web import log_sink, log_text
from web.read_model import MarketView

log = structlog.get_logger()


def configure(level: str = "info") -> None:
    """Set up structlog for this process: once, by the composition root. Logs go to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _timestamp,
    ]
    if sys.stderr.isatty():
        console = structlog.dev.ConsoleRenderer(exception_formatter=log_text.traceback)
        processors = [*shared, log_text.escape_values, console, _encoded]
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
    """What libraries log by themselves, as lines like all others."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        log.log(record.levelno, "library", logger=record.name, message=record.getMessage(), exc_info=error)


def _timestamp(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor that adds the time."""
    event["timestamp"] = _now()
    return event


def _now() -> str:
    """RFC 3339 UTC with microseconds: the one spelling of time in logs."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


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


class CommandLog:
    """The canonical line: trace, user, ticker, price used with its source and offset, outcome, ms per stage."""

    def __init__(self) -> None:
        self._prices: dict[str, tuple[int, str]] = {}
        self._enabled = log.is_enabled_for(logging.INFO)
        self._lines = structlog.get_config()["logger_factory"]() if _is_json() else None

    def know(self, markets: Mapping[str, MarketView]) -> None:
        """The prices that stand when the venue starts, or after rows that were not logged."""
        self._prices = {ticker: (view.price_offset, view.price_source) for ticker, view in markets.items()}

    def commit(self, rows: Sequence[Settled], markets: Container[str], now_ns: int) -> None:
        """The durable commands of one commit, in journal order: each price offset is the one decided on.

        Where nobody looks, all lines of a commit are encoded and written at once: a line through structlog's
        processors costs as much as the command itself.
        """
        events = []
        for settled in rows:
            self._learn(settled.entry)
            if self._enabled:
                events.append(self._event(settled, markets, now_ns))
        if not events:
            return
        if self._lines is None:
            for event in events:
                log.info(**event)
            return
        common = _common("info")
        self._lines.info(b"\n".join([log_text.json_line(event | common) for event in events]))

    def _learn(self, entry: Entry) -> None:
        event = entry.events[0]
        if isinstance(event, PriceUpdated):
            self._prices[entry.row.stream] = (entry.row.offset, event.source)
        elif isinstance(event, MarketListed):
            self._prices[entry.row.stream] = (entry.row.offset, "system")

    def _event(self, settled: Settled, markets: Container[str], now_ns: int) -> dict[str, Any]:
        row, stages = settled.entry.row, settled.stages
        event = settled.entry.events[0]
        fields: dict[str, Any] = {
            "event": "command",
            "trace": settled.trace_id,
            "kind": row.kind,
            "user": subject_of(event) or row.user_id,
            "ticker": row.stream if row.stream in markets else None,
            "outcome": "done",
            "offset": row.offset,
            "decide_ms": _ms(stages.held_ns or stages.decided_ns, stages.decided_ns),
            "sequence_ms": _ms(stages.decided_ns, stages.sequenced_ns),
            "commit_ms": _ms(stages.sequenced_ns, stages.committed_ns),
            "publish_ms": _ms(stages.committed_ns, now_ns),
        }
        if isinstance(event, (PositionOpened, PositionReduced)):
            fields["index_price_ticks"] = event.fill.index_price
            fields["price_offset"], fields["price_source"] = self._prices.get(row.stream, (None, None))
        if settled.liquidations:
            fields["liquidations"] = settled.liquidations
        return fields


def _ms(start_ns: int, end_ns: int) -> float:
    return (end_ns - start_ns) // 1_000 / 1_000
