"""Who may have how much of the database read for them at a time: connections are few, and everybody waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from actors.shares import Shares
from web.errors import RequestError

LOOK_UPS_MAX: Final = 64
"""Look-ups of one sender at a time."""

STRANGERS_LOOK_UPS_MAX: Final = 64
"""Of all callers without a key together: market data is public, and lists of what is past come from the database."""

STRANGERS: Final = ""
"""What they are called: nobody's name."""


class ReadShares:
    """Counts look-ups by sender."""

    def __init__(self, each: int = LOOK_UPS_MAX, strangers: int = STRANGERS_LOOK_UPS_MAX) -> None:
        self._shares, self._strangers = Shares(each), strangers

    @contextmanager
    def one(self, sender: str | None) -> Iterator[None]:
        """While a sender (None: a stranger) has something looked up. Raises ``rate_limited``."""
        who, most = (STRANGERS, self._strangers) if sender is None else (sender, self._shares.each)
        if not self._shares.take(who, most):
            ours = "callers without a key have" if sender is None else "you have"
            message = f"As much is being looked up as {ours} a right to at a time. Send it again."
            raise RequestError("rate_limited", message, {"limit": most})
        try:
            yield
        finally:
            self._shares.give(who)
