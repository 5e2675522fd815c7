"""A read model from a snapshot: what was saved beside the state, once it is known to be of that state."""

from __future__ import annotations

from collections.abc import Mapping

from perps.market.state import Market
from perps.snapshot.format import Snapshot, SnapshotBroken
from perps.venue import VenueState
from web.readside.checks import views_flaw
from web.readside.flows import MarketFlows
from web.readside.history import MarketHistory
from web.readside.image import UserImage, ViewImage, ViewsImage, decode_views
from web.readside.model import MarketView, ReadModel, UserView
from web.readside.sums import unpacked


def check_views(snapshot: Snapshot, state: VenueState) -> ViewsImage:
    """The views in a snapshot of this state. Raises ``SnapshotBroken`` when they cannot be its."""
    views = decode_views(snapshot)
    flaw = views_flaw(views, state)
    if flaw:
        raise SnapshotBroken(f"its views are not those of its state: {flaw}")
    return views


def load_views(model: ReadModel, snapshot: Snapshot, state: VenueState) -> None:
    """Bring a fresh model to a snapshot's state. Raises ``SnapshotBroken``; then nothing has changed."""
    views = check_views(snapshot, state)
    markets = {ticker: _market_view(state.markets[ticker], image) for ticker, image in views.markets.items()}
    users = {image.user: _user_view(markets, image, state.ledger.referrers[image.user]) for image in views.users}
    _add_orders(users, markets)
    model.markets.update(markets)
    model.users.update(users)
    model.balances.update(state.ledger.balances)
    model.offset, model.epoch = snapshot.offset, snapshot.epoch
    model.volume_from = snapshot.offset if views.volume_from is None else views.volume_from


def _market_view(market: Market, image: ViewImage) -> MarketView:
    view = MarketView(market.follower())
    view.offset, view.price_offset, view.price_source = image.offset, image.price_offset, image.price_source
    view.history, view.funded = MarketHistory.from_image(image.history), unpacked(image.funded)
    view.flows = MarketFlows.from_image(image.flows)
    return view


def _user_view(markets: Mapping[str, MarketView], image: UserImage, referrer: str | None) -> UserView:
    view = UserView(referrer)
    view.deposited, view.withdrawn = unpacked(image.deposited), unpacked(image.withdrawn)
    view.pnl, view.fees, view.volume = unpacked(image.pnl), unpacked(image.fees), unpacked(image.volume)
    for ticker, number in image.positions:
        view.positions[ticker, number] = position = markets[ticker].market.positions[number]
        view.margin += position.margin
    return view


def _add_orders(users: Mapping[str, UserView], markets: Mapping[str, MarketView]) -> None:
    """Give users their resting orders, those placed first first, as they came."""
    resting = [(ticker, order) for ticker, view in markets.items() for order in view.market.orders.by_number.values()]
    for ticker, order in sorted(resting, key=lambda found: (found[1].placed_at, found[1].number)):
        user = users[order.user]
        user.orders[ticker, order.number] = order
        user.reserved += order.reserve
