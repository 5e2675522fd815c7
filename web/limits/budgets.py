"""Budgets: how much each caller may ask for in a second, and how callers whose keys fail are slowed.

A budget is a token bucket by the generic cell rate algorithm: one number a caller, the time at which its bucket is full
again. Both keep two generations of callers: a caller who is seen moves to the younger one, and the older one goes as a
whole. So memory is bounded and nothing is ever searched.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final, Generic, NamedTuple, TypeVar

BURST_S: Final = 2.0
"""A bucket holds what comes in so many seconds."""

CALLERS_MAX: Final = 65_536
"""Callers of one generation. When more come at once, the oldest are forgotten early: their buckets count as full."""

FAILURES_FREE: Final = 10
"""Keys that may fail before the address waits."""

FAILURE_WAIT_S_MAX: Final = 64
"""The longest wait. It begins at 1 s and doubles with each failure."""

FAILURES_KEPT_S: Final = 600.0
"""How long an address is remembered after its last failure; at most twice as long."""

PACE_KEPT_S: Final = 10.0
"""Longer than anybody waits."""

NS_PER_S: Final = 1_000_000_000

T = TypeVar("T")


class _Generations(Generic[T]):
    """One value a caller, for at least ``kept_ns`` after it was set last."""

    def __init__(self, kept_ns: int, most: int) -> None:
        self._kept_ns, self._most = kept_ns, most
        self._young: dict[str, T] = {}
        self._old: dict[str, T] = {}
        self._since_ns = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, who: str, default: T) -> T:
        found = self._young.get(who)
        return self._old.get(who, default) if found is None else found

    def set(self, who: str, value: T, now_ns: int) -> None:
        if now_ns - self._since_ns > self._kept_ns or len(self._young) >= self._most:
            self._young, self._old, self._since_ns = {}, self._young, now_ns
        self._young[who] = value


class Spent(NamedTuple):
    """What came of a request for points."""

    limit: int
    """Points a full bucket has."""
    remaining: int
    reset_s: int
    """Seconds until the bucket is full, rounded up."""
    wait_s: int
    """0: granted. Else nothing was taken, and there will be enough after so many seconds, rounded up."""

    @property
    def headers(self) -> dict[str, str]:
        """As headers of an answer."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }

    @property
    def lines(self) -> str:
        """The same as lines of an answer's head."""
        return (
            f"X-RateLimit-Limit: {self.limit}\r\nX-RateLimit-Remaining: {self.remaining}\r\n"
            f"X-RateLimit-Reset: {self.reset_s}\r\n"
        )


class Budget:
    """``per_s`` points a second for each caller, and at most ``BURST_S`` seconds' worth at once."""

    def __init__(self, per_s: float, *, most: int = CALLERS_MAX) -> None:
        self.per_s = per_s
        self._ns = NS_PER_S / per_s
        self._depth_ns = int(BURST_S * NS_PER_S)
        self._limit = int(BURST_S * per_s)
        self._full_at = _Generations[int](self._depth_ns, most)

    def spend(self, who: str, points: int, now_ns: int) -> Spent:
        """Take points out of a caller's bucket, if it has them. More than a bucket holds are taken from a full one."""
        cost = min(int(points * self._ns), self._depth_ns)
        before = self._full_at.get(who, 0)
        if before < now_ns:
            before = now_ns
        after = before + cost
        short_ns = after - now_ns - self._depth_ns
        if short_ns > 0:
            left = self._depth_ns - (before - now_ns)
            return Spent(self._limit, int(left / self._ns), _seconds(before - now_ns), _seconds(short_ns))
        self._full_at.set(who, after, now_ns)
        return Spent(self._limit, int(-short_ns / self._ns), -(-(after - now_ns) // NS_PER_S), 0)


class Pace:
    """``per_s`` units a second for each caller, who waits for what is beyond that."""

    def __init__(self, per_s: float, *, most: int = CALLERS_MAX) -> None:
        self._ns = NS_PER_S / per_s
        self._free_at = _Generations[int](int(PACE_KEPT_S * NS_PER_S), most)

    def next(self, who: str, units: int, now_ns: int, wait_s_max: float) -> float:
        """Take units; after how many seconds they may be used. When that is too long, nothing is taken."""
        begins = max(self._free_at.get(who, 0), now_ns)
        wait_s = (begins - now_ns) / NS_PER_S
        if wait_s <= wait_s_max:
            self._free_at.set(who, begins + int(units * self._ns), now_ns)
        return wait_s


class FailedKeys:
    """Addresses that sent keys which are good for nothing."""

    def __init__(self, *, most: int = CALLERS_MAX) -> None:
        self._failures = _Generations[tuple[int, int]](int(FAILURES_KEPT_S * NS_PER_S), most)

    def wait_s(self, address: str, now_ns: int) -> int:
        """Seconds until another key from an address is looked at; 0: it is now."""
        return _seconds(max(self._failures.get(address, (0, 0))[1] - now_ns, 0))

    def failed(self, address: str, now_ns: int) -> None:
        """One more."""
        count = self._failures.get(address, (0, 0))[0] + 1
        over = count - FAILURES_FREE
        wait_s = 0 if over <= 0 else min(1 << min(over - 1, 16), FAILURE_WAIT_S_MAX)
        self._failures.set(address, (count, now_ns + wait_s * NS_PER_S), now_ns)


@lru_cache(maxsize=4096)
def site(address: str) -> str:
    """What one subscriber has: an IPv4 address or an IPv6 network of 64 bits; anything else unchanged."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv4Address):
        return address
    return str(ip.ipv4_mapped or IPv6Network((ip.packed, 64), strict=False))


@lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    """Whether an address is of this machine itself: its own programs, or a proxy that speaks for many callers."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    mapped = None if isinstance(ip, IPv4Address) else ip.ipv4_mapped
    return (mapped or ip).is_loopback


def _seconds(ns: int) -> int:
    return -(-ns // NS_PER_S)
