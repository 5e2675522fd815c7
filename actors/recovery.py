"""Recovery: the newest snapshot that can be used, and the rows after it. It is what every start is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

import structlog

from actors.answers import Answers
from actors.ports import History
from perps.journal import Entry, JournalUnavailable, Row
from perps.market.state import Market
from perps.snapshot.format import Snapshot, SnapshotBroken
from perps.venue import JournalCorrupt, VenueState, replay_market

log = structlog.get_logger()

RELOAD_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Between attempts to read a dead market's rows back, in its successor's own thread."""

Pause = Callable[[float], bool]
"""Waits for so many seconds; True at once when the core stops meanwhile."""

OnEntry = Callable[[Entry, VenueState], object]
"""A row, and the state just after it."""
OnSnapshot = Callable[[Snapshot, VenueState], object]
OnBroken = Callable[[int, bytes], object]


@dataclass(frozen=True, slots=True)
class Recovered:
    """A venue's state and its answered client ids, as of the last durable row."""

    state: VenueState
    answers: Answers
    begun_at: int
    """The row of the snapshot it began from; 0: there was none."""


def recover(
    history: History,
    on_entry: OnEntry,
    on_snapshot: OnSnapshot | None = None,
    *,
    until: int | None = None,
    on_broken: OnBroken | None = None,
) -> Recovered:
    """Rebuild everything.

    ``on_snapshot`` sees the snapshot to begin from and its state, if there is one (at most at row ``until``);
    ``on_broken`` the row and the bytes of each that was skipped; ``on_entry`` each row after it, checked and applied,
    and the state with it.
    Raises ``JournalCorrupt`` at the first row that cannot be what was written, or that a snapshot knows and the journal
    does not.
    """
    state, answers = VenueState(), Answers()
    begun = begin(history, on_snapshot, until=until, on_broken=on_broken)
    if begun is not None:
        state, answers = begun, Answers(forgotten=True)
    begun_at = state.offset
    for row in history.rows(state.offset):
        entry = _applied(state, row, begun_at)
        if row.user_id is not None and row.client_order_id is not None and row.fingerprint is not None:
            answers.done(row.user_id, row.client_order_id, row.fingerprint, row.offset)
        on_entry(entry, state)
    return Recovered(state, answers, begun_at)


def _applied(state: VenueState, row: Row, begun_at: int) -> Entry:
    try:
        return state.apply(row)
    except JournalCorrupt as corrupt:
        if not begun_at:
            raise
        raise JournalCorrupt(
            corrupt.offset, f"{corrupt.problem} (begun from the snapshot of row {begun_at})"
        ) from corrupt


def begin(
    history: History,
    on_snapshot: OnSnapshot | None = None,
    *,
    until: int | None = None,
    on_broken: OnBroken | None = None,
) -> VenueState | None:
    """The state of the newest usable snapshot; None when there is none. A broken one is skipped, with a warning.

    ``on_snapshot`` may find it broken too, by raising ``SnapshotBroken``. Raises ``JournalCorrupt`` when the journal
    does not hold the row that a whole snapshot stands on.
    """
    for offset, stored in history.snapshots(until):
        try:
            snapshot = _decoded(offset, stored)
            state = snapshot.state()
            _check_row(history, snapshot)
            if on_snapshot is not None:
                on_snapshot(snapshot, state)
        except SnapshotBroken as error:
            log.warning("snapshot.skipped", offset=offset, problem=str(error))
            if on_broken is not None:
                on_broken(offset, stored)
        else:
            return state
    return None


def _check_row(history: History, snapshot: Snapshot) -> None:
    """Hold a snapshot against the row it stands on. The row's hash vouches for its epoch, the state hash does not.

    Raises ``JournalCorrupt`` for a row that is not the snapshot's, ``SnapshotBroken`` for an epoch that is not the
    row's: rows of the time between them could not be told from those of a deposed owner.
    """
    found = history.epoch_and_hash_at(snapshot.offset)
    if found is None:
        raise JournalCorrupt(snapshot.offset, "missing, but a snapshot stands on it")
    epoch, row_hash = found
    if row_hash != snapshot.last_hash:
        raise JournalCorrupt(snapshot.offset, "its hash is not its snapshot's")
    if epoch != snapshot.epoch:
        raise SnapshotBroken(f"it says epoch {snapshot.epoch}, its row {epoch}")


def reload_market(
    history: History, ticker: str, pause: Pause | None = None, on_snapshot: OnSnapshot | None = None
) -> Market:
    """A market from a snapshot and its rows, however often the store does not answer at first.

    The snapshot is one a start would begin from; ``on_snapshot`` may find it broken, as in ``begin``.
    Raises ``JournalCorrupt``, and ``JournalUnavailable`` in the end, or when the core stops.
    """
    pause = pause or Event().wait
    for pause_s in RELOAD_PAUSES_S:
        try:
            return _load(history, ticker, on_snapshot)
        except JournalUnavailable as error:
            log.warning("market.cannot_reload_yet", ticker=ticker, error=str(error), retry_in_s=pause_s)
            if pause(pause_s):
                raise
    return _load(history, ticker, on_snapshot)


def _load(history: History, ticker: str, on_snapshot: OnSnapshot | None) -> Market:
    state = begin(history, on_snapshot)
    market = None if state is None else state.markets.get(ticker)
    return replay_market(history.rows_of(ticker, market.seq if market else 0), market)


def _decoded(offset: int, stored: bytes) -> Snapshot:
    """The snapshot stored for a row. Raises ``SnapshotBroken``."""
    snapshot = Snapshot.decode(stored)
    if snapshot.offset != offset:
        raise SnapshotBroken(f"it is of row {snapshot.offset}")
    return snapshot
