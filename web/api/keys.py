"""API keys: made, listed, ended."""

from __future__ import annotations

from perps.units import Millis
from perps.wire import keys as wire
from perps.wire.base import KEY_ID
from perps.wire.keys import KeyBody, KeyCreated, KeyRevoked, Keys, Me
from perps.wire.lists import KeysPage
from perps.wire.operation import NoQuery
from web.answers.errors import RequestError, invalid
from web.answers.keys import key, me
from web.answers.times import rfc3339
from web.api.bodies.units import printable, time_ms
from web.api.call import Call, Route


async def who_am_i(call: Call[None, NoQuery]) -> Me:
    """Whose key this is, and what it allows."""
    return me(call.principal)


async def list_keys(call: Call[None, KeysPage]) -> Keys:
    """Every key ever made, the newest first: whose it is and what it may, never the key itself."""
    query, after = call.query, None
    if query.cursor is not None:
        created, _, key_id = query.cursor.partition("-")
        after = int(created), key_id
    records = await call.context.keys.newest(before=after, limit=query.limit)
    last = records[-1] if len(records) == query.limit else None
    return Keys(
        keys=[key(record) for record in records],
        next_cursor=None if last is None else f"{last.created_at}-{last.key_id}",
    )


def expiry(call: Call[KeyBody, NoQuery]) -> Millis | None:
    """When a new key is to end, if at all; the rest of its body is checked too."""
    asked = call.body
    printable(asked.label, "label")
    expires = None if asked.expires_at is None else time_ms(asked.expires_at, "expiresAt")
    if asked.user_id is None and "trade" in asked.scopes and "admin" not in asked.scopes:
        raise invalid("A key with the scope trade needs a userId: the user whose wallet pays.", field="userId")
    now_ms = call.context.clock.now_ms()
    if expires is not None and expires <= now_ms:
        raise invalid("expiresAt must be in the future.", field="expiresAt", now=rfc3339(now_ms))
    return expires


async def create_key(call: Call[KeyBody, NoQuery], expires: Millis | None) -> KeyCreated:
    """Make a key and, this once, show it."""
    context, asked, user = call.context, call.body, call.body.user_id
    if user is not None:
        context.user(user)
    scopes = sorted(set(asked.scopes))
    key_id, made = await context.keys.create(user=user, scopes=list(scopes), label=asked.label, expires_at=expires)
    return KeyCreated(key_id=key_id, key=made, user_id=user, scopes=scopes)


async def revoke_key(call: Call[None, NoQuery]) -> KeyRevoked:
    """End a key; one that has ended already stays so."""
    key_id = call.path["keyId"]
    if not KEY_ID.fullmatch(key_id) or not await call.context.keys.revoke(key_id):
        raise RequestError("not_found", "There is no such key.", {"keyId": key_id[:64]})
    return KeyRevoked(key_id=key_id, revoked=True)


ROUTES = (
    Route(wire.ME, who_am_i),
    Route(wire.CREATE_KEY, create_key, expiry),
    Route(wire.LIST_KEYS, list_keys),
    Route(wire.REVOKE_KEY, revoke_key),
)
