"""The core's life: started by recovery, watched, rebuilt from the journal when it fails, stopped in order."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Final

import structlog

from actors.bridge import CORE, Bridge
from actors.clock import VenueClock
from actors.core import Core
from actors.limits import IN_FLIGHT_MAX
from actors.messages import Failure, FailureKind, Settled
from actors.ports import History, Journal, JournalUnavailable, OwnershipLost
from actors.recovery import OnEntry, OnSnapshot, Recovered, recover
from actors.vitals import Vitals
from perps.journal import DiskFull, Entry, JournalRefused, LoginRefused
from perps.snapshot.format import Snapshot
from perps.units import Millis
from perps.venue import VenueState
from web.metrics import Metrics
from web.process.daemon_thread import in_daemon_thread
from web.process.loop_watch import LoopWatch
from web.process.recorder import Recorder
from web.process.watchdog import Problem, Watchdog
from web.readside.loading import check_views, load_views
from web.readside.model import ReadModel
from web.streams.hub import Hub

log = structlog.get_logger()

DRAIN_S: Final = 15.0
"""How long an orderly stop waits for answers. Commands end by themselves at their deadline, which is sooner."""

REBUILD_STOP_S: Final = 10.0
"""How long an orderly stop waits for a rebuild to notice it. Past this the rebuild is left behind: what it opens it
closes again by itself, if the process lives so long."""

RETRY_S: Final = (0.1, 0.2, 0.5, 1.0)
"""Pauses between attempts to reach the database again, and between deaths that follow one another within
``CORE_DEATHS_WINDOW_S``; the last one repeats."""

CORE_DEATHS_MAX: Final = 5
"""Deaths of the core within ``CORE_DEATHS_WINDOW_S`` after which it is still rebuilt. At one more the venue ends: what
it dies of is in the journal or in the program, and another try would die of it too. A database that is away does not
count."""

CORE_DEATHS_WINDOW_S: Final = 60.0

DISK_FULL_SHOWN_S: Final = 10.0
"""How long a full disk is shown after the core was rebuilt, unless a commit shows sooner that there is room."""

JOURNAL: Final = "journal"
"""The part that a full disk is a problem of."""

OpenJournal = Callable[[], Journal]


class StartAborted(Exception):
    """The start was called off before the venue was ready. No row was written."""


class CoreLost(Exception):
    """The core dies again and again."""


class Host:
    """Runs the core for one event loop and feeds what it commits to the read model, the streams, metrics and logs."""

    def __init__(
        self,
        open_journal: OpenJournal,
        history: History,
        clock: VenueClock,
        model: ReadModel,
        streams: Hub,
        metrics: Metrics,
        *,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> None:
        self._open_journal, self._history, self._clock = open_journal, history, clock
        self._model, self._streams, self._metrics = model, streams, metrics
        self.recorder = Recorder(model, metrics)
        self._aborted = threading.Event()
        self.began_at = 0
        """The row of the snapshot that the start began from; 0 if there was none."""
        self._core: Core | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._rebuilding = False
        self._deaths: deque[tuple[float, bool]] = deque()
        """When the core died lately, and whether of something other than a database that is away."""
        self.watchdog = Watchdog(LoopWatch(metrics), clock, metrics)
        self.health: dict[str, str] = {CORE: "starting"}
        """What has failed, by part (a ticker, or ``core``). Empty: every part takes commands."""
        self._since: dict[str, Millis] = {CORE: clock.now_ms()}
        self.bridge = Bridge(clock, on_settled=self._publish, on_health=self._health, in_flight_max=in_flight_max)
        self.ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        """Set when the core cannot be brought back: the database belongs to another, or the journal is corrupt."""

    async def start(self) -> None:
        """Take the shard, rebuild everything from the journal, open the doors.

        Raises what ``open_journal`` and ``recover`` raise: a shard that is taken, a journal that is corrupt.
        """
        for pause in RETRY_S:
            try:
                journal = await asyncio.to_thread(self._open_journal)
                break
            except LoginRefused:
                raise
            except JournalUnavailable as error:  # a server that is just recovering
                log.warning("core.cannot_start_yet", error=str(error), retry_in_s=pause)
                await asyncio.sleep(pause)
        else:
            journal = await asyncio.to_thread(self._open_journal)
        recovered = await asyncio.to_thread(self._recover, journal, self._recovered, self._begun)
        self._model.own_markets()
        self.began_at = recovered.begun_at
        self._run(journal, recovered)
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Refuse what is new, answer what is in flight, make it durable, give the shard back.

        A rebuild that is under way is called off.
        """
        self.bridge.detach(Failure(FailureKind.UNAVAILABLE, "the venue is stopping"))
        self._aborted.set()
        if self._watcher is not None:
            if self._rebuilding:
                await asyncio.wait((self._watcher,), timeout=REBUILD_STOP_S)
            self._watcher.cancel()
        try:
            await asyncio.wait_for(self.bridge.drained(), DRAIN_S)
        except TimeoutError:
            log.error("host.drain_timed_out", in_flight=self.bridge.in_flight)
        if self._core is not None:
            await asyncio.to_thread(self._core.stop)
        await asyncio.to_thread(self.watchdog.stop)
        self.bridge.close()
        self.recorder.flush()

    def problems(self) -> dict[str, Problem]:
        """What is not well, by part: failed, or taking too long over something. Empty: ready."""
        failed = {part: Problem(why, self._since.get(part)) for part, why in self.health.items()}
        return self.watchdog.problems() | failed

    def _run(self, journal: Journal, recovered: Recovered) -> None:
        state = recovered.state
        self._clock.begin_after(state.at)
        for view in self._model.markets.values():
            view.price_in_doubt = view.market.price_at if self._clock.ahead_ms() else None
        self.recorder.begin()
        log.info(
            "core.recovered",
            offset=state.offset,
            snapshot=recovered.begun_at,
            epoch=journal.epoch,
            markets=len(state.markets),
        )
        self.health.update(dict.fromkeys(state.markets, "starting"))
        self._since.update(dict.fromkeys(state.markets, self._clock.now_ms()))
        outlet = self.bridge.outlet()
        vitals = Vitals(outlet.core_failed, self._metrics.died)
        self._core = Core(
            recovered,
            journal,
            self._history,
            clock=self._clock,
            outbox=outlet,
            vitals=vitals,
            on_snapshot=check_views,
            timer=self._clock,
        )
        self.watchdog.watch(vitals)
        self.bridge.attach(self._core.supervisor)
        self._model.serving_epoch = journal.epoch
        self._health(CORE, None)
        asyncio.get_running_loop().call_later(DISK_FULL_SHOWN_S, self._has_room)

    async def _watch(self) -> None:
        """Rebuild the core each time it fails, until it cannot be rebuilt, or the venue stops."""
        while not self._aborted.is_set():
            self._rebuilding = False
            await self.bridge.failed.wait()
            self._rebuilding = True
            try:
                self._metrics.core_restarts.inc()
                if self._core is not None:
                    await asyncio.to_thread(self._core.stop)
                self._check_ownership()
                await asyncio.sleep(self._pause_after_death())
                await self._rebuild()
            except StartAborted:
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the venue cannot go on: end with the reason
                self._end(error)
                log.error("core.lost", error=repr(error))
                return

    def _check_ownership(self) -> None:
        """Raise ``OwnershipLost`` if that is what the core died of: another has served this shard meanwhile."""
        if self._core is not None and isinstance(self._core.vitals.cause, OwnershipLost):
            raise self._core.vitals.cause

    def _pause_after_death(self) -> float:
        """Seconds to wait before the core is rebuilt: none for the first death in a while.

        Raises ``CoreLost`` when it dies again and again of what is no matter of the database.
        """
        cause = self._core.vitals.cause if self._core is not None else None
        self._note_room(cause)
        away = isinstance(cause, JournalUnavailable) and not isinstance(cause, JournalRefused)
        now_s = asyncio.get_running_loop().time()
        self._deaths.append((now_s, not away))
        while self._deaths[0][0] <= now_s - CORE_DEATHS_WINDOW_S:
            self._deaths.popleft()
        deaths = sum(counts for _, counts in self._deaths)
        if deaths > CORE_DEATHS_MAX:
            last = type(cause).__name__ if cause is not None else "no error"
            raise CoreLost(
                f"the core died {deaths} times within {CORE_DEATHS_WINDOW_S:.0f} s, last of {last}"
            ) from cause
        return RETRY_S[min(len(self._deaths) - 2, len(RETRY_S) - 1)] if len(self._deaths) > 1 else 0.0

    async def _rebuild(self) -> None:
        """Recover again. What was in doubt and proves durable is published now, before anything newer.

        Tries as long as the database is away. Raises ``OwnershipLost`` when another venue has the shard,
        ``JournalCorrupt`` when the journal cannot be believed, ``StartAborted`` when the venue stops.
        """
        known = self._model.offset
        for attempt in count():
            missed: list[Entry] = []

            def keep(entry: Entry, _: VenueState, missed: list[Entry] = missed) -> None:
                self._check_aborted()
                if entry.row.offset > known:
                    missed.append(entry)

            try:
                journal, recovered = await in_daemon_thread("rebuild", partial(self._open, keep))
            except JournalUnavailable as error:
                self._note_room(error)
                pause = RETRY_S[min(attempt, len(RETRY_S) - 1)]
                log.warning("core.cannot_rebuild_yet", error=str(error), retry_in_s=pause)
                await asyncio.sleep(pause)
            else:
                if self._aborted.is_set():
                    await asyncio.to_thread(journal.close)
                    raise StartAborted
                self._show(missed)
                self._run(journal, recovered)
                return

    def _open(self, on_entry: OnEntry) -> tuple[Journal, Recovered]:
        """Take the shard and recover. Blocking. When the venue stops meanwhile, the shard is given back."""
        self._check_aborted()
        journal = self._open_journal()
        recovered = self._recover(journal, on_entry, check_views, until=self._model.offset)
        if self._aborted.is_set():
            journal.close()
            raise StartAborted
        return journal, recovered

    def _recover(
        self, journal: Journal, on_entry: OnEntry, on_snapshot: OnSnapshot | None, *, until: int | None = None
    ) -> Recovered:
        """Recover, or give the shard back. Blocking."""
        try:
            return recover(self._history, on_entry, on_snapshot, until=until)
        except BaseException:
            journal.close()
            raise

    def abort(self) -> None:
        """Call off a start: it raises ``StartAborted`` at the next row it reads."""
        self._aborted.set()

    def _check_aborted(self) -> None:
        if self._aborted.is_set():
            raise StartAborted

    def _recovered(self, entry: Entry, state: VenueState) -> None:
        """A row read at start-up, in the recovering thread: nobody reads the model yet."""
        self._check_aborted()
        self._model.replay(entry, state)

    def _begun(self, snapshot: Snapshot, state: VenueState) -> None:
        """The snapshot that a start begins from, in the recovering thread."""
        load_views(self._model, snapshot, state)

    def _publish(self, rows: Sequence[Settled]) -> None:
        """A commit: the read model and the streams take it; then callers are answered; later it is logged and counted.

        A read model that cannot take a durable row would be wrong from then on: the venue ends instead.
        """
        try:
            fresh = [settled for settled in rows if self._model.apply(settled.entry)]
            self._streams.publish([settled.entry for settled in fresh])
        except Exception as error:
            self._end(error)
            raise
        if fresh:
            self._has_room()
            self.recorder.add(fresh, self._clock.monotonic_ns())

    def _note_room(self, error: BaseException | None) -> None:
        """A full disk is shown until there is room again: rebuilding alone does not help."""
        if isinstance(error, DiskFull):
            self._health(JOURNAL, "disk full: the database cannot write; make room")

    def _has_room(self) -> None:
        if JOURNAL in self.health and not self._rebuilding:
            self._health(JOURNAL, None)

    def _end(self, error: BaseException) -> None:
        """The venue cannot go on; whoever runs it finds the reason in ``ended``.

        Streams end first: one that may have been left out of a row must not be given the next.
        """
        self._streams.close()
        self._health(CORE, f"lost: {type(error).__name__}")
        if not self.ended.done():
            self.ended.set_result(error)

    def _show(self, entries: list[Entry]) -> None:
        fresh = [entry for entry in entries if self._model.apply(entry)]
        self._streams.publish(fresh)

    def _health(self, part: str, problem: str | None) -> None:
        if problem is None:
            self.health.pop(part, None)
            self._since.pop(part, None)
        else:
            self.health[part] = problem
            self._since.setdefault(part, self._clock.now_ms())
        self._model.health(part, problem)
