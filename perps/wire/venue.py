"""The venue itself: what is here, how it is, what it holds."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from perps.params import Mode
from perps.wire.base import Answer, Body, Money, Number, Offset, Quantity, Ticker, Time
from perps.wire.errors import ErrorCode as Code
from perps.wire.operation import COMMAND, FILE, NOTHING, PAGE, TEXT, Operation


class Index(Answer):
    """What is here."""

    name: str
    version: str
    docs: Annotated[str, Meta(description="The text of the contract, in the sources.")]
    openapi: Annotated[str, Meta(description="The contract for programs.")]
    reference: Annotated[str, Meta(description="The contract as a page.")]
    health: str
    ready: str
    metrics: str
    routes: list[str]


class Health(Answer):
    """The process answers."""

    status: Literal["ok"]


class Ready(Answer):
    """Whether every part takes commands, and why not."""

    status: Literal["ready", "not_ready"]
    problems: Annotated[dict[str, str], Meta(description="By part: a ticker, `core`, `venue`, or an actor that hangs.")]
    since: Annotated[dict[str, Time], Meta(description="Since when, by part.")]
    offset: Offset
    warnings: Annotated[dict[str, str] | UnsetType, Meta(description="What stops no command.")] = UNSET


class MarketStats(Answer):
    """One market in numbers."""

    ticker: Ticker
    status: Mode
    reason: str
    positions: int
    margin: Money
    skew: Quantity
    house: Money
    insurance: Money
    offset: Offset
    house_available: Annotated[Money, Meta(description="What the house could pay now: it and its `houseCreditLimit`.")]
    house_liability: Annotated[Money, Meta(description="What all traders would gain together if they left now.")]


class Accounts(Answer):
    """The sums of all accounts of a kind. ``total`` is always 0."""

    wallets: Money
    margin: Money
    house: Money
    insurance: Money
    fees: Money
    world: Annotated[Money, Meta(description="Everything outside: minus the money in the venue.")]
    total: Money


class Stats(Answer):
    """The venue in numbers."""

    offset: Offset
    epoch: int
    time: Time
    users: int
    markets: list[MarketStats]
    in_flight: int
    streams: int
    accounts: Accounts
    health: dict[str, str]


class SnapshotTaken(Answer):
    """A snapshot that is stored."""

    offset: Offset
    state_hash: str
    size: Annotated[int, Meta(description="Bytes.")]
    rows: Annotated[int, Meta(description="Rows read since the snapshot before it.")]


class LedgerDigest(Answer):
    """What the ledger holds in memory."""

    offset: Offset
    seq: int
    hash: str


class MarketDigest(Answer):
    """What a market holds in memory."""

    ticker: Ticker
    seq: int
    positions: int
    hash: str


class State(Answer):
    """Digests of what the actors hold in memory."""

    ledger: LedgerDigest
    markets: list[MarketDigest]


class AdvanceBody(Body):
    """How much time is to pass."""

    seconds: Annotated[Number, Meta(description="More than 0, at most 31 days, to the millisecond.", examples=["3600"])]


class Advanced(Answer):
    """Time has passed, and every market has been looked at, at least once an hour."""

    time: Annotated[Time, Meta(description="Now.")]
    steps: Annotated[int, Meta(description="How often every market was looked at.")]
    offset: Offset


ADVANCE_CLOCK: Final = Operation(
    name="advanceClock",
    tag="Administration",
    method="POST",
    path="/api/admin/clock/advance",
    summary="Let time pass, in a venue with a manual clock",
    scope="admin",
    body=AdvanceBody,
    answers={200: Advanced},
    refusals=(Code.CLOCK_NOT_MANUAL, *COMMAND),
)
STATS: Final = Operation(
    name="getStats",
    tag="Administration",
    method="GET",
    path="/api/admin/stats",
    summary="The venue in numbers",
    scope="admin",
    answers={200: Stats},
)
TAKE_SNAPSHOT: Final = Operation(
    name="takeSnapshot",
    tag="Administration",
    method="POST",
    path="/api/admin/snapshots",
    summary="Take a snapshot of everything that is durable by now",
    scope="admin",
    repeatable=True,
    answers={201: SnapshotTaken},
)
STATE: Final = Operation(
    name="getState",
    tag="Administration",
    method="GET",
    path="/api/admin/state",
    summary="Digests of what the actors hold in memory",
    scope="admin",
    answers={200: State},
    refusals=(Code.OVERLOADED,),
)
INDEX: Final = Operation(
    name="getIndex", tag="Operations", method="GET", path="/", summary="What is here", answers={200: Index}
)
HEALTH: Final = Operation(
    name="getHealth",
    tag="Operations",
    method="GET",
    path="/healthz",
    summary="Whether the process answers",
    answers={200: Health},
)
READY: Final = Operation(
    name="getReady",
    tag="Operations",
    method="GET",
    path="/readyz",
    summary="Whether every part takes commands, and why not",
    answers={200: Ready, 503: Ready},
)
METRICS: Final = Operation(
    name="getMetrics",
    tag="Operations",
    method="GET",
    path="/metrics",
    summary="Figures for Prometheus",
    answers={200: TEXT},
)
OPENAPI: Final = Operation(
    name="getOpenApi",
    tag="Operations",
    method="GET",
    path="/openapi.json",
    summary="This contract, for programs: OpenAPI 3.1",
    answers={200: dict[str, Any], 304: NOTHING},
)
REFERENCE: Final = Operation(
    name="getReference",
    tag="Operations",
    method="GET",
    path="/docs",
    summary="This contract, as a page",
    answers={200: PAGE, 304: NOTHING},
)
REFERENCE_FILE: Final = Operation(
    name="getReferenceFile",
    tag="Operations",
    method="GET",
    path="/docs/{file}",
    summary="A file that the page loads",
    answers={200: FILE, 304: NOTHING},
    refusals=(Code.NOT_FOUND,),
)
