"""API keys as the API shows them."""

from __future__ import annotations

from typing import cast

from perps.query_rows import KeyRecord
from perps.wire.keys import Key, Me
from perps.wire.operation import Scope
from web.answers.times import rfc3339
from web.auth import Principal


def me(principal: Principal) -> Me:
    """A key as its holder sees it."""
    return Me(
        user_id=principal.user,
        scopes=[cast(Scope, scope) for scope in sorted(principal.scopes)],
        key_id=principal.key_id,
        label=principal.label,
        expires_at=None if principal.expires_at is None else rfc3339(principal.expires_at),
    )


def key(record: KeyRecord) -> Key:
    """A key in the administrator's list: all but the key itself."""
    return Key(
        key_id=record.key_id,
        user_id=record.user_id,
        scopes=[cast(Scope, scope) for scope in record.scopes],
        label=record.label,
        created_at=rfc3339(record.created_at),
        expires_at=None if record.expires_at is None else rfc3339(record.expires_at),
        revoked_at=None if record.revoked_at is None else rfc3339(record.revoked_at),
    )
