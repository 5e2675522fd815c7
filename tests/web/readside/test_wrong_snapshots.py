"""Snapshots that are whole, with checksums and hashes that fit, and wrong: written by a program with a bug, or by hand.

None may end a start otherwise than in a state that holds, or with the row named that cannot follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec
import pytest
import structlog
from msgspec.structs import replace

from actors.recovery import recover, reload_market
from perps.snapshot.format import Snapshot
from perps.snapshot.images import MarketImage
from perps.venue import JournalCorrupt, VenueState
from tests.support.entries import Scribe
from tests.support.memory import MemoryStore
from tests.support.snapshots import snapshot_of
from web.readside.image import UserImage, ViewsImage, decode_views
from web.readside.loading import check_views, load_views
from web.readside.model import ReadModel
from web.readside.sums import unpacked

encode = msgspec.msgpack.encode

ROWS: Final = 400
AT: Final = 300


@pytest.fixture(scope="module")
def scribe() -> Scribe:
    """A market day."""
    scribe = Scribe()
    scribe.live(ROWS)
    return scribe


@pytest.fixture(scope="module")
def right(scribe: Scribe) -> Snapshot:
    """The snapshot of row ``AT`` as it should be."""
    return snapshot_of(scribe.entries[:AT])


@pytest.fixture(scope="module")
def after_the_day(scribe: Scribe) -> VenueState:
    """What all rows lead to."""
    state = VenueState()
    for entry in scribe.entries:
        state.apply(entry.row)
    return state


def stored(scribe: Scribe, snapshot: Snapshot) -> MemoryStore:
    """The day's journal, and this snapshot under the row of the right one."""
    store = MemoryStore()
    store.acquire().append(scribe.entries)
    store.save(AT, snapshot.encode(), keep=3)
    return store


def begun_at(store: MemoryStore) -> tuple[int, list[str]]:
    """Where a start begins, and why it skipped what it skipped; it must end where the journal ends."""
    model = ReadModel()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with structlog.testing.capture_logs() as logs:
        found = recover(store, model.replay, lambda snapshot, state: load_views(model, snapshot, state))
    assert found.state.offset == model.offset == len(store.journal)
    assert found.state.epoch == model.epoch == store.journal[-1].epoch
    return found.begun_at, [str(event["problem"]) for event in logs if event["event"] == "snapshot.skipped"]


def test_the_right_one_is_begun_from(scribe: Scribe, right: Snapshot) -> None:
    assert begun_at(stored(scribe, right)) == (AT, [])


@pytest.mark.parametrize("offset", [1, 2, 7, 50, 200, ROWS])
def test_views_of_any_row_fit_its_state(scribe: Scribe, offset: int) -> None:
    snapshot = snapshot_of(scribe.entries[:offset])
    load_views(ReadModel(), snapshot, snapshot.state())


def _user(change: Callable[[UserImage], UserImage]) -> Callable[[ViewsImage], ViewsImage]:
    """A change of a user who has positions in both markets."""

    def changed(views: ViewsImage) -> ViewsImage:
        at = next(n for n, user in enumerate(views.users) if len({ticker for ticker, _ in user.positions}) > 1)
        return replace(views, users=[*views.users[:at], change(views.users[at]), *views.users[at + 1 :]])

    return changed


def _market(change: Callable[[dict[str, Any]], object]) -> Callable[[ViewsImage], ViewsImage]:
    """A change of a market's image, as plain values."""

    def changed(views: ViewsImage) -> ViewsImage:
        ticker, image = next(iter(views.markets.items()))
        plain = dict(zip(image._fields, msgspec.msgpack.decode(encode(image)), strict=True))
        change(plain)
        market = msgspec.msgpack.decode(encode(list(plain.values())), type=type(image))
        return replace(views, markets={**views.markets, ticker: market})

    return changed


VIEWS: Final[dict[str, tuple[Callable[[ViewsImage], ViewsImage], str]]] = {
    "a sum a thousand times as high": (_user(lambda user: user._replace(deposited=user.deposited * 1000)), "holds"),
    "a sum below 0": (_user(lambda user: user._replace(fees=-1)), "below 0"),
    "profits never made": (_user(lambda user: user._replace(pnl=unpacked(user.pnl) + 10**12)), "holds"),
    "less from outside than there is": (
        _user(lambda user: user._replace(withdrawn=unpacked(user.withdrawn) + 1)),
        "outside",
    ),
    "a user left out": (lambda views: replace(views, users=views.users[1:]), "is not in it"),
    "a user twice": (lambda views: replace(views, users=[*views.users, views.users[0]]), "in it twice"),
    "a user nobody knows": (
        lambda views: replace(views, users=[*views.users, views.users[0]._replace(user="mallory")]),
        "mallory is in it twice, or is no user",
    ),
    "a position left out": (_user(lambda user: user._replace(positions=user.positions[1:])), "has not the positions"),
    "a position twice": (
        _user(lambda user: user._replace(positions=[*user.positions, user.positions[0]])),
        "has not the positions",
    ),
    "positions in another order": (_user(lambda user: user._replace(positions=user.positions[::-1])), "behind"),
    "a market left out": (lambda views: replace(views, markets=dict([*views.markets.items()][1:])), "BTC-PERP"),
    "a market's row to come": (_market(lambda image: image.update(offset=AT + 1)), "stands at row 301"),
    "a price of no row": (_market(lambda image: image.update(price_offset=0)), "its price at row 0"),
    "a price of nobody": (_market(lambda image: image.update(price_source="a\x1b[31m")), "has its price from"),
    "no present minute": (_market(lambda image: image["history"].__setitem__(0, None)), "candle of this minute"),
    "a close that is not the price": (
        _market(lambda image: image["history"][0].__setitem__(4, 1)),
        "candle of this minute",
    ),
    "candles of no length": (_market(lambda image: image["history"][1].update({0: []})), "candles of"),
    "a candle upside down": (
        _market(lambda image: image["history"][1][60_000][0].__setitem__(2, 1)),
        "a candle of 60000 ms cannot be",
    ),
    "a flow below 0": (
        _market(lambda image: image["flows"][0][0].__setitem__(1, -1)),
        "the flow of a minute cannot be",
    ),
    "traders of nowhere": (_market(lambda image: image["flows"][1].clear()), "the traders of a minute cannot be"),
    "flows in another order": (_market(lambda image: image["flows"][0].reverse()), "its flows are not in order"),
    "candles in another order": (_market(lambda image: image["history"][1][60_000].reverse()), "not in order"),
}


@pytest.mark.parametrize("what", VIEWS)
def test_views_that_do_not_fit_the_state_are_skipped_with_a_warning(scribe: Scribe, right: Snapshot, what: str) -> None:
    change, why = VIEWS[what]
    views = encode(change(decode_views(right)))

    begun, skipped = begun_at(stored(scribe, replace(right, views=views)))

    assert begun == 0
    assert len(skipped) == 1
    assert why in skipped[0]


def _restated(right: Snapshot, change: Callable[[VenueState], object]) -> Snapshot:
    """The snapshot of a changed state, with every hash made anew."""
    state = right.state()
    change(state)
    return Snapshot.of(state, right.views)


def _position(state: VenueState, **changes: Any) -> None:
    positions = state.markets["BTC-PERP"].positions
    number = next(iter(positions))
    positions[number] = replace(positions[number], **changes)


def _pay(state: VenueState, source: str, target: str, amount: int = 5) -> None:
    balances = state.ledger.balances
    balances[source] = balances.get(source, 0) - amount
    balances[target] = balances.get(target, 0) + amount


def _of(state: VenueState, **changes: Any) -> None:
    market = state.markets["BTC-PERP"]
    for name, value in changes.items():
        setattr(market, name, value)


STATES: Final[dict[str, Callable[[VenueState], object]]] = {
    "money from nowhere": lambda state: state.ledger.balances.update(fees=state.ledger.balances["fees"] + 1),
    "a wallet below 0": lambda state: _pay(state, "user:user1", "user:user2", 10**18),
    "money of nobody": lambda state: _pay(state, "user:user1", "user:mallory"),
    "an account of nobody": lambda state: _pay(state, "user:user1", "mine"),
    "margin that nobody posted": lambda state: _pay(state, "user:user1", "margin:BTC-PERP"),
    "a house that has more than its market says": lambda state: _pay(state, "user:user1", "house:BTC-PERP"),
    "insurance that no market knows": lambda state: _pay(state, "user:user1", "insurance:ETH-PERP"),
    "a balance beyond 62 bits": lambda state: _pay(state, "house:BTC-PERP", "insurance:BTC-PERP", 2**62 + 1),
    "margin other than posted": lambda state: _position(state, margin=1),
    "a margin below 0": lambda state: _position(state, margin=-1),
    "a position of 0 lots": lambda state: _position(state, lots=0),
    "a position of nobody": lambda state: _position(state, user="mallory"),
    "a referrer of nobody": lambda state: _position(state, referrer="mallory"),
    "a position from the future": lambda state: _position(state, opened_at=2**60),
    "a position numbered 0": lambda state: _position(state, number=0),
    "a position twice": lambda state: _position(state, number=max(state.markets["BTC-PERP"].positions)),
    "a leverage of 0": lambda state: _position(state, leverage=0),
    "a next number that is taken": lambda state: _of(state, next_number=1),
    "more positions than can be numbered": lambda state: _of(state, next_number=2**60),
    "no price": lambda state: _of(state, index_price=0),
    "a price of the year 300,000": lambda state: _of(state, at=2**53, price_at=2**53),
    "a row too many": lambda state: _of(state, seq=state.markets["BTC-PERP"].seq + 1),
    "a ledger with a row too few": lambda state: setattr(state.ledger, "seq", state.ledger.seq - 1),
    "a user referred by nobody": lambda state: state.ledger.referrers.update(user1="mallory"),
    "a user less": lambda state: state.ledger.referrers.pop("user1"),
    "a market under another name": lambda state: state.markets.update({"X": state.markets.pop("ETH-PERP")}),
    "a market less": lambda state: state.markets.pop("ETH-PERP"),
    "units of nothing": lambda state: _of(state, params=replace(state.markets["BTC-PERP"].params, tick_size=0)),
    "no depth": lambda state: _of(state, params=replace(state.markets["BTC-PERP"].params, skew_scale=0)),
}


@pytest.mark.parametrize("what", STATES)
def test_a_state_that_contradicts_itself_is_skipped_with_a_warning(scribe: Scribe, right: Snapshot, what: str) -> None:
    begun, skipped = begun_at(stored(scribe, _restated(right, STATES[what])))

    assert begun == 0
    assert len(skipped) == 1


@pytest.mark.parametrize("what", ["a position of 0 lots", "a position twice", "units of nothing", "no depth"])
def test_a_market_is_not_reloaded_from_a_state_that_cannot_be(
    scribe: Scribe, right: Snapshot, after_the_day: VenueState, what: str
) -> None:
    wrong = stored(scribe, _restated(right, STATES[what]))
    assert _reloaded(wrong) == (after_the_day.markets["BTC-PERP"].image(), [AT])


@pytest.mark.parametrize("what", VIEWS)
def test_a_market_is_not_reloaded_from_what_a_start_would_not_begin_from(
    scribe: Scribe, right: Snapshot, after_the_day: VenueState, what: str
) -> None:
    change, _ = VIEWS[what]
    store = stored(scribe, replace(right, views=encode(change(decode_views(right)))))

    assert _reloaded(store) == (after_the_day.markets["BTC-PERP"].image(), [AT])


def _reloaded(store: MemoryStore) -> tuple[MarketImage, list[int]]:
    """A market as it is rebuilt after its death, and the rows of the snapshots that were skipped."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with structlog.testing.capture_logs() as logs:
        market = reload_market(store, "BTC-PERP", on_snapshot=check_views)
    return market.image(), [event["offset"] for event in logs if event["event"] == "snapshot.skipped"]


@pytest.mark.parametrize("epoch", [0, 2, -1, 2**63 - 1])
def test_one_of_another_epoch_than_its_row_is_skipped(
    scribe: Scribe, right: Snapshot, after_the_day: VenueState, epoch: int
) -> None:
    """No hash of it says so: its epoch is the row's, which its row's hash vouches for."""
    store = stored(scribe, replace(right, epoch=epoch))

    assert begun_at(store) == (0, [f"it says epoch {epoch}, its row 1"])
    assert _reloaded(store) == (after_the_day.markets["BTC-PERP"].image(), [AT])


def test_one_stored_under_another_row_is_skipped(scribe: Scribe, right: Snapshot) -> None:
    """Else a rebuild would begin behind the rows it must publish."""
    store = stored(scribe, right)
    store.saved_snapshots = {AT - 100: right.encode()}
    assert begun_at(store) == (0, [f"it is of row {AT}"])


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all numbers, texts and nothings in plain values."""
    if isinstance(value, dict):
        return [place for key, item in value.items() for place in _leaves(item, (*path, key))]
    if isinstance(value, list):
        return [place for at, item in enumerate(value) for place in _leaves(item, (*path, at))]
    return [path]


def _corrupted(value: Any, random: Random) -> Any:
    """Another value: of the same kind, mostly."""
    if isinstance(value, int):
        return random.choice((0, -1, 1, -value, value + 1, value - 1, value * 1000, 2**63 - 1, -(2**63)))
    return random.choice(("", "mallory", "user1", None, value))


def _damaged(right: Snapshot, random: Random) -> Snapshot:
    """One value somewhere in the images replaced by another, with every hash made anew."""
    plain: dict[str, Any] = {
        "ledger": [msgspec.msgpack.decode(chunk) for chunk in right.ledger],
        "markets": {ticker: [msgspec.msgpack.decode(c) for c in chunks] for ticker, chunks in right.markets.items()},
        "views": msgspec.msgpack.decode(right.views),
    }
    part = random.choice(("ledger", "markets", "views"))
    *path, last = random.choice(_leaves(plain[part], (part,)))
    holder: Any = plain
    for step in path:
        holder = holder[step]
    holder[last] = _corrupted(holder[last], random)
    markets = {ticker: [encode(chunk) for chunk in chunks] for ticker, chunks in plain["markets"].items()}
    wrong = replace(
        right, ledger=[encode(chunk) for chunk in plain["ledger"]], markets=markets, views=encode(plain["views"])
    )
    return replace(wrong, state_hash=wrong.computed_hash())


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_changed_a_start_ends_in_a_state_that_holds_or_names_a_row(
    scribe: Scribe, right: Snapshot, seed: int
) -> None:
    random = Random(seed)
    for _ in range(10):
        assert _outcome(stored(scribe, _damaged(right, random))) in ("begun", "skipped", "a row behind it is named")


def _outcome(store: MemoryStore) -> str:
    """How a start ends; a state that no check can tell from the right one is told by the rows behind it, or never."""
    try:
        begun, skipped = begun_at(store)
    except JournalCorrupt as corrupt:
        return "a row behind it is named" if corrupt.offset > AT else str(corrupt)
    return {(0, 1): "skipped", (AT, 0): "begun"}.get((begun, len(skipped)), f"{begun} {skipped}")
