"""Structured logs: JSON where nobody looks, colours on a terminal; one canonical line per command."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

import msgspec
import structlog

from actors.messages import Settled
from perps.events import MarketListed, PositionOpened, PositionReduced, PriceUpdated, subject_of
from perps.journal import Entry

log = structlog.get_logger()

LEVELS: Final = ("debug", "info", "warning", "error")

NS_PER_MS: Final = 1e6


def configure(level: str = "info") -> None:
    """Set up structlog for this process: once, by the composition root. Logs go to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if sys.stderr.isatty():
        processors = [*shared, structlog.dev.ConsoleRenderer()]
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        encode = msgspec.json.Encoder(enc_hook=repr).encode
        processors = [
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=lambda event, **_: encode(event)),
        ]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.getLogger("pykka").setLevel(logging.CRITICAL)


class CommandLog:
    """The canonical line: trace, user, ticker, price used with its source and offset, outcome, ms per stage."""

    def __init__(self) -> None:
        self._prices: dict[str, tuple[int, str]] = {}

    def learn(self, entry: Entry) -> None:
        """A row that is not logged itself, but may carry a market's price."""
        event = entry.events[0]
        if isinstance(event, PriceUpdated):
            self._prices[entry.row.stream] = (entry.row.offset, event.source)
        elif isinstance(event, MarketListed):
            self._prices[entry.row.stream] = (entry.row.offset, "system")

    def settled(self, settled: Settled, is_market: bool, now_ns: int) -> None:
        """One durable command. Called in journal order, so that the price offset is the one it was decided on."""
        row, stages = settled.entry.row, settled.stages
        event = settled.entry.events[0]
        self.learn(settled.entry)
        fields: dict[str, Any] = {
            "trace": settled.trace_id,
            "kind": row.kind,
            "user": subject_of(event) or row.user_id,
            "ticker": row.stream if is_market else None,
            "outcome": "done",
            "offset": row.offset,
            "decide_ms": _ms(stages.held_ns or stages.decided_ns, stages.decided_ns),
            "sequence_ms": _ms(stages.decided_ns, stages.sequenced_ns),
            "commit_ms": _ms(stages.sequenced_ns, stages.committed_ns),
            "publish_ms": _ms(stages.committed_ns, now_ns),
        }
        if isinstance(event, PositionOpened | PositionReduced):
            fields["index_price_ticks"] = event.fill.index_price
            fields["price_offset"], fields["price_source"] = self._prices.get(row.stream, (None, None))
        if settled.liquidations:
            fields["liquidations"] = settled.liquidations
        log.info("command", **fields)


def _ms(start_ns: int, end_ns: int) -> float:
    return round((end_ns - start_ns) / NS_PER_MS, 3)
