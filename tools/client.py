"""The venue that a command talks to: where the settings say it is, with failures as the command line tells them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from perps.client import BadAnswer, Refused, Retry, Unavailable, Venue, VenueError
from perps.client.venue import TIMEOUT_S
from perps.wire.errors import ErrorCode
from tools import errors
from tools.output import show_line
from tools.settings import Access

RETRY_S: Final = 2.0
"""How long a command goes on sending again: somebody waits for it."""
TOLD_AFTER: Final = 5
"""After so many tries, people hear that the venue does not answer."""
LISTS: Final[Mapping[str, str]] = {
    ErrorCode.MARKET_NOT_FOUND: "To see the markets: perps market list",
    ErrorCode.POSITION_NOT_FOUND: "To see yours: perps trade positions",
    ErrorCode.ORDER_NOT_FOUND: "To see yours: perps trade orders",
    ErrorCode.USER_NOT_FOUND: "To see the users: perps user list",
}
"""Where to look, if the venue does not know a name."""


@asynccontextmanager
async def venue_at(access: Access, *, retry_s: float = RETRY_S, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Venue]:
    """The venue of these settings. Whatever fails inside is a ``ToolError``."""
    try:
        async with Venue(access.url, access.key, retry_s=retry_s, timeout_s=timeout_s) as venue:
            yield venue
    except VenueError as error:
        raise _told(error, access) from error


def be_patient(venue: Venue, seconds: float) -> None:
    """From now on, send again for so long. Once a request has waited for some tries, stderr says so."""

    def tell(retry: Retry) -> None:
        if retry.tries == TOLD_AFTER:
            show_line(f"{venue.url} does not answer; trying again for {seconds:g} s", err=True)

    venue.be_patient(seconds, tell)


def _where_to_look(error: Refused) -> str:
    """The command that lists what there is, after a name that is wrong; nothing if the venue said what was meant."""
    if "didYouMean" in error.details:
        return ""
    code = error.code
    if code == ErrorCode.FORBIDDEN and "position" in error.details:
        code = ErrorCode.POSITION_NOT_FOUND
    hint = LISTS.get(code)
    return f". {hint}" if hint else ""


def _told(error: VenueError, access: Access) -> errors.ToolError:
    """A failure with what the settings have to do with it."""
    match error:
        case Refused():
            hint = f" (the key came from {access.key_from})" if error.status == 401 and access.key_from else ""
            hint += _where_to_look(error)
            return errors.ApiError(f"{error}{hint}", error.code, error.message, error.details)
        case Unavailable(is_connected=False):
            return errors.VenueUnreachable(f"{error}. Is the venue running? Give its address with --url")
        case BadAnswer():
            return errors.BadAnswer(str(error))
        case _:
            return errors.VenueUnreachable(str(error), error.code)
