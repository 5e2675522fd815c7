"""What travels between actors: frozen, serialisable values. A mailbox message is one of these, or a list of them."""

from enum import StrEnum
from typing import Any

import pykka
from msgspec import Struct

from perps.commands import Command
from perps.journal import Entry
from perps.refusals import Rejected
from perps.sequencer import Decision, Held
from perps.snapshot.images import LedgerImage, MarketImage
from perps.units import Millis

Ref = pykka.ActorRef[Any]
"""Where to ``tell`` an actor something. A ``tell`` to a dead actor raises ``pykka.ActorDeadError``."""

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
    client_order_id: str | None
    """None: a command that may be repeated (a price, a mode)."""
    fresh: bool
    """The venue made the id itself: nobody can have used it before."""
    fingerprint: bytes
    """Digest of the command: the same id with another fingerprint is a reuse."""
    now_ms: Millis
    deadline_ms: Millis
    """Past this the command is refused instead of begun; the caller has given up by then."""
    ahead_ms: int = 0
    """How far ``now_ms`` runs before the system's clock; 0 unless that was set back."""


class Stages(Struct, frozen=True, gc=False):
    """Monotonic nanoseconds at which a command passed each stage; the ledger and the market stamp whole batches."""

    held_ns: int = 0
    decided_ns: int = 0
    sequenced_ns: int = 0
    committed_ns: int = 0


class Funded(Struct, frozen=True, gc=False):
    """A command, with what the ledger has set aside for it."""

    envelope: Envelope
    held: Held
    held_ns: int = 0


Work = Envelope | Funded
"""What a market is asked to do: commands that need no money come bare."""


class Decided(Struct, frozen=True, gc=False):
    """One row a market wants written, on its way to the ledger."""

    work: Work | None
    """The command behind it; None for consequences that overflowed the row before, or were due at a restart."""
    decision: Decision
    decided_ns: int


class Proceed(Struct, frozen=True, gc=False):
    """Travels behind one row of a market's crash, ledger → journal → supervisor, and back to that market: the row is
    durable, and there may be a further one."""

    stream: str
    incarnation: int


class FailureKind(StrEnum):
    """What a caller may believe about a command that got no verdict."""

    OVERLOADED = "overloaded"
    """Not begun; nothing changed. Send it again."""
    RATE_LIMITED = "rate_limited"
    """Not begun; nothing changed. Its sender has a fair share of the venue in flight already. Send it again."""
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


class Unchanged(Struct, frozen=True, gc=False):
    """The command was done, and there was nothing to do: no row."""


class Refused(Struct, frozen=True, gc=False):
    """A command ended without a row. Goes to the ledger, which voids the hold, and on to the supervisor."""

    work: Work
    outcome: Rejected | Failure | Unchanged


class Repeated(Struct, frozen=True, gc=False):
    """This client id was answered before: the answer is in that row."""

    offset: int


class Settled(Struct, frozen=True, gc=False):
    """A durable row on its way out: for the read model, the streams, and the caller if one waits."""

    entry: Entry
    token: Token
    trace_id: str
    stages: Stages
    liquidations: int
    """In this row; of an answer, in the further rows too."""
    goes_on: bool = False
    """What the command led to goes on in the next row of this stream."""


class TakeImage(Struct, frozen=True):
    """Say what you hold in memory. The answer travels behind the rows it rests on."""

    token: Token


class ImageTaken(Struct, frozen=True):
    """What one actor held: the ledger, or a market. Goes ledger → journal → out, like a refusal."""

    token: Token
    image: LedgerImage | MarketImage | None
    """None: a market that has nothing to show; it is not listed yet, or just dying."""
    of: int = 0
    """The ledger's comes first and says how many there will be."""


class VenueImage(Struct, frozen=True):
    """What the actors hold in memory, each at its own row; all of those rows are durable."""

    ledger: LedgerImage
    markets: list[MarketImage]
    """Those that were up."""


Outcome = Settled | Repeated | Rejected | Failure | Unchanged
"""What a caller gets: a durable row, the row of the first answer, a refusal, no verdict, or that nothing was due."""

Reply = tuple[Token, Outcome | VenueImage]


class Sequenced(Struct, frozen=True, gc=False):
    """A row with its place in the order and its money posted; the journal makes it durable."""

    entry: Entry
    token: Token
    trace_id: str
    held_ns: int
    decided_ns: int
    sequenced_ns: int
    liquidations: int
    goes_on: bool = False


class Tick(Struct, frozen=True, gc=False):
    """A second has passed: every market looks for what is due."""


class Probe(Struct, frozen=True, gc=False):
    """The journal has had nothing to do for a while: is its store still there, and still its own?"""


class Committed(Struct, frozen=True, gc=False):
    """Everything up to this offset is durable."""

    offset: int


class Stopped(Struct, frozen=True, kw_only=True):
    """A market actor died. Travels behind its last rows: ledger → journal → supervisor, so that when it arrives those
    rows are durable and no one sends to the dead any more."""

    stream: str
    incarnation: int
    reason: str
    leftovers: tuple[Work, ...] = ()
    """What it had not begun; its holds stand."""


class Wire(Struct, frozen=True):
    """At start-up: who the neighbours are. Travels inside one process only."""

    ledger: Ref
    journal: Ref
    supervisor: Ref
    look_up: Ref


class Address(Struct, frozen=True):
    """From now on this market's work goes there; None: back to the supervisor. Travels inside one process only."""

    stream: str
    market: Ref | None


class MarketReady(Struct, frozen=True):
    """A market actor has its state and takes commands."""

    stream: str
    incarnation: int


class MarketDown(Struct, frozen=True):
    """A market actor could not be (re)built."""

    stream: str
    incarnation: int
    reason: str


class LookedUp(Struct, frozen=True):
    """What the journal knows of a client id that memory has forgotten; ``failure`` when it could not be asked."""

    envelope: Envelope
    found: tuple[int, bytes] | None = None
    failure: str | None = None
