"""Snapshots: a venue's whole state at one offset, as compact bytes that say when they are broken.

Layout: 8 bytes of magic (with the format's version), 32 bytes SHA-256 of what follows, then zlib-compressed MessagePack
of ``Snapshot``. ``state_hash`` is what proves a snapshot right: it is the same for a replay of the journal and for the
live venue at that offset. Chunks of the ledger and of each market can be decoded by themselves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from perps.events import SCHEMA_VERSION
from perps.market.state import Market
from perps.market.sums import MarketSums
from perps.money.ledger import Ledger
from perps.refusals import InvariantViolated
from perps.snapshot.checks import ledger_flaw, market_flaw
from perps.snapshot.images import LedgerImage, MarketImage, digest
from perps.snapshot.upcast import FORMAT, market_chunks
from perps.snapshot.verification import contradictions
from perps.units import Millis
from perps.venue import VenueState

MAGIC: Final = b"perpsnp2"
"""Of the format that is written. Each format has its own; those before it are read (``perps/snapshot/upcast.py``):
the archive may have taken the rows that led to them."""

MAGICS: Final[Mapping[bytes, int]] = {b"perpsnp1": 1, MAGIC: FORMAT}
"""Every format there has been."""

PLAIN_BYTES_MAX: Final = 1 << 30
"""Of a snapshot decompressed: ten times what a million positions and their users come to, 110 MB."""

RATIO_MAX: Final = 100
"""How many times its stored bytes that may be: ours come to 2, and to 12 for a million positions that are all the same;
zlib goes to 1,032 for zeros."""

ANY_RATIO_BYTES: Final = 64 << 20
"""Up to which no ratio is asked for."""

_CHECKSUM: Final = slice(len(MAGIC), len(MAGIC) + 32)
_BODY: Final = slice(len(MAGIC) + 32, None)
_COMPRESSION: Final = 1
"""zlib's level: the quickest. Higher ones take several times as long for a few per cent."""


class SnapshotBroken(Exception):
    """These bytes are no snapshot this program can use. The one before it, or the whole journal, will do."""


class Snapshot(Struct, frozen=True):
    """The state after journal row ``offset``, whose hash is ``last_hash``."""

    schema_version: int
    """Of the events that led here."""
    offset: int
    epoch: int
    last_hash: bytes
    state_hash: bytes
    ledger: list[bytes]
    """A ``LedgerImage``, in chunks."""
    markets: dict[str, list[bytes]]
    """By ticker a ``MarketImage``, in chunks."""
    views: bytes
    """What the read side adds for itself. Follows from the journal too, but is no part of the state or its hash."""
    format: int = 1
    """The layout of the chunks. The first one did not say."""
    at: Millis = Millis(0)
    """The latest time of any row up to ``offset``. The first format did not say; its markets' times come close."""

    @classmethod
    def of(cls, state: VenueState, views: bytes = b"") -> Snapshot:
        """The snapshot of a state."""
        ledger = list(state.ledger.image(state.offset).chunks())
        markets = {ticker: list(state.markets[ticker].image().chunks()) for ticker in sorted(state.markets)}
        said = _hash_of(state.offset, state.last_hash, ledger, markets)
        place = (SCHEMA_VERSION, state.offset, state.epoch, state.last_hash)
        return cls(*place, said, ledger, markets, views, FORMAT, state.at)

    def encode(self) -> bytes:
        """The bytes to store. Raises ``SnapshotBroken`` if they would be too many to be read again."""
        plain = _encode(self)
        body = zlib.compress(plain, _COMPRESSION)
        _refuse(_too_large(len(plain), _plain_bytes_max(body)))
        return MAGIC + sha256(body).digest() + body

    @classmethod
    def decode(cls, stored: bytes) -> Snapshot:
        """The snapshot in these bytes, whole and with the state hash it claims. Raises ``SnapshotBroken``."""
        of = MAGICS.get(stored[: len(MAGIC)])
        if of is None:
            raise SnapshotBroken("it is not a snapshot of a format that this program knows")
        body = stored[_BODY]
        if sha256(body).digest() != stored[_CHECKSUM]:
            raise SnapshotBroken("its checksum does not fit: it was truncated or altered")
        try:
            snapshot = _decoder.decode(_decompressed(body))
        except (zlib.error, msgspec.MsgspecError) as error:
            raise SnapshotBroken(f"it cannot be decoded: {error}") from error
        if snapshot.format != of:
            raise SnapshotBroken(f"it is of format {snapshot.format}, and says {of}")
        if snapshot.schema_version > SCHEMA_VERSION:
            raise SnapshotBroken(f"schema version {snapshot.schema_version} is newer than this program's")
        if snapshot.computed_hash() != snapshot.state_hash:
            raise SnapshotBroken("its state does not have the hash it claims")
        return snapshot

    def computed_hash(self) -> bytes:
        """The state hash of what is in it, in its own format."""
        return _hash_of(self.offset, self.last_hash, self.ledger, self.markets)

    def hash_of_state(self) -> bytes:
        """The state hash of its state in the present format: what a replay's is compared with."""
        return self.state_hash if self.format == FORMAT else state_hash(self.state())

    def state(self) -> VenueState:
        """The state, to begin from: whole, and without a contradiction in it. Raises ``SnapshotBroken``."""
        state = VenueState()
        with _restoring():
            image = LedgerImage.from_chunks(self.ledger)
            _refuse(ledger_flaw(image, self.offset))
            state.ledger = Ledger.from_image(image)
            for ticker in self.markets:
                state.markets[ticker] = self._market(ticker)
            state.offset, state.epoch, state.last_hash = self.offset, self.epoch, self.last_hash
            state.at = max(self.at, *(market.at for market in state.markets.values()), Millis(0))
            _refuse(_disagreement(state))
        return state

    def _market(self, ticker: str) -> Market:
        image = MarketImage.from_chunks(market_chunks(self.markets[ticker], self.format))
        _refuse(market_flaw(ticker, image))
        return Market.from_image(image)


def _disagreement(state: VenueState) -> str | None:
    """What the parts of a state say of each other that cannot be."""
    rows = state.ledger.seq + sum(market.seq for market in state.markets.values())
    if rows != state.offset:
        return f"its streams have {rows} rows together, not {state.offset}"
    for market in state.markets.values():
        problem = state.ledger.disagreement(MarketSums.of(market))
        if problem:
            return problem
    if state.ledger.total():
        return f"its accounts sum to {state.ledger.total()}"
    finding = next(contradictions(state), None)
    return finding.problem if finding else None


def _plain_bytes_max(body: bytes) -> int:
    """Bytes that this body may decompress to."""
    return min(PLAIN_BYTES_MAX, max(ANY_RATIO_BYTES, len(body) * RATIO_MAX))


def _too_large(size: int, size_max: int) -> str | None:
    return f"it is larger than {size_max} bytes" if size > size_max else None


def _decompressed(body: bytes) -> bytes:
    """What was compressed, as long as it stays within its limit: no more than one byte beyond is ever made of it.

    Raises ``SnapshotBroken``, ``zlib.error``.
    """
    size_max, stream = _plain_bytes_max(body), zlib.decompressobj()
    plain = stream.decompress(body, size_max + 1)
    _refuse(_too_large(len(plain), size_max))
    if not stream.eof or stream.unused_data:
        raise SnapshotBroken("it has not the end that was written")
    return plain


def _refuse(problem: str | None) -> None:
    if problem:
        raise SnapshotBroken(problem)


@contextmanager
def _restoring() -> Iterator[None]:
    """Whatever arithmetic stumbles over is a broken snapshot. A market it does not have is still a ``KeyError``."""
    try:
        yield
    except (msgspec.MsgspecError, ValueError, ArithmeticError, InvariantViolated) as error:
        raise SnapshotBroken(f"it cannot be restored: {error}") from error


def state_hash(state: VenueState) -> bytes:
    """SHA-256 that stands for the whole state: the journal's position, every account, user, market and position."""
    markets = {ticker: market.image().chunks() for ticker, market in state.markets.items()}
    return _hash_of(state.offset, state.last_hash, state.ledger.image(state.offset).chunks(), markets)


def _hash_of(offset: int, last_hash: bytes, ledger: Iterable[bytes], markets: Mapping[str, Iterable[bytes]]) -> bytes:
    digests = [(ticker, digest(markets[ticker])) for ticker in sorted(markets)]
    return sha256(_encode((offset, last_hash, digest(ledger), digests))).digest()


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Snapshot)
