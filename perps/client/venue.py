"""Every operation of the contract as a method, under the operation's name in snake_case.

What a method takes and answers is in ``docs/api.md`` and, with units, in the types of ``perps.wire``. Every method can
raise ``Refused``, ``Unavailable``, ``BadAnswer`` and, if it changes something, ``OutcomeUnknown``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from decimal import Decimal
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urlencode

from perps.client import stream
from perps.client.calls import values_of
from perps.client.lists import Listing, Page
from perps.client.orders import OrderCalls
from perps.client.positions import PositionCalls
from perps.client.requests import Exact, Request, request_of
from perps.client.sending import Reply, Retry, Sender
from perps.wire import flows, history, keys, markets, page, prices, results, streams, users, venue
from perps.wire.operation import Operation
from perps.wire.orders.order import Pending

Parameter = Exact | bool | Iterable[Mapping[str, Any]] | None
"""Of a market."""

TIMEOUT_S: Final = 15.0
RETRY_S: Final = 45.0

P = TypeVar("P", bound=Page)
T = TypeVar("T")


class Venue(PositionCalls, OrderCalls):
    """One venue, asked with one key. An async context manager.

    A request goes out again, the same, until there is a verdict: none begins later than ``retry_s`` after the first,
    and none lasts longer than ``timeout_s``, so a call ends within their sum. ``on_retry`` hears of each further try.
    No redirect is followed. A proxy of the environment is used only with ``trust_env``.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retry_s: float = RETRY_S,
        on_retry: Callable[[Retry], object] = lambda _: None,
        trust_env: bool = False,
    ) -> None:
        self._sender = Sender(url, key, timeout_s=timeout_s, retry_s=retry_s, on_retry=on_retry, trust_env=trust_env)

    async def __aenter__(self) -> Self:
        self._sender.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sender.close()

    @property
    def url(self) -> str:
        """The venue's address, without a password."""
        return self._sender.shown_url

    def be_patient(self, retry_s: float, on_retry: Callable[[Retry], object] | None = None) -> None:
        """From now on, send again for so long."""
        self._sender.retry_s, self._sender.on_retry = retry_s, on_retry or self._sender.on_retry

    async def call(self, operation: Operation, kind: type[T], /, **values: object) -> T:
        """Any operation, its answer as ``kind``. ``msgspec.Raw`` is the JSON as it came.

        ``values``: by their names in snake_case, in the path, the query or the body; None is left out.
        """
        request, reply = await self._ask(operation, values)
        return self._sender.decoded(request, reply, kind)

    async def call_or_wait(self, operation: Operation, kind: type[T], /, **values: object) -> T | Pending:
        """As ``call``, of an operation that some markets do at the next price only: then its order, ``Pending``."""
        request, reply = await self._ask(operation, values)
        if reply.status == HTTPStatus.ACCEPTED:
            return self._sender.decoded(request, reply, Pending)
        return self._sender.decoded(request, reply, kind)

    async def _ask(self, operation: Operation, values: Mapping[str, object]) -> tuple[Request, Reply]:
        """What was sent, and the verdict."""
        request = request_of(operation, values)
        return request, await self._sender.send(request)

    async def get(self, path: str, kind: type[T], **query: object) -> T:
        """Any GET, its answer as ``kind``: for a route that this version has no method for."""
        request = Request("GET", path + (f"?{urlencode(query)}" if query else ""))
        return self._sender.decoded(request, await self._sender.send(request), kind)

    def stream(
        self, tickers: Iterable[str] | None = None, *, user: str | None = None, since: str | None = None
    ) -> AsyncGenerator[stream.Row, None]:
        """What happens in these markets (None: in all), row by row, for ever; with ``user``, to that user too.

        The first row is a ``snapshot`` of the present, unless ``since`` (the id of a row) says where to continue. After
        a cut it resumes where it was; if the venue cannot do that, the next row has a ``reset`` and a ``snapshot``.
        With ``user`` and without ``tickers`` it is that user's events alone.
        """
        query = {} if tickers is None else {"tickers": ",".join(tickers)}
        if user is None:
            path = "/api/sse/markets"
        elif tickers is None:
            path = f"/api/sse/users/{quote(user, safe='')}"
        else:
            path, query = "/api/sse", {**query, "user": user}
        request = Request("GET", path + (f"?{urlencode(query, safe=',')}" if query else ""))
        return stream.rows(self._sender, stream.ServerSent(self._sender, request), since)

    async def index_prices(self, ticker: str) -> AsyncGenerator[Decimal, None]:
        """A market's index price now, and then each one that differs from the one before, for ever. As ``stream``.

        US dollars for one base unit. After a cut it continues behind the last price that was read.
        """
        last = None
        async with aclosing(self.stream([ticker])) as rows:
            async for row in rows:
                for event in row.events:
                    data = event.data["markets"][0] if event.name == "snapshot" else event.data
                    if event.name in ("snapshot", "price") and (price := Decimal(data["indexPrice"])) != last:
                        last = price
                        yield price

    # Markets

    async def list_markets(self) -> markets.MarketList:
        """Every market, as of one offset."""
        return await self.call(markets.LIST_MARKETS, markets.MarketList)

    async def get_market(self, ticker: str) -> markets.MarketAnswer:
        """One market."""
        return await self.call(markets.GET_MARKET, markets.MarketAnswer, ticker=ticker)

    async def list_market(
        self,
        ticker: str,
        organization_id: str | None = None,
        name: str | None = None,
        price: Exact | None = None,
        *,
        preset: str | None = None,
        **parameters: Parameter,
    ) -> markets.Listed:
        """List a market: ``list_market("STORY", price=10, preset="game")`` is a whole one.

        ``preset``: ``crypto``, ``game``, ``volatile`` or ``binance:BTC``. ``parameters``: ``depth``, ``max_leverage``
        and the others of ``docs/api.md``, in snake_case; they win over the preset's. ``tiers`` are records with the
        fields of the contract.
        """
        given = {"ticker": ticker, "organization_id": organization_id, "name": name, "price": price, "preset": preset}
        return await self.call(markets.LIST_MARKET, markets.Listed, **given, **parameters)

    async def set_mode(self, ticker: str, mode: str) -> markets.MarketAnswer:
        """``enabled``, ``reduce_only`` or ``halted``."""
        return await self.call(markets.SET_MODE, markets.MarketAnswer, ticker=ticker, mode=mode)

    async def update_market(
        self, ticker: str, **parameters: Exact | bool | Iterable[Mapping[str, Any]] | None
    ) -> markets.MarketAnswer:
        """Change parameters: ``max_leverage`` and the others of ``docs/api.md``, in snake_case; ``force=True``."""
        return await self.call(markets.UPDATE, markets.MarketAnswer, ticker=ticker, **parameters)

    async def settle_market(self, ticker: str) -> markets.Settled:
        """Close every position of a halted market at one price, and end it."""
        return await self.call(markets.SETTLE, markets.Settled, ticker=ticker)

    async def fund_market(
        self, ticker: str, account: str, amount: Exact, *, client_order_id: str | None = None
    ) -> markets.Funded:
        """Pay money from outside into a market's ``house`` or ``insurance``; with an amount below 0, out of it."""
        return await self.call(markets.FUND, markets.Funded, **values_of(locals()))

    # What has been

    def list_candles(
        self,
        ticker: str,
        interval: str | None = None,
        *,
        start: str | None = None,
        end: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        fill: str | None = None,
    ) -> Listing[history.Candles, history.CandleRow]:
        """Candles of the quote price, oldest first. ``start`` and ``end``: milliseconds since 1970, or RFC 3339.

        With ``start`` all pages from there on; without it the newest ``limit``. ``fill``: ``"1"`` fills gaps.
        """
        return self._list(history.CANDLES, history.Candles, lambda page: page.candles, locals())

    def list_trades(
        self, ticker: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[history.Trades, history.Trade]:
        """A market's trades, newest first."""
        return self._list(history.TRADES, history.Trades, lambda page: page.trades, locals())

    def list_liquidations(
        self, ticker: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[history.Liquidations, history.Trade]:
        """A market's liquidations, newest first."""
        return self._list(history.LIQUIDATIONS, history.Liquidations, lambda page: page.liquidations, locals())

    def list_prices(
        self, ticker: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[history.Prices, history.PriceTaken]:
        """Every price that a market took, newest first."""
        return self._list(history.PRICES, history.Prices, lambda page: page.prices, locals())

    def list_funding(
        self, ticker: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[history.Funding, history.FundingHour]:
        """Funding, hour by hour, newest first."""
        return self._list(history.FUNDING, history.Funding, lambda page: page.funding, locals())

    async def get_flows(self, ticker: str, window: str | None = None) -> flows.Flows:
        """What was bought, sold, opened, closed, liquidated, and by how many: in ``1m``, ``5m``, ``1h`` or ``24h``."""
        return await self.call(flows.FLOWS, flows.Flows, **values_of(locals()))

    def list_user_trades(
        self, user_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[history.UserTrades, history.UserTrade]:
        """A user's own trades, newest first."""
        return self._list(history.USER_TRADES, history.UserTrades, lambda page: page.trades, locals())

    # Prices in

    async def set_price(
        self,
        ticker: str,
        price: Exact | None = None,
        *,
        change: Exact | None = None,
        source: str | None = None,
        reason: str | None = None,
        sequence: int | None = None,
        at: str | None = None,
    ) -> prices.PriceAnswer:
        """Set a market's index price, or ``change`` it by a fraction of itself: ``"0.03"`` is 3 % up.

        With a ``sequence`` it is sent again in doubt; ``price_stale`` may then mean that an earlier try was taken
        (``Refused.is_repeated``).
        """
        return await self.call(prices.SET_PRICE, prices.PriceAnswer, **values_of(locals()))

    async def set_prices(self, items: Iterable[Mapping[str, Any]]) -> prices.PriceResults:
        """Set many index prices: each is a record with the fields of the contract, and taken or refused by itself."""
        return await self.call(prices.SET_PRICES, prices.PriceResults, items=list(items))

    # Users

    async def get_balance(self, user_id: str) -> users.Balance:
        """A user's wallet, margin and lifetime sums."""
        return await self.call(users.BALANCE, users.Balance, user_id=user_id)

    def list_transactions(
        self, user_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[users.Transactions, users.Transaction]:
        """What changed a user's wallet, newest first."""
        return self._list(users.TRANSACTIONS, users.Transactions, lambda page: page.transactions, locals())

    def list_equity(
        self, user_id: str, *, window: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Listing[results.EquityHistory, results.EquityPoint]:
        """What a user had, newest first. ``window``: ``24h``, ``7d`` or ``all`` (the default)."""
        return self._list(results.EQUITY, results.EquityHistory, lambda page: page.points, locals())

    def get_leaderboard(
        self,
        by: str | None = None,
        *,
        window: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[results.Leaderboard, results.Leader]:
        """Who does best, by ``lifetimePnL`` (the default), ``equity`` or ``volume``; ``window`` as above."""
        return self._list(results.LEADERBOARD, results.Leaderboard, lambda page: page.leaders, locals())

    async def create_user(
        self, user_id: str, deposit: Exact | None = None, *, referrer: str | None = None
    ) -> users.UserCreated:
        """Create a user, with money if there is a deposit."""
        return await self.call(users.CREATE_USER, users.UserCreated, **values_of(locals()))

    def list_users(self, *, limit: int | None = None, cursor: str | None = None) -> Listing[users.Users, users.User]:
        """Every user, the newest first."""
        return self._list(users.LIST_USERS, users.Users, lambda page: page.users, locals())

    async def deposit(self, user_id: str, amount: Exact, *, client_order_id: str | None = None) -> users.Paid:
        """Put money into a user's wallet."""
        return await self.call(users.DEPOSIT, users.Paid, **values_of(locals()))

    async def withdraw(self, user_id: str, amount: Exact, *, client_order_id: str | None = None) -> users.Paid:
        """Take money out of a user's wallet."""
        return await self.call(users.WITHDRAW, users.Paid, **values_of(locals()))

    # Keys

    async def create_key(
        self,
        scopes: Iterable[str],
        *,
        user_id: str | None = None,
        label: str | None = None,
        expires_at: str | None = None,
    ) -> keys.KeyCreated:
        """Make a key. The venue shows it this once. ``expires_at``: RFC 3339."""
        return await self.call(keys.CREATE_KEY, keys.KeyCreated, **values_of(locals()))

    def list_keys(self, *, limit: int | None = None, cursor: str | None = None) -> Listing[keys.Keys, keys.Key]:
        """Every key ever made, the newest first."""
        return self._list(keys.LIST_KEYS, keys.Keys, lambda page: page.keys, locals())

    async def revoke_key(self, key_id: str) -> keys.KeyRevoked:
        """End a key at once."""
        return await self.call(keys.REVOKE_KEY, keys.KeyRevoked, key_id=key_id)

    async def get_me(self) -> keys.Me:
        """Whose this key is, and what it allows."""
        return await self.call(keys.ME, keys.Me)

    async def get_demo(self) -> page.Demo:
        """The keys of the demo's people, if the venue runs a demo, and on this machine."""
        return await self.call(page.DEMO, page.Demo)

    async def make_stream_ticket(self) -> streams.TicketMade:
        """A ticket that opens one stream within 60 s, for a reader that cannot send a header."""
        return await self.call(streams.MAKE_TICKET, streams.TicketMade)

    # The venue itself

    async def get_stats(self) -> venue.Stats:
        """The venue in numbers."""
        return await self.call(venue.STATS, venue.Stats)

    async def advance_clock(self, seconds: Exact) -> venue.Advanced:
        """Let time pass, in a venue with a manual clock; repeated after a lost answer it passes again."""
        return await self.call(venue.ADVANCE_CLOCK, venue.Advanced, **values_of(locals()))

    async def take_snapshot(self) -> venue.SnapshotTaken:
        """Take a snapshot of everything that is durable by now."""
        return await self.call(venue.TAKE_SNAPSHOT, venue.SnapshotTaken)

    async def get_state(self) -> venue.State:
        """Digests of what the actors hold in memory."""
        return await self.call(venue.STATE, venue.State)

    async def get_index(self) -> venue.Index:
        """What is here."""
        return await self.call(venue.INDEX, venue.Index)

    async def get_health(self) -> venue.Health:
        """Whether the process answers."""
        return await self.call(venue.HEALTH, venue.Health)

    async def get_ready(self) -> venue.Ready:
        """Whether every part takes commands, and why not. Not ready is an answer, too."""
        return await self.call(venue.READY, venue.Ready)

    async def get_metrics(self) -> str:
        """Figures for Prometheus."""
        return (await self._sender.send(request_of(venue.METRICS, {}))).body.decode(errors="replace")
