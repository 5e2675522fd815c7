"""Cancel timers: when each user's resting orders end, unless the user says otherwise before."""

from __future__ import annotations

from collections.abc import Mapping

from sortedcontainers import SortedList

from perps.units import Millis


class CancelTimers:
    """The time of each user who has set one, and whose is due. Nothing here can refuse."""

    __slots__ = ("_by_time", "by_user")

    def __init__(self, by_user: Mapping[str, Millis] | None = None) -> None:
        self.by_user: dict[str, Millis] = dict(by_user or {})
        self._by_time: SortedList[tuple[Millis, str]] = SortedList((at, user) for user, at in self.by_user.items())

    def set(self, user: str, at: Millis | None) -> None:
        """A user's orders end at ``at``; None: they do not."""
        before = self.by_user.pop(user, None)
        if before is not None:
            self._by_time.remove((before, user))
        if at is not None:
            self.by_user[user] = at
            self._by_time.add((at, user))

    def due(self, at: Millis) -> list[str]:
        """Users whose time has come, the earliest first."""
        return [user for _, user in self._by_time.irange(maximum=(Millis(at + 1), ""), inclusive=(True, False))]
