"""What travels between actors: frozen, serialisable values. A mailbox message is one of these, or a list of them."""

from enum import StrEnum

from msgspec import Struct

from perps.commands import Command
from perps.events import Events
from perps.journal import Entry
from perps.ledger import MarketSums
from perps.market import Market
from perps.refusals import Rejected
from perps.units import Micros, Millis

Token = int
"""Names a waiting caller. The bridge that minted it turns it back into a future."""

NO_TOKEN: Token = 0
"""Nobody waits: a command the venue gave itself."""


class Envelope(Struct, frozen=True, kw_only=True, gc=False):
    """A command, who sent it, who waits for the answer, and the trace it belongs to."""

    command: Command
    token: Token
    trace_id: str
    sender: str
    """The user (or administrator) whose ``client_order_id`` this is."""
    client_order_id: str
    fingerprint: bytes
    """Digest of the command: the same id with another fingerprint is a reuse."""
    now_ms: Millis
    deadline_ms: Millis
    """Past this the command is refused instead of begun; the caller has given up by then."""


class Stages(Struct, frozen=True, gc=False):
    """Monotonic nanoseconds at which a command passed each stage; the ledger and the market stamp whole batches."""

    held_ns: int = 0
    decided_ns: int = 0
    sequenced_ns: int = 0
    committed_ns: int = 0


class Funded(Struct, frozen=True, gc=False):
    """An open, with what the ledger set aside for it (less than it needs, if the wallet has less)."""

    envelope: Envelope
    held: Micros
    referrer: str | None
    held_ns: int = 0


Work = Envelope | Funded
"""What a market is asked to do: commands that need no money come bare."""


class Decided(Struct, frozen=True, gc=False):
    """One row a market wants journaled; already true in the market's own memory."""

    work: Work | None
    """The command behind it; None for liquidations that overflowed the row before."""
    stream: str
    market_seq: int
    kind: str
    at: Millis
    events: Events
    sums: MarketSums
    rows_of_command: int
    """1 + the further rows this command made; the caller is answered when the last of them is durable."""
    liquidations: int
    decided_ns: int


class Refused(Struct, frozen=True, gc=False):
    """A market's (or the ledger's) no. The hold, if any, is to be voided."""

    work: Work
    rejected: Rejected
    at_ns: int


class FailureKind(StrEnum):
    """What a caller may believe about a command that got no verdict."""

    OVERLOADED = "overloaded"
    """Not begun; nothing changed. Send it again."""
    UNAVAILABLE = "unavailable"
    """Not begun; its market or the venue is being rebuilt. Send it again."""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """Done or not done: the same client id, sent again, tells."""
    INTERNAL_ERROR = "internal_error"
    """A bug stopped it before it was done. It has no effect."""


class Failure(Struct, frozen=True, gc=False):
    """No verdict on a command, and why."""

    kind: FailureKind
    reason: str


class Done(Struct, frozen=True, gc=False):
    """A command's row is durable."""

    entry: Entry
    stages: Stages
    liquidations: int = 0


class Repeated(Struct, frozen=True, gc=False):
    """This client id was answered before: the answer is in that row."""

    offset: int


Outcome = Done | Repeated | Rejected | Failure


class Settled(Struct, frozen=True, gc=False):
    """A durable row on its way out: for the read model, the streams, and the caller if one waits."""

    entry: Entry
    token: Token
    trace_id: str
    stages: Stages
    liquidations: int


class Stopped(Struct, frozen=True, kw_only=True):
    """An actor died, or its predecessor's rows are all durable now (``drained``)."""

    stream: str
    reason: str
    leftovers: tuple[Work, ...] = ()
    """What it had not begun; its holds stand."""


class MarketReady(Struct, frozen=True):
    """A market actor has its state and takes commands."""

    stream: str
    incarnation: int


class MarketDown(Struct, frozen=True):
    """A market actor could not be (re)built."""

    stream: str
    incarnation: int
    reason: str


class Adopt(Struct, frozen=True):
    """Hand a market its state, at start-up."""

    market: Market
