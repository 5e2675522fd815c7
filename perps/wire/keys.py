"""API keys."""

from __future__ import annotations

from typing import Annotated, Final, get_args

from msgspec import Meta

from perps.wire.base import ALLOWED, TAKES, Answer, Body, Cursor, KeyId, Text, Time, UserId
from perps.wire.errors import ErrorCode as Code
from perps.wire.lists import KeysPage
from perps.wire.operation import Operation, Scope


class KeyBody(Body):
    """A key to make."""

    scopes: Annotated[
        list[Scope],
        Meta(
            min_length=1,
            description="`admin` includes all others, `trade` includes `read`.",
            extra={ALLOWED: get_args(Scope), TAKES: f"one or more of {', '.join(get_args(Scope))}"},
        ),
    ]
    user_id: Annotated[UserId | None, Meta(description="Whom it belongs to. A key with `trade` needs a user.")] = None
    label: Text | None = None
    expires_at: Annotated[
        str | None, Meta(description="RFC 3339, in the future.", extra_json_schema={"format": "date-time"})
    ] = None


class KeyCreated(Answer):
    """A new key. The venue shows it this once."""

    key_id: KeyId
    key: str
    user_id: UserId | None
    scopes: list[Scope]


class Key(Answer):
    """A key, without the key itself."""

    key_id: KeyId
    user_id: UserId | None
    scopes: list[Scope]
    label: str
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None


class Keys(Answer):
    """Every key ever made, the newest first."""

    keys: list[Key]
    next_cursor: Cursor | None


class KeyRevoked(Answer):
    """A key that has ended."""

    key_id: KeyId
    revoked: bool


class Me(Answer):
    """The key that a request was sent with."""

    user_id: UserId | None
    scopes: list[Scope]
    key_id: KeyId
    label: str
    expires_at: Time | None


ME: Final = Operation(
    name="getMe",
    tag="Users",
    method="GET",
    path="/api/me",
    summary="Whose key this is, and what it allows",
    any_key=True,
    answers={200: Me},
)
CREATE_KEY: Final = Operation(
    name="createKey",
    tag="Administration",
    method="POST",
    path="/api/admin/keys",
    summary="Make an API key. The venue shows it this once",
    scope="admin",
    body=KeyBody,
    answers={201: KeyCreated},
    links={"revokeKey": {"keyId": "/keyId"}},
    refusals=(Code.USER_NOT_FOUND,),
)
LIST_KEYS: Final = Operation(
    name="listKeys",
    tag="Administration",
    method="GET",
    path="/api/admin/keys",
    summary="Every key ever made, never the key itself",
    scope="admin",
    query=KeysPage,
    answers={200: Keys},
)
REVOKE_KEY: Final = Operation(
    name="revokeKey",
    tag="Administration",
    method="DELETE",
    path="/api/admin/keys/{keyId}",
    summary="End a key at once. For one that has ended the answer is the same",
    description="404 means that there never was such a key. After a 503 the key no longer works on this venue, but its "
    "end may not be stored: send the request again.",
    scope="admin",
    repeatable=True,
    answers={200: KeyRevoked},
    refusals=(Code.NOT_FOUND,),
)
