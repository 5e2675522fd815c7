"""What all lists have in common."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from perps.wire.base import END, KEY_ID, TAKES, Cursor, Query

LIMIT_MAX: Final = 500
LIMIT_DEFAULT: Final = 100

_EARLIER: Final = {TAKES: "the nextCursor of an earlier page of this list"}
_AS_CURSOR: Final = "The `nextCursor` of the page before."


class Limited(Query):
    """A list that has a limit and no pages."""

    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="How many items at most.")] = LIMIT_DEFAULT


class Page(Limited):
    """One page of a list."""

    cursor: (
        Annotated[Cursor, Meta(pattern=r"^\d{1,18}-\d{1,9}" + END, description=_AS_CURSOR, extra=_EARLIER)] | None
    ) = None


class PositionsPage(Limited):
    """One page of a list of positions, whose numbers grow for ever."""

    cursor: (
        Annotated[Cursor, Meta(pattern=r"^\d{1,18}-\d{1,15}" + END, description=_AS_CURSOR, extra=_EARLIER)] | None
    ) = None


class KeysPage(Limited):
    """One page of the list of keys."""

    cursor: (
        Annotated[Cursor, Meta(pattern=rf"^\d{{1,15}}-{KEY_ID.pattern}{END}", description=_AS_CURSOR, extra=_EARLIER)]
        | None
    ) = None
