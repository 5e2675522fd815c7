"""API keys as the API shows them."""

from __future__ import annotations

from perps.query_rows import KeyRecord
from web.answers import Json
from web.answers.times import rfc3339


def key(record: KeyRecord) -> Json:
    """A key in the administrator's list: all but the key itself."""
    return {
        "keyId": record.key_id,
        "userId": record.user_id,
        "scopes": list(record.scopes),
        "label": record.label,
        "createdAt": rfc3339(record.created_at),
        "expiresAt": None if record.expires_at is None else rfc3339(record.expires_at),
        "revokedAt": None if record.revoked_at is None else rfc3339(record.revoked_at),
    }
