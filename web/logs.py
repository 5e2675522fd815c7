"""Structured logs: JSON where nobody looks, colours on a terminal; one canonical line per command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Container, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from actors.messages import Settled
from perps.events import MarketListed, PositionOpened, PositionReduced, PriceUpdated, subject_of
from perps.journal import Entry
from web.log_sink import LogSink
from web.read_model import MarketView

log = structlog.get_logger()

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure(level: str = "info") -> None:
    """Set up structlog for this process: once, by the composition root. Logs go to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _timestamp,
    ]
    if sys.stderr.isatty():
        processors = [
            *shared,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        processors = [
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=lambda event, **_: _encode(event)),
        ]
        sink: Any = LogSink(sys.stderr.buffer)
        factory = structlog.BytesLoggerFactory(sink)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=factory,
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


def _is_bytes() -> bool:
    return isinstance(structlog.get_config()["logger_factory"], structlog.BytesLoggerFactory)


class CommandLog:
    """The canonical line: trace, user, ticker, price used with its source and offset, outcome, ms per stage."""

    def __init__(self) -> None:
        self._prices: dict[str, tuple[int, str]] = {}
        self._enabled = log.is_enabled_for(logging.INFO)
        self._lines = structlog.get_config()["logger_factory"]() if _is_bytes() else None

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
        common = {"level": "info", "timestamp": _now()}
        self._lines.info(b"\n".join([_encode(event | common) for event in events]))

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
