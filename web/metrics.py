"""Prometheus metrics of one venue. Each venue has its own registry, so that two in one process do not mix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.messages import Settled

disable_created_metrics()  # type: ignore[no-untyped-call]  # when a counter was made: a third of all lines

NS_PER_S = 1e9

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SNAPSHOT_BUCKETS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

STAGE_HELP = (
    "Time of the oldest command of each commit, by stage: decide (held → decided), sequence (→ ordered), "
    "commit (→ durable), publish (→ read model)."
)
DEATHS_HELP = (
    "Deaths of actors, by part (a market's ticker, journal, ledger, supervisor, look-up, timer) and exception."
)
STUCK_HELP = "How long a part has taken over one thing, while that is too long; else 0."


class _ByMarket(Collector):
    """A gauge with a value for each market."""

    def __init__(self, name: str, help_text: str, read: Callable[[], Iterable[tuple[str, float]]]) -> None:
        self._name, self._help_text, self._read = name, help_text, read

    def collect(self) -> Iterable[Metric]:
        """The values now."""
        family = GaugeMetricFamily(self._name, self._help_text, labels=["ticker"])
        for ticker, value in self._read():
            family.add_metric([ticker], value)
        yield family


class Metrics:
    """Counts and times of what is committed, refused and waiting. A trade is counted when it is durable."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._text = (0, b"")
        # commands and their way into the journal
        self.commands = self._counter("perps_commands_total", "Commands made durable, by kind.", "kind")
        self.refusals = self._counter("perps_refusals_total", "Requests that ended in an error, by code.", "code")
        self.liquidations = self._counter("perps_liquidations_total", "Positions liquidated, by market.", "ticker")
        self.stage = self._histogram("perps_stage_seconds", STAGE_HELP, LATENCY_BUCKETS_S, "stage")
        self._stages = {name: self.stage.labels(name) for name in ("decide", "sequence", "commit", "publish")}
        self.latency = self._histogram(
            "perps_command_seconds", "Time from a command's arrival to its durable answer.", LATENCY_BUCKETS_S
        )
        self.batch = self._histogram("perps_commit_rows", "Journal rows in one commit.", BATCH_BUCKETS)
        # snapshots
        self.snapshots = self._counter(
            "perps_snapshots_total", "Snapshots, by outcome: taken, failed or stalled.", "outcome"
        )
        self.snapshot_seconds = self._histogram(
            "perps_snapshot_seconds", "Time to take a snapshot.", SNAPSHOT_BUCKETS_S
        )
        # what dies, hangs or is cut
        self.core_restarts = self._counter("perps_core_restarts_total", "Times the core was rebuilt from the journal.")
        self.deaths = self._counter("perps_deaths_total", DEATHS_HELP, "part", "reason")
        self.stuck = self._counter("perps_stuck_total", "Times a part took too long over one thing.", "part")
        self.stuck_seconds = Gauge("perps_stuck_seconds", STUCK_HELP, ["part"], registry=self.registry)
        self.connections_cut = self._counter(
            "perps_connections_cut_total", "Connections that waited for a request and were closed to make room."
        )
        self.loop_blocked = self._counter(
            "perps_loop_blocked_total", "Times the event loop stood for a second or longer."
        )
        self.loop_blocked_seconds = self._counter(
            "perps_loop_blocked_seconds_total", "How long it stood, all times together."
        )

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, help_text, labels, buckets=buckets, registry=self.registry)

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """A value read when somebody asks: a queue's depth, an offset."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def by_market(self, name: str, help_text: str, read: Callable[[], Iterable[tuple[str, float]]]) -> None:
        """A value of each market, by ticker, read when somebody asks."""
        self.registry.register(_ByMarket(name, help_text, read))

    def committed(self, rows: Sequence[Settled], published_ns: int) -> None:
        """One commit has been published."""
        self.batch.observe(len(rows))
        stages = rows[0].stages
        if stages.held_ns:
            self._stages["decide"].observe((stages.decided_ns - stages.held_ns) / NS_PER_S)
        self._stages["sequence"].observe((stages.sequenced_ns - stages.decided_ns) / NS_PER_S)
        self._stages["commit"].observe((stages.committed_ns - stages.sequenced_ns) / NS_PER_S)
        self._stages["publish"].observe((published_ns - stages.committed_ns) / NS_PER_S)
        kinds: dict[str, int] = {}
        for settled in rows:
            row = settled.entry.row
            kinds[row.kind] = kinds.get(row.kind, 0) + 1
            if settled.liquidations:
                self.liquidations.labels(row.stream).inc(settled.liquidations)
        for kind, count in kinds.items():
            self.commands.labels(kind).inc(count)

    def died(self, part: str, reason: str) -> None:
        """An actor died. Called in its thread."""
        self.deaths.labels(part, reason).inc()

    def done(self, began_ns: int, now_ns: int) -> None:
        """A command has its durable answer."""
        self.latency.observe((now_ns - began_ns) / NS_PER_S)

    def text(self, now_ns: int, before: Callable[[], None], *, age_ns_max: int = 0) -> bytes:
        """The exposition format, made less than ``age_ns_max`` ago, or now, once ``before`` has been called."""
        made_ns, text = self._text
        if not text or now_ns - made_ns >= age_ns_max:
            before()
            text = generate_latest(self.registry)
            self._text = (now_ns, text)
        return text
