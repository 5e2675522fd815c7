"""What the read model knows beyond the venue's state, as bytes: it travels with each snapshot of that state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct

from perps.liquidation_order import NoOrder
from perps.market import Market
from perps.snapshot import Snapshot, SnapshotBroken
from perps.venue import VenueState
from web.market_history import HistoryImage, MarketHistory
from web.read_model import MarketView, ReadModel, UserView
from web.views_check import views_flaw


class UserImage(NamedTuple):
    """A user's sums, micros, and their open positions in the order they were opened."""

    user: str
    deposited: int
    withdrawn: int
    pnl: int
    fees: int
    positions: list[tuple[str, int]]


class ViewImage(NamedTuple):
    """One market's last row, where its price came from, and its history."""

    offset: int
    price_offset: int
    price_source: str
    history: HistoryImage


class ViewsImage(Struct, frozen=True):
    """All of it."""

    users: list[UserImage]
    markets: dict[str, ViewImage]


def views_of(model: ReadModel) -> ViewsImage:
    """What of a model goes beside the state."""
    users = [
        UserImage(name, user.deposited, user.withdrawn, user.pnl, user.fees, list(user.positions))
        for name, user in model.users.items()
    ]
    markets = {
        ticker: ViewImage(view.offset, view.price_offset, view.price_source, view.history.image())
        for ticker, view in model.markets.items()
    }
    return ViewsImage(users, markets)


def encode_views(model: ReadModel) -> bytes:
    """The bytes for ``Snapshot.views``."""
    return msgspec.msgpack.encode(views_of(model))


def decode_views(snapshot: Snapshot) -> ViewsImage:
    """The views in a snapshot, whatever they say. Raises ``SnapshotBroken``."""
    try:
        return msgspec.msgpack.decode(snapshot.views, type=ViewsImage)
    except msgspec.MsgspecError as error:
        raise SnapshotBroken(f"its views cannot be decoded: {error}") from error


def load_views(model: ReadModel, snapshot: Snapshot, state: VenueState) -> None:
    """Bring a fresh model to a snapshot's state. Raises ``SnapshotBroken``; then nothing has changed."""
    views = decode_views(snapshot)
    flaw = views_flaw(views, state)
    if flaw:
        raise SnapshotBroken(f"its views are not those of its state: {flaw}")
    markets = {ticker: _market_view(state.markets[ticker], image) for ticker, image in views.markets.items()}
    users = {image.user: _user_view(markets, image, state.ledger.referrers[image.user]) for image in views.users}
    model.markets.update(markets)
    model.users.update(users)
    model.balances.update(state.ledger.balances)
    model.offset, model.epoch = snapshot.offset, snapshot.epoch


def _market_view(market: Market, image: ViewImage) -> MarketView:
    view = MarketView(Market.from_image(market.image(), NoOrder()))
    view.offset, view.price_offset, view.price_source = image.offset, image.price_offset, image.price_source
    view.history = MarketHistory.from_image(image.history)
    return view


def _user_view(markets: Mapping[str, MarketView], image: UserImage, referrer: str | None) -> UserView:
    view = UserView(referrer)
    view.deposited, view.withdrawn, view.pnl, view.fees = image.deposited, image.withdrawn, image.pnl, image.fees
    for ticker, number in image.positions:
        view.positions[ticker, number] = markets[ticker].market.positions[number]
    return view
