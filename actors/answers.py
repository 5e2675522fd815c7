"""One answer per client id: what is in flight, and what was answered lately."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto

from actors.limits import RECENT_ANSWERS_MAX
from actors.messages import Envelope, Repeated, Token
from perps.refusals import RejectCode, Rejected


class Step(Enum):
    """What to do with a command whose id has not been answered yet."""

    BEGIN = auto()
    LOOK_UP = auto()
    """Its id may be older than memory: ask the journal, then ``begin`` or answer."""
    WAIT = auto()
    """The same command is in flight; this caller gets its answer too."""


class _InFlight:
    __slots__ = ("fingerprint", "waiting")

    def __init__(self, fingerprint: bytes) -> None:
        self.fingerprint = fingerprint
        self.waiting: list[Token] = []


class Answers:
    """Decides what a client id means. Owned by the supervisor: everything passes there before it is held or journaled.

    Refusals are not remembered: they changed nothing, so the same id may be tried again.
    """

    def __init__(self, *, recent_max: int = RECENT_ANSWERS_MAX, forgotten: bool = False) -> None:
        """``forgotten``: there are answers in the journal from before this memory begins."""
        self._in_flight: dict[str, _InFlight] = {}
        self._recent: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
        """Oldest first. (The first key of a plain dict is found behind the gaps of those that were taken before it.)"""
        self._recent_max = recent_max
        self._forgotten = forgotten

    def admit(self, envelope: Envelope) -> Step | Repeated | Rejected:
        """Whether a command may begin. A reused id (another command under it) is refused."""
        if envelope.client_order_id is None:
            return Step.BEGIN
        key = _key(envelope.sender, envelope.client_order_id)
        known = self._recent.get(key)
        if known is not None:
            offset, fingerprint = known
            return Repeated(offset) if fingerprint == envelope.fingerprint else _reused(envelope)
        flying = self._in_flight.get(key)
        if flying is not None:
            if flying.fingerprint != envelope.fingerprint:
                return _reused(envelope)
            flying.waiting.append(envelope.token)
            return Step.WAIT
        self._in_flight[key] = _InFlight(envelope.fingerprint)
        return Step.LOOK_UP if self._forgotten and not envelope.fresh else Step.BEGIN

    def looked_up(self, envelope: Envelope, found: tuple[int, bytes] | None) -> Step | Repeated | Rejected:
        """What the journal knew of an id that memory had forgotten. Its waiters are settled by the caller."""
        if found is None:
            return Step.BEGIN
        offset, fingerprint = found
        return Repeated(offset) if fingerprint == envelope.fingerprint else _reused(envelope)

    def done(self, sender: str, client_order_id: str, fingerprint: bytes, offset: int) -> list[Token]:
        """A row is durable. Remember it, and return who waits for the same answer."""
        key = _key(sender, client_order_id)
        self._recent[key] = (offset, fingerprint)
        if len(self._recent) > self._recent_max:
            self._recent.popitem(last=False)
            self._forgotten = True
        flying = self._in_flight.pop(key, None)
        return flying.waiting if flying else []

    def ended(self, envelope: Envelope) -> list[Token]:
        """A command ended without a row: its id is free again. Return who waits for the same answer."""
        if envelope.client_order_id is None:
            return []
        flying = self._in_flight.pop(_key(envelope.sender, envelope.client_order_id), None)
        return flying.waiting if flying else []


def _key(sender: str, client_order_id: str) -> str:
    return f"{sender}\0{client_order_id}"


def _reused(envelope: Envelope) -> Rejected:
    facts = {"client_order_id": envelope.client_order_id or ""}
    return Rejected(code=RejectCode.CLIENT_ORDER_ID_REUSED, facts=facts)
