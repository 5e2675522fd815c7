"""Who asks, and what the key allows. Keys are stored as digests and shown once."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Final, Protocol

from msgspec import Struct

from actors.ports import Clock
from perps.query_rows import KeyRecord
from perps.units import Millis
from web.answers.errors import RequestError

SCOPES: Final = ("read", "trade", "price", "admin")
READING: Final = frozenset(("read", "trade"))
"""Either of these lets a key see what belongs to its user."""

KEY_BYTES: Final = 32

LOOK_S_MIN: Final = 0.05
LOOK_S_MAX: Final = 3600.0
"""How often something that goes on in the name of a key that will expire looks whether it has."""

ADMIN_SENDER: Final = "!admin"
"""Whose client order ids an administrator's commands live under when no user is named. Not a possible user id."""

STRANGERS: Final = ""
"""What callers without a key are called together, where they share something. Not a possible user id."""


class Principal(Struct, frozen=True):
    """The holder of a key. ``user`` is the one it is bound to, if any; ``admin`` includes every scope."""

    key_id: str
    user: str | None
    scopes: frozenset[str]
    label: str = ""
    expires_at: Millis | None = None

    @property
    def is_admin(self) -> bool:
        """Whether the key may do everything."""
        return "admin" in self.scopes

    @property
    def sender(self) -> str:
        """Whose client order ids these are."""
        return self.user or (ADMIN_SENDER if self.is_admin else f"!key:{self.key_id}")

    @property
    def payer(self) -> str:
        """Whose share of the venue a request takes, in whosever name it acts: the key's user's, or the key's own."""
        return self.user or f"!key:{self.key_id}"

    def require(self, scope: str) -> None:
        """Raise ``forbidden`` if the key lacks ``scope``. ``trade`` includes ``read``."""
        is_allowed = bool(self.scopes & READING) if scope == "read" else scope in self.scopes
        if not is_allowed and not self.is_admin:
            raise RequestError("forbidden", f"This key lacks the scope '{scope}'.", {"scope": scope})

    def require_self(self, user: str) -> None:
        """Raise ``forbidden`` unless this is ``user``, with a key that reads, or an administrator."""
        self.require("read")
        if self.user != user and not self.is_admin:
            raise RequestError("forbidden", "These data belong to another user.", {"userId": user})


class HasHeaders(Protocol):
    """A request of any protocol that carries the key in a header: ``Authorization: Bearer <key>``."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by name, in any case."""
        ...


class KeyStore(Protocol):
    """Where keys are kept. ``persistence`` implements it."""

    async def load(self) -> list[KeyRecord]:
        """Every key, revoked ones too."""
        ...

    async def newest(self, *, before: tuple[int, str] | None, limit: int) -> list[KeyRecord]:
        """Keys made last first, the revoked ones too, after the (created_at, key_id) of the last one seen."""
        ...

    async def add(self, key: KeyRecord) -> None:
        """Keep a new key."""
        ...

    async def revoke(self, key_id: str, at: Millis) -> bool:
        """Mark a key as revoked, if it is not; False if there never was such a key."""
        ...


class Keys:
    """All keys in memory by digest; the store is asked only to change them."""

    def __init__(self, store: KeyStore, admin_key: str, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._by_digest: dict[bytes, KeyRecord] = {}
        self._principals: dict[bytes, Principal] = {}
        self._by_id: dict[str, KeyRecord] = {}
        self._when_ended: dict[str, set[Callable[[], None]]] = {}
        """By key: what must not go on without it."""
        self.generation = object()
        """Another whenever a key is made or ends."""
        self._admin_digest = digest(admin_key)
        self._admin = Principal("admin", None, frozenset(SCOPES))

    async def open(self) -> None:
        """Load what the store has."""
        for record in await self._store.load():
            self._remember(record)

    def principal(self, request: HasHeaders) -> Principal:
        """Who sent the request. Raises ``unauthorized`` for no key, a wrong, revoked or expired one."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise RequestError("unauthorized", "An API key is missing. Send the header 'Authorization: Bearer <key>'.")
        hashed = digest(key.strip())
        if hmac.compare_digest(hashed, self._admin_digest):
            return self._admin
        record = self._by_digest.get(hashed)
        if record is None or record.revoked_at is not None:
            raise RequestError("unauthorized", "This API key is unknown or revoked.")
        if record.expires_at is not None and record.expires_at <= self._clock.now_ms():
            raise RequestError("unauthorized", "This API key has expired.")
        return self._principals[hashed]

    def payer(self, request: HasHeaders) -> str | None:
        """Whose share a request takes; None for a stranger, whose key is good for nothing, or who has none."""
        try:
            return self.principal(request).payer
        except RequestError:
            return None

    def is_good(self, principal: Principal) -> bool:
        """Whether a key that was good has neither been revoked nor expired."""
        if principal is self._admin:
            return True
        record = self._by_id.get(principal.key_id)
        if record is None or record.revoked_at is not None:
            return False
        return record.expires_at is None or record.expires_at > self._clock.now_ms()

    @contextmanager
    def while_good(self, principal: Principal, end: Callable[[], None]) -> Iterator[None]:
        """While something goes on in the name of a key: call ``end`` as soon as the key is revoked or expires."""
        timer: asyncio.TimerHandle | None = None

        def look() -> None:
            nonlocal timer
            left_ms = 0 if principal.expires_at is None else principal.expires_at - self._clock.now_ms()
            if not self.is_good(principal):
                end()
            elif principal.expires_at is not None:
                wait_s = min(max(left_ms / 1000, LOOK_S_MIN), LOOK_S_MAX)
                timer = asyncio.get_running_loop().call_later(wait_s, look)

        self._when_ended.setdefault(principal.key_id, set()).add(end)
        try:
            look()
            yield
        finally:
            if timer is not None:
                timer.cancel()
            ends = self._when_ended[principal.key_id]
            ends.discard(end)
            if not ends:
                del self._when_ended[principal.key_id]

    async def create(
        self, *, user: str | None, scopes: list[str], label: str | None, expires_at: Millis | None
    ) -> tuple[str, str]:
        """Make a key: its id and, this once, the key itself. It is made to the end also if the caller does not wait."""
        key_id, key = f"key_{secrets.token_hex(8)}", f"perps_{secrets.token_urlsafe(KEY_BYTES)}"
        record = KeyRecord(
            key_id=key_id,
            digest=digest(key),
            user_id=user,
            scopes=tuple(scopes),
            label=label or "",
            created_at=self._clock.now_ms(),
            expires_at=expires_at,
            revoked_at=None,
        )
        await asyncio.shield(self._add(record))
        return key_id, key

    async def newest(self, *, before: tuple[int, str] | None, limit: int) -> list[KeyRecord]:
        """Keys as they are stored, made last first; the administrator's own is not among them."""
        return await self._store.newest(before=before, limit=limit)

    async def revoke(self, key_id: str) -> bool:
        """End a key, also if the caller does not wait; False if there never was one with this id.

        Here it ends at once. The store is asked whatever is known here: it may have a key whose making was in doubt, or
        may not have heard of an end that was. Raises ``JournalUnavailable``: ended here, in doubt in the store; call
        again.
        """
        return await asyncio.shield(self._revoke(key_id))

    async def _revoke(self, key_id: str) -> bool:
        self._forget(key_id)
        return await self._store.revoke(key_id, self._clock.now_ms())

    async def _add(self, record: KeyRecord) -> None:
        self._remember(record)  # first, so that whoever sees it in the store can end it here too; nobody has it yet
        try:
            await self._store.add(record)
        except BaseException:
            self._forget(record.key_id)
            raise

    def _remember(self, record: KeyRecord) -> None:
        self.generation = object()
        self._by_digest[record.digest] = record
        self._by_id[record.key_id] = record
        self._principals[record.digest] = Principal(
            key_id=record.key_id,
            user=record.user_id,
            scopes=frozenset(record.scopes),
            label=record.label,
            expires_at=None if record.expires_at is None else Millis(record.expires_at),
        )

    def _forget(self, key_id: str) -> None:
        self.generation = object()
        for hashed in [hashed for hashed, record in self._by_digest.items() if record.key_id == key_id]:
            del self._by_digest[hashed], self._principals[hashed]
        self._by_id.pop(key_id, None)
        for end in tuple(self._when_ended.get(key_id, ())):
            end()


def digest(key: str) -> bytes:
    """SHA-256 of a key. Keys are 256 random bits, so a fast hash is enough."""
    return sha256(key.encode("utf-8", "surrogateescape")).digest()
