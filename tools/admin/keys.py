"""``perps key``: list API keys, create them, and revoke them."""

from __future__ import annotations

from typing import Final

import rich_click as click

from perps.wire.keys import CREATE_KEY, LIST_KEYS, REVOKE_KEY, Keys
from tools.admin.answers import cursor_option, limit_option, show_answer, show_list
from tools.argument_types import KEY_ID, MOMENT, USER_ID
from tools.settings import Access, SettingsGroup, access_options, json_option
from tools.times import rfc3339

SCOPES: Final = ("read", "trade", "price", "admin")
COLUMNS: Final = {
    "key id": "keyId",
    "user": "userId",
    "scopes": "scopes",
    "label": "label",
    "created": "createdAt",
    "expires": "expiresAt",
    "revoked": "revokedAt",
}


@click.group(cls=SettingsGroup)
def key() -> None:
    """List API keys, create them, and revoke them."""


@key.command("list")
@limit_option
@cursor_option
@access_options
@json_option
def list_keys(limit: int, cursor: str | None, access: Access, as_json: bool) -> None:
    """Show every key that was ever made, newest first.

    Each line has the key's id, owner, scopes and dates. The keys themselves are not shown. The administrator's own key
    is not in the list.
    """
    given = {"limit": limit, "cursor": cursor}
    show_list(access, LIST_KEYS, Keys, lambda page: page.keys, COLUMNS, as_json=as_json, **given)


@key.command("create")
@click.option("--user-id", type=USER_ID, help="The one user that the key acts for.")
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, help="Repeat it for each scope."
)
@click.option("--label", help="A note: what the key is for.")
@click.option("--expires-at", type=MOMENT, help="ISO 8601; UTC if it names no zone.  [default: never]")
@access_options
@json_option
def create_key(
    user_id: str | None,
    scopes: tuple[str, ...],
    label: str | None,
    expires_at: int | None,
    access: Access,
    as_json: bool,
) -> None:
    """Create a key, and show it: now and never again."""
    expiry = None if expires_at is None else rfc3339(expires_at)
    given = {"scopes": scopes, "user_id": user_id, "label": label, "expires_at": expiry}
    show_answer(access, CREATE_KEY, as_json=as_json, **given)


@key.command("revoke")
@click.argument("key_id", type=KEY_ID)
@access_options
@json_option
def revoke_key(key_id: str, access: Access, as_json: bool) -> None:
    """Revoke a key: it stops working now.

    perps key list shows the ids.
    """
    show_answer(access, REVOKE_KEY, as_json=as_json, key_id=key_id)
