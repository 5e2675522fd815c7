"""What the actors need from outside, in their own words. ``persistence`` implements journal and history."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from actors.messages import ImageTaken, Reply, Settled
from perps.journal import Entry, JournalUnavailable, OwnershipLost, Row
from perps.units import Millis

__all__ = ["Clock", "History", "Journal", "JournalUnavailable", "LookUps", "OwnershipLost"]


class Journal(Protocol):
    """The one writer of one shard. Blocking; used by one thread at a time."""

    @property
    def epoch(self) -> int:
        """This ownership's number: higher than any before it."""
        ...

    def append(self, entries: Sequence[Entry]) -> None:
        """Make rows and their query tables durable: all of them or none.

        Raises ``OwnershipLost`` when another owner has taken over (nothing written), ``JournalRefused`` when a row
        cannot be (nothing written: whoever made it is wrong about what is in the journal), ``JournalUnavailable`` when
        the outcome is unknown.
        """
        ...

    def probe(self) -> None:
        """Ask whether the next ``append`` could succeed; writes nothing.

        Raises ``OwnershipLost`` when another owner has taken over, ``JournalUnavailable`` when the store does not
        answer within the probe's time limit, and what the store has for one that must not be written to any more.
        """
        ...

    def close(self) -> None:
        """Give the shard back. Idempotent."""
        ...


class History(Protocol):
    """What the journal holds, read without owning it. Blocking; safe from any thread."""

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Every durable row with ``offset > after``, in order. Raises ``JournalUnavailable``."""
        ...

    def rows_of(self, stream: str, after: int = 0) -> Iterator[Row]:
        """Every durable row of one stream with ``market_seq > after``, in order. Raises ``JournalUnavailable``."""
        ...

    def epoch_and_hash_at(self, offset: int) -> tuple[int, bytes] | None:
        """The stored epoch and hash of one row; None if there is no such row. Raises ``JournalUnavailable``."""
        ...

    def snapshots(self, until: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of the stored snapshots, at most at row ``until``, newest first; each read when asked for.

        Raises ``JournalUnavailable``.
        """
        ...

    def look_ups(self, limit_s: float) -> "LookUps":
        """A way to ask which row answered a client id, for one thread; each answer or error within ``limit_s``."""
        ...


class LookUps(Protocol):
    """Questions of one thread, over a session that may be kept between them. Blocking."""

    def answers(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[int, bytes]]:
        """Offset and fingerprint of the rows that answered these (sender, client order id) pairs, where there are.

        Raises ``JournalUnavailable``.
        """
        ...

    def close(self) -> None:
        """End the session. Idempotent."""
        ...


class Clock(Protocol):
    """Time as an argument."""

    def now_ms(self) -> Millis:
        """Milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never fall, for durations only."""
        ...


class RowClock(Clock, Protocol):
    """The time that rows get: ``actors.clock.VenueClock``."""

    def reading(self) -> tuple[Millis, int]:
        """``now_ms``, which never falls, and how far it runs before the system's clock."""
        ...


class Outbox(Protocol):
    """The way out of the actors. Called from their threads: never blocks, never raises."""

    def settled(self, rows: list[Settled]) -> None:
        """These rows are durable, in this order: publish them, then answer who waits."""
        ...

    def replies(self, replies: list[Reply]) -> None:
        """Answer these callers."""
        ...

    def image(self, taken: ImageTaken) -> None:
        """What one actor holds in memory; its rows are durable."""
        ...

    def market_health(self, ticker: str, problem: str | None) -> None:
        """A market is being rebuilt, or down, and why; None when it takes commands."""
        ...

    def core_failed(self, reason: str) -> None:
        """The core has stopped. What is in flight is in doubt until it has been rebuilt from the journal."""
        ...
