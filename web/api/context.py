"""What every handler can reach: one object, filled by the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from aiohttp import web

from actors.bridge import Bridge
from actors.clock import VenueClock
from web.agents.session import Sessions
from web.answers.errors import RequestError, not_found
from web.auth import Keys
from web.gateway import Gateway
from web.limits.admission import Admission
from web.limits.origins import Sites
from web.limits.shares import Arrivals, ReadShares, Turns
from web.metrics import Metrics
from web.process.observations import Observations
from web.process.recorder import Recorder
from web.process.snapshots import Snapshots
from web.process.watchdog import Problem
from web.readside.leaderboard import Leaderboards
from web.readside.model import MarketView, ReadModel, UserView
from web.readside.queries import Queries
from web.streams.events import VenueEvents
from web.streams.hub import Hub
from web.tickets import Tickets


@dataclass(slots=True)
class Context:
    """The running venue, as the handlers see it."""

    gateway: Gateway
    bridge: Bridge
    """For reads that no command can do: how many commands are in flight, what the actors hold in memory."""
    model: ReadModel
    queries: Queries
    read_shares: ReadShares
    keys: Keys
    tickets: Tickets
    streams: Hub
    stream_events: VenueEvents
    agents: Sessions
    agent_events: Mapping[str, VenueEvents]
    """As ``stream_events``, by the subprotocol that the agents' channel speaks."""
    heartbeat_s: float
    snapshots: Snapshots
    metrics: Metrics
    recorder: Recorder
    clock: VenueClock
    problems: Callable[[], Mapping[str, Problem]]
    """What is not well, by part (a ticker, ``core``, or what an actor is called). Empty: ready."""
    admission: Admission
    sites: Sites
    leaderboards: Leaderboards
    observations: Observations
    public_leaderboard: bool = False
    """Whether anybody may see the leaderboard, without a key."""
    started: bool = False
    """Whether recovery has ended: before that there is nothing true to serve."""
    demo_keys: Mapping[str, str] = field(default_factory=dict)
    """Of the demo's people, by user: empty in a venue without a demo."""
    draining: bool = False
    clock_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever advances a manual clock."""
    turns: Turns = field(default_factory=Turns)
    arrivals: Arrivals = field(default_factory=Arrivals)

    def looking_up(self, request: web.BaseRequest) -> AbstractAsyncContextManager[None]:
        """While a request has something read from the database. Raises ``rate_limited``."""
        return self.read_shares.one(self.keys.payer(request), request.remote or "")

    def market(self, ticker: str) -> MarketView:
        """A market by ticker. Raises ``market_not_found``."""
        view = self.model.markets.get(ticker)
        if view is None:
            raise self.no_market(ticker)
        return view

    def user(self, user: str) -> UserView:
        """A user. Raises ``user_not_found``."""
        view = self.model.users.get(user)
        if view is None:
            raise not_found("user", userId=user)
        return view

    def lot_size(self, ticker: str) -> int:
        """A market's lot size, pico; 1 of one that is not there: then it is something else that is wrong."""
        view = self.model.markets.get(ticker)
        return 1 if view is None else view.market.params.lot_size

    def no_market(self, ticker: str) -> RequestError:
        """``market_not_found``, naming the market that may have been meant: ``BTC-PERP`` for ``BTC`` or ``BTC-USD``."""
        meant = f"{ticker.partition('-')[0]}-PERP"
        if meant not in self.model.markets:
            return not_found("market", ticker=ticker)
        message = f"There is no such market. Did you mean {meant}?"
        return RequestError("market_not_found", message, {"ticker": ticker, "didYouMean": meant})
