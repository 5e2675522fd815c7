"""Event streams: who may follow what, from where; and tickets for readers that cannot send a key."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from aiohttp import web

from perps.wire import streams as wire
from perps.wire.operation import NoQuery
from perps.wire.streams import MixedStreamQuery, StreamQuery, TicketMade, UserStreamQuery
from web.answers.errors import RequestError
from web.answers.times import rfc3339
from web.api.bodies import reading
from web.api.call import Call, Route
from web.api.context import Context
from web.auth import Principal
from web.streams import sse
from web.streams.hub import SUBSCRIBERS_MAX
from web.streams.topics import MIXED, Tickers, Topics, of_markets, of_user


async def market_stream(call: Call[None, StreamQuery]) -> web.StreamResponse:
    """Prices, trades, liquidations and modes of all markets, or of those named in ``tickers`` (or ``ticker``)."""
    names = call.query.ticker if call.query.tickers is None else call.query.tickers
    return await _serve(call, of_markets(_tickers(call, names)), None)


async def user_stream(call: Call[None, UserStreamQuery]) -> web.StreamResponse:
    """Trades, liquidations, positions and the balance of the user in the path."""
    user = _existing(call, call.path["userId"])
    return await _serve(call, of_user(user, _tickers(call, call.query.tickers)), call.principal)


async def all_users_stream(call: Call[None, UserStreamQuery]) -> web.StreamResponse:
    """The same of everybody."""
    return await _serve(call, of_user(None, _tickers(call, call.query.tickers)), call.principal)


async def mixed_stream(call: Call[None, MixedStreamQuery]) -> web.StreamResponse:
    """Markets, and of one user everything."""
    query = call.query
    topics = _mixed(call, query.tickers, query.user)
    return await _serve(call, topics, None if query.user is None else call.principal)


async def make_ticket(call: Call[None, NoQuery]) -> TicketMade:
    """A ticket that opens one stream soon, in the name of the key that asks."""
    ticket, expires_at = call.context.tickets.make(call.principal)
    return TicketMade(ticket=ticket, expires_at=rfc3339(expires_at))


def followed(call: Call[None, Any], tickers: str | None, user: str | None) -> Topics:
    """What an agent follows: with ``user`` alone that user, else as ``mixed_stream``. Raises ``RequestError``."""
    if user is not None and tickers is None:
        return of_user(_existing(call, call.as_user(user)), None)
    return _mixed(call, tickers, user)


def check_room(context: Context) -> None:
    """Raise ``overloaded`` if there is no room for another stream."""
    if context.streams.is_full:
        raise RequestError(
            "overloaded", f"The venue has no free stream of its {SUBSCRIBERS_MAX}, or is stopping. Retry in 1 s."
        )


def _mixed(call: Call[None, Any], tickers: str | None, user: str | None) -> Topics:
    whose = None if user is None else call.as_user(user)
    topics = of_markets(_tickers(call, tickers))
    return topics if whose is None else topics | of_user(_existing(call, whose), None) | {MIXED}


def _tickers(call: Call[None, Any], names: str | None) -> Tickers:
    """The markets that are named, which must exist; None: all."""
    if names is None:
        return None
    tickers = frozenset(name for name in names.split(",") if name)
    reading.check_path(("ticker", name) for name in tickers)
    for name in tickers:
        call.context.market(name)
    return tickers


def _existing(call: Call[None, Any], user: str) -> str:
    call.context.user(user)
    return user


async def _serve(call: Call[None, Any], topics: Topics, principal: Principal | None) -> web.StreamResponse:
    """What is said on these topics, until the reader leaves or its key ends. ``principal``: None for what is public."""
    context, request = call.context, call.request
    hub = context.streams
    check_room(context)
    payer = context.keys.payer(request) if principal is None else principal.payer
    subscriber = hub.subscriber(context.stream_events, topics)
    with nullcontext() if principal is None else context.keys.while_good(principal, subscriber.dismiss):
        return await sse.serve(
            request,
            hub,
            subscriber,
            request.headers.get("Last-Event-ID") or call.query.since,
            hub.resume_turns.of(payer, request.remote or ""),
            request_id=call.request_id,
            heartbeat_s=min(context.heartbeat_s, call.query.heartbeat or context.heartbeat_s),
        )


ROUTES = (
    Route(wire.MARKET_STREAM, market_stream),
    Route(wire.USER_STREAM, user_stream),
    Route(wire.ALL_USERS_STREAM, all_users_stream),
    Route(wire.MIXED_STREAM, mixed_stream),
    Route(wire.MAKE_TICKET, make_ticket),
)
