"""One running venue, put together: stores in, an HTTP server and a core out. It knows no process and no database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from actors.clock import VenueClock
from actors.limits import IN_FLIGHT_MAX
from actors.ports import Clock, History
from web.agents.frames import FORMS
from web.agents.session import Sessions
from web.api.context import Context
from web.api.serving.app import Api
from web.auth import Keys, KeyStore
from web.gateway import Gateway
from web.limits.admission import Admission, RequestLimits
from web.limits.origins import Sites
from web.limits.shares import ReadShares
from web.listener import Listener
from web.metrics import Metrics
from web.process.clock import SystemClock
from web.process.host import Host, OpenJournal
from web.process.observations import Observations
from web.process.snapshots import SnapshotPolicy, Snapshots, TakeSnapshot
from web.readside.leaderboard import Leaderboards
from web.readside.model import ROWS_KEPT, ReadModel
from web.readside.queries import Queries
from web.readside.standings import EquityStore
from web.streams.events import VenueEvents
from web.streams.hub import Hub
from web.streams.sse import HEARTBEAT_S
from web.streams.subscribers import BEHIND_BYTES_MAX
from web.tickets import Tickets


class ReadSide(Queries, Protocol):
    """Queries that live as long as the venue."""

    async def open(self) -> None:
        """Connect."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class Stores(Struct, frozen=True, kw_only=True):
    """Where a venue keeps what must last."""

    open_journal: OpenJournal
    history: History
    queries: ReadSide
    keys: KeyStore
    equity: EquityStore
    take_snapshot: TakeSnapshot


class Limits(Struct, frozen=True, kw_only=True):
    """What of a venue is bounded, and by how much."""

    in_flight_max: int = IN_FLIGHT_MAX
    connections_max: int = 0
    """0: as many as the process may have."""
    rows_kept: int = ROWS_KEPT
    behind_bytes_max: int = BEHIND_BYTES_MAX
    heartbeat_s: float = HEARTBEAT_S
    snapshots: SnapshotPolicy = SnapshotPolicy()
    requests: RequestLimits = RequestLimits()
    sites: Sites = Sites()
    public_leaderboard: bool = False
    """Whether anybody may see the leaderboard, without a key."""


class VenueServer:
    """One running venue: the web server, the read side and the core's host."""

    def __init__(
        self,
        stores: Stores,
        admin_key: str,
        *,
        clock: Clock | VenueClock | None = None,
        limits: Limits | None = None,
        demo_keys: Mapping[str, str] | None = None,
    ) -> None:
        limits = limits or Limits()
        time = clock if isinstance(clock, VenueClock) else VenueClock(clock or SystemClock())
        model, metrics = ReadModel(rows_kept=limits.rows_kept), Metrics()
        self._queries = queries = stores.queries
        streams = Hub(model, queries.rows_after, behind_bytes_max=limits.behind_bytes_max)
        read_shares, keys = ReadShares(), Keys(stores.keys, admin_key, time)
        self._snapshots = Snapshots(stores.take_snapshot, model, metrics, limits.snapshots, time)
        self._observations = Observations(model, stores.equity, time)
        self.host = Host(
            stores.open_journal,
            stores.history,
            time,
            model,
            streams,
            metrics,
            in_flight_max=limits.in_flight_max,
        )
        self.context = Context(
            gateway=Gateway(self.host.bridge, model, queries, read_shares, metrics, time),
            bridge=self.host.bridge,
            model=model,
            queries=queries,
            read_shares=read_shares,
            keys=keys,
            tickets=Tickets(keys, time),
            streams=streams,
            stream_events=VenueEvents(model, time),
            agents=Sessions(),
            agent_events={name: VenueEvents(model, time, form) for name, form in FORMS.items()},
            heartbeat_s=limits.heartbeat_s,
            snapshots=self._snapshots,
            metrics=metrics,
            recorder=self.host.recorder,
            clock=time,
            problems=self.host.problems,
            admission=Admission(limits.requests, keys, time),
            sites=limits.sites,
            leaderboards=Leaderboards(model, stores.equity, time),
            observations=self._observations,
            public_leaderboard=limits.public_leaderboard,
            demo_keys={} if demo_keys is None else demo_keys,
        )
        metrics.gauge("perps_problems", "Parts that are not well.", lambda: len(self.host.problems()))
        metrics.gauge("perps_in_flight", "Commands sent and not answered.", lambda: self.host.bridge.in_flight)
        metrics.gauge("perps_offset", "The last durable row.", lambda: model.offset)
        metrics.gauge("perps_snapshot_offset", "The newest snapshot.", lambda: self._snapshots.last_offset)
        metrics.gauge("perps_snapshot_problem", "1: the last one failed.", lambda: self._snapshots.problem is not None)
        metrics.gauge(
            "perps_snapshot_age_seconds",
            "Since the last snapshot, if there is a newer row.",
            lambda: self._snapshots.age_s,
        )
        metrics.gauge("perps_streams", "Open event streams.", lambda: streams.readers)
        metrics.by_market(
            "perps_price_age_seconds", "How old each market's price is.", lambda: model.price_ages(time.now_ms())
        )
        metrics.gauge("perps_agents", "Agents on their sockets.", lambda: len(self.context.agents))
        metrics.by_market("perps_house_available", "What each house could pay, US dollars.", model.houses_available)
        metrics.by_market("perps_house_liability", "What each house would pay if all left.", model.houses_liable)
        self._listener = Listener(
            Api(self.context), metrics, limits.connections_max, lambda message: keys.payer(message) is not None
        )

    async def listen(self, host: str, port: int) -> int:
        """Answer on a port; ``/readyz`` says 503 until ``start`` has ended. Returns the port (0 asks for any)."""
        return await self._listener.open(host, port)

    async def start(self) -> None:
        """Recover, open the doors."""
        await self.host.start()
        await self._queries.open()
        await self.context.keys.open()
        self._snapshots.start(self.host.began_at)
        self._observations.start()
        self.context.started = True

    async def close(self) -> None:
        """Drain and stop: answers first, then streams and connections, then the core."""
        self.context.draining = True
        self.context.arrivals.end()
        await self._snapshots.stop()
        await self._observations.stop()
        await self.host.stop()
        await self.context.agents.close()
        self.context.streams.close()
        await self._listener.close()
        await self._queries.close()
