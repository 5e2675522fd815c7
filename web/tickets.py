"""Tickets: each opens one stream instead of a key, once and soon, for a reader that cannot send a header.

A ticket is 256 random bits and kept as a digest, as keys are. It is good for as long as its key is.
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Final, NamedTuple

from actors.ports import Clock
from perps.units import Millis
from web.answers.errors import RequestError
from web.auth import Keys, Principal, digest

TICKET_MS: Final = 60_000
"""How long a ticket waits to be used."""

TICKETS_OF_KEY_MAX: Final = 64
"""Unused tickets of one key."""

TICKETS_MAX: Final = 10_000
"""Unused tickets of all keys: 4 MB."""

TICKET_BYTES: Final = 32


class _Ticket(NamedTuple):
    principal: Principal
    expires_at: Millis


class Tickets:
    """Those that have been made and not been used."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys, self._clock = keys, clock
        self._by_digest: dict[bytes, _Ticket] = {}
        """The oldest first: all are good for as long."""
        self._of_key = Counter[str]()

    def make(self, principal: Principal) -> tuple[str, Millis]:
        """A ticket, and when it ends. Raises ``rate_limited``, ``overloaded``."""
        now_ms = self._clock.now_ms()
        self._drop_expired(now_ms)
        if self._of_key[principal.key_id] >= TICKETS_OF_KEY_MAX:
            raise RequestError(
                "rate_limited",
                "Too many tickets of this key have not been used. Retry when they have, or in 60 s.",
                {"limit": TICKETS_OF_KEY_MAX},
            )
        if len(self._by_digest) >= TICKETS_MAX:
            raise RequestError("overloaded", "Too many tickets have not been used. Retry in 1 s.")
        ticket = f"ticket_{secrets.token_urlsafe(TICKET_BYTES)}"
        expires_at = Millis(now_ms + TICKET_MS)
        self._by_digest[digest(ticket)] = _Ticket(principal, expires_at)
        self._of_key[principal.key_id] += 1
        return ticket, expires_at

    def use(self, ticket: str) -> Principal:
        """Who asked for a ticket; it is used up by this. Raises ``unauthorized``."""
        found = self._take(digest(ticket))
        if found is None or found.expires_at <= self._clock.now_ms() or not self._keys.is_good(found.principal):
            raise RequestError(
                "unauthorized", "This ticket is unknown, used or too old, or its key has ended. Ask for a new one."
            )
        return found.principal

    def _drop_expired(self, now_ms: Millis) -> None:
        while self._by_digest:
            oldest = next(iter(self._by_digest))
            if self._by_digest[oldest].expires_at > now_ms:
                return
            self._take(oldest)

    def _take(self, hashed: bytes) -> _Ticket | None:
        found = self._by_digest.pop(hashed, None)
        if found is not None:
            key_id = found.principal.key_id
            self._of_key[key_id] -= 1
            if not self._of_key[key_id]:
                del self._of_key[key_id]
        return found
