"""The keys of the demo's people: a file of the data directory keeps each, so that the next start shows it again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from perps.client import Refused, Venue
from tools.errors import ToolError


class KeyFiles:
    """The key files of one venue's people. ``label``: what new keys are called."""

    def __init__(self, admin: Venue, label: str = "demo") -> None:
        self._admin, self._label = admin, label
        self._are_stale = False
        """One was not accepted. The others are of that other venue too: to try them would look like guessing."""

    async def key_of(self, person: str, file: Path) -> str:
        """The key in the person's file, if the venue accepts it; else a new one, put there.

        Errors: ToolError, VenueError.
        """
        kept = await asyncio.to_thread(_read, file)
        if kept and not self._are_stale:
            if await _is_valid(self._admin.url, person, kept):
                return kept
            self._are_stale = True
        made = await self._admin.create_key(["read", "trade"], user_id=person, label=self._label)
        await asyncio.to_thread(_write, file, made.key)
        return made.key


async def _is_valid(url: str, person: str, key: str) -> bool:
    try:
        async with Venue(url, key) as venue:
            await venue.get_balance(person)
    except Refused as error:
        if error.status in (401, 403):
            return False
        raise
    return True


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
