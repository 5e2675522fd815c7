"""Who may ask now: each request is weighed against its caller's budget before anything of it is read.

A caller is a user with all keys of that user, a key that belongs to no user, or, without a key, an address. Whoever
holds an administrator's key is not limited. Nor, by default, are callers without a key on this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from aiohttp import web
from msgspec import Struct

from actors.ports import Clock
from actors.shares import Shares
from web.answers.errors import RequestError
from web.auth import Keys, Principal
from web.limits.budgets import NS_PER_S, Budget, FailedKeys, Pace, Spent, is_loopback, site
from web.limits.connections import Connection

KEY_POINTS_PER_S: Final = 20_000
"""More than one venue on one small machine can carry out: by default no bot is held up."""

ADDRESS_POINTS_PER_S: Final = 1_000

STREAMS_EACH_MAX: Final = 256
"""Open streams of one caller. On this machine, callers without a key have as many as the venue."""

BYTES_PER_S: Final = 32 * 1024 * 1024
"""A list of 1,000 markets has 0.7 MB, and sending it takes 0.5 ms: 32 readers that ask as fast as they get answers
would have all of the event loop. At this pace, all of one caller together have 3 % of it."""

LARGE_BYTES: Final = 64 * 1024
"""Smaller answers do not count."""

POINT_BYTES: Final = 16 * 1024
"""As so many bytes each point of a request without a key counts: 2,048 of a point each take a fifth of the loop."""

PROBES_PER_S: Final = 500
"""How often in a second an address may ask whether the venue is well, which costs no points. A monitor asks once a
second. Without this, 400 connections that ask as fast as they can would hold up everybody."""

WAIT_S_MAX: Final = 5.0

REFUSALS_PER_S: Final = 200
"""How often an address without a key learns in a second that it asks for too much. A refusal costs as much as an
answer, so without this 400 connections that do not care would make everybody wait for a second."""


class RequestLimits(Struct, frozen=True, kw_only=True):
    """How much one caller may ask for. 0: as much as they like."""

    key_points_per_s: int = KEY_POINTS_PER_S
    address_points_per_s: int = ADDRESS_POINTS_PER_S
    limits_loopback: bool = False
    """Whether callers on this machine without a key are limited as others are."""


class Caller(Struct, frozen=True):
    """Who asks."""

    name: str
    is_free: bool
    """Has no budget."""
    principal: Principal | None = None
    """None: a stranger."""


class _Known(NamedTuple):
    """Who asked last on a connection, with a key that does not expire: most ask again, and are not looked up again."""

    authorization: str
    of: object
    """The keys' generation when it was looked up: whatever happens to any key makes another."""
    caller: Caller


NOBODY: Final = Caller("@", True)
"""Before it is known who asks."""


class Admission:
    """The budgets of all callers. On one event loop."""

    def __init__(self, limits: RequestLimits, keys: Keys, clock: Clock) -> None:
        self._limits, self._keys, self._clock = limits, keys, clock
        self._of_keys = Budget(limits.key_points_per_s) if limits.key_points_per_s else None
        self._of_addresses = Budget(limits.address_points_per_s) if limits.address_points_per_s else None
        self._failed_keys = FailedKeys()
        self._streams = Shares(STREAMS_EACH_MAX)
        self._pace, self._refusals, self._probes = Pace(BYTES_PER_S), Pace(REFUSALS_PER_S), Pace(PROBES_PER_S)

    def caller(self, request: web.BaseRequest) -> Caller:
        """Who asks. Raises ``rate_limited`` while the address is slowed for its keys and this one fails too."""
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            connection = request.protocol
            known = connection.known_caller if isinstance(connection, Connection) else None
            if isinstance(known, _Known) and known.authorization == authorization and known.of is self._keys.generation:
                return known.caller
            try:
                principal = self._keys.principal(request)
            except RequestError:
                self._check_failures(site(request.remote or ""))
            else:
                caller = Caller(principal.payer, principal.is_admin, principal)
                if principal.expires_at is None and isinstance(connection, Connection):
                    connection.known_caller = _Known(authorization, self._keys.generation, caller)
                return caller
        address = request.remote or ""
        is_free = not self._limits.limits_loopback and is_loopback(address)
        return Caller(f"@{site(address)}", is_free)

    def spend(self, caller: Caller, points: int) -> Spent | None:
        """Take points out of a caller's budget; what is left, if there is a budget. Raises ``rate_limited``."""
        budget = self._of_addresses if caller.principal is None else self._of_keys
        if budget is None or caller.is_free:
            return None
        spent = budget.spend(caller.name, points, self._clock.monotonic_ns())
        if spent.wait_s:
            said = f"You ask for too much at once. Nothing was done; retry in {spent.wait_s} s."
            error = RequestError("rate_limited", said, {"limit": spent.limit, "weight": points})
            error.headers = {**spent.headers, "Retry-After": str(spent.wait_s)}
            raise error
        return spent

    @contextmanager
    def stream(self, caller: Caller) -> Iterator[None]:
        """While a caller has a stream open. Raises ``rate_limited``."""
        if caller.is_free:
            yield
            return
        if not self._streams.take(caller.name):
            said = (
                f"You have {self._streams.each} streams and channels open. Close one:"
                " a stream can follow several markets, and a channel can carry all that a user asks."
            )
            raise RequestError("rate_limited", said, {"limit": self._streams.each})
        try:
            yield
        finally:
            self._streams.give(caller.name)

    async def pace(self, caller: Caller, *, points: int = 0, size: int = 0) -> None:
        """Let a caller wait: before a request of so many points, if without a key; before a large answer of a size.

        Also on this machine: a proxy does not tell how many it speaks for, and who waits is not refused. Raises
        ``rate_limited``: the wait would be too long.
        """
        units = size if size >= LARGE_BYTES else 0
        if caller.principal is None:
            units += points * POINT_BYTES
        if not units:
            return
        await _wait(self._pace, caller.name, units)

    async def probe(self, caller: Caller, address: str) -> None:
        """Let an address wait that asks too often whether the venue is well; not an administrator, nor a user.

        It has a pace of its own, so that no other request keeps a monitor waiting. Raises ``rate_limited``: the wait
        would be too long.
        """
        if caller.principal is not None:
            return
        await _wait(self._probes, site(address), 1)

    async def hold_back(self, caller: Caller, address: str, refusals: int | None = None) -> None:
        """Let an address without a key wait before it learns that it asks for too much; at most ``WAIT_S_MAX``.

        ``refusals``: those of an agent with a key, which come many at a time and cost no more than a few bytes each.
        """
        if refusals is None and caller.principal is not None:
            return
        who = f"!{caller.name}" if caller.principal is not None else site(address)
        await asyncio.sleep(min(self._refusals.next(who, refusals or 1, _now_ns(), WAIT_S_MAX), WAIT_S_MAX))

    def _check_failures(self, address: str) -> None:
        now_ns = self._clock.monotonic_ns()
        wait_s = self._failed_keys.wait_s(address, now_ns)
        if wait_s:
            said = f"Too many API keys from this address were wrong. Send a valid one, or none, or retry in {wait_s} s."
            error = RequestError("rate_limited", said)
            error.headers = {"Retry-After": str(wait_s)}
            raise error
        self._failed_keys.failed(address, now_ns)


async def _wait(pace: Pace, who: str, units: int) -> None:
    """Wait until the next units of somebody may come. Raises ``rate_limited`` if that is too long."""
    wait_s = pace.next(who, units, _now_ns(), WAIT_S_MAX)
    if wait_s > WAIT_S_MAX:
        error = RequestError("rate_limited", "You ask for too much at once. Nothing was done; retry in 5 s.")
        error.headers = {"Retry-After": f"{WAIT_S_MAX:.0f}"}
        raise error
    if wait_s:
        await asyncio.sleep(wait_s)


def _now_ns() -> int:
    return int(asyncio.get_running_loop().time() * NS_PER_S)
