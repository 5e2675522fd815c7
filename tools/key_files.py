"""Keys in files: each is kept, so that the next start has the same one again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from perps.client import Refused, Venue
from tools.errors import ToolError


class KeyFiles:
    """The key files of one venue. ``admin``: the venue with an administrator's key."""

    def __init__(self, admin: Venue) -> None:
        self._admin = admin
        self._are_foreign = False
        """The venue does not know one of them. The others are of that other venue too: to try them would look like
        guessing.
        """

    async def kept(self, file: Path, user: str | None, scopes: Collection[str]) -> str | None:
        """The key in the file, if the venue accepts it as this one: the same user, all these scopes.

        Errors: VenueError.
        """
        key = await asyncio.to_thread(_read, file)
        if not key or self._are_foreign:
            return None
        try:
            async with Venue(self._admin.url, key) as venue:
                me = await venue.get_me()
        except Refused as error:
            if error.status not in (401, 403):
                raise
            self._are_foreign = True
            return None
        return key if me.user_id == user and set(me.scopes) >= set(scopes) else None

    async def make(self, file: Path, user: str | None, scopes: Sequence[str], label: str) -> str:
        """A new key, put into the file. Errors: ToolError, VenueError."""
        made = await self._admin.create_key(scopes, user_id=user, label=label)
        await asyncio.to_thread(_write, file, made.key)
        return made.key


def _read(file: Path) -> str | None:
    try:
        key = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return key if key.isprintable() else None


def _write(file: Path, key: str) -> None:
    """Only the file's owner may read it."""
    try:
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as text:
            text.write(f"{key}\n")
    except OSError as error:
        raise ToolError(f"cannot keep a key in {file}: {error.strerror or error}") from error
