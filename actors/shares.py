"""Fair shares: how much of something each may have at a time, so that nobody can have all of it."""

from __future__ import annotations


class Shares:
    """Counts what everybody has of something. Who has ``each`` of it gets no more until they give some back."""

    def __init__(self, each: int) -> None:
        self.each = each
        self._taken: dict[str, int] = {}

    def take(self, who: str, each: int = 0) -> bool:
        """Have one more; False if ``who`` has ``each`` already. (0: what everybody may have.)"""
        taken = self._taken.get(who, 0)
        if taken >= (each or self.each):
            return False
        self._taken[who] = taken + 1
        return True

    def give(self, who: str) -> None:
        """Have one less."""
        left = self._taken[who] - 1
        if left:
            self._taken[who] = left
        else:
            del self._taken[who]
