"""All that a row tells, as events: of its market to everybody, of its users to them. A ``Kind`` of stream.

An event's id is its row's place, ``<epoch>-<offset>``, and comes with the last event of the row that the reader gets.
So a reader who resumes after it misses nothing and sees nothing twice.

Events are functions of the journal's rows and nothing else: who comes back reads the same bytes as who was there.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import islice
from typing import Final

from actors.ports import Clock
from perps.effects import Ordered
from perps.journal import Entry, Row
from perps.params import MarketParams
from perps.wire.base import Answer
from perps.wire.flows import FlowEvent
from perps.wire.lists import LIMIT_MAX
from perps.wire.streams import EverybodyNow, MarketsNow, MixedNow, Reset, UserNow
from web.answers import orders, positions, users
from web.answers.flows import flow_fields
from web.answers.markets import market
from web.answers.stream_events import Owned, own_events, public_events
from web.readside.model import ReadModel
from web.readside.money import PastMoney
from web.streams import topics
from web.streams.forms import SERVER_SENT, Form
from web.streams.subscribers import Block, Place
from web.streams.topics import MARKETS, Topics

SINCE_SHOWN_MAX: Final = 64
"""Characters of a reader's place that a ``reset`` repeats."""


class VenueEvents:
    """The streams of markets and users, written in one form. One object for all its readers."""

    def __init__(self, model: ReadModel, clock: Clock, form: Form = SERVER_SENT) -> None:
        self._model, self._clock, self._form = model, clock, form

    def concerns(self, row: Row, wanted: Topics) -> bool:
        """Whether a row may say something on these topics. Quick: a row's payload names the users whom it touches."""
        if MARKETS in wanted or topics.ALL_MONEY in wanted or row.stream in wanted:
            return True
        return any(name.encode() in row.payload for name in _users(wanted))

    def past(self, wanted: Topics) -> PastMoney | None:
        """What a reader of users needs to know of the time before the rows that it missed."""
        return self._past(wanted) if topics.ALL_MONEY in wanted or any(_users(wanted)) else None

    def tell(
        self, entries: Sequence[Entry], wanted: Container[str], past: PastMoney | None = None
    ) -> Iterator[list[Block]]:
        """Of each row, what it says on these topics, in order.

        Without ``past``, these are the rows that the read model has taken last.
        """
        if past is None:
            past = self._past(wanted)
            past.note(entries)
            past.begin()
        for entry in entries:
            yield [*self._of_market(entry, wanted), *self._of_users(entry, wanted, past)]

    def row(self, blocks: Sequence[bytes], place: Place) -> bytes:
        """Blocks of one row, in order, as a reader gets them: with the row's place on the last event."""
        return self._form.row(blocks, place)

    def reset(self, since: str, offset: int) -> bytes:
        """The event ``reset``."""
        shown = since.encode("ascii", "replace")[:SINCE_SHOWN_MAX].decode()
        event = self._form.event("reset", Reset(since=shown, offset=offset))
        return self._form.row([self._form.block([event])], None)

    def snapshot(self, wanted: Topics) -> bytes:
        """The event ``snapshot``: markets and users as they are now."""
        model = self._model
        now: Answer
        user = next(_users(wanted), None)
        if topics.ALL_MONEY in wanted:
            now = EverybodyNow(users=len(model.users), offset=model.offset)
        elif user is None:
            now = self._markets_now(wanted)
        elif topics.MIXED in wanted:
            markets = self._markets_now(wanted)
            now = MixedNow(markets=markets.markets, user=self._user_now(user, wanted), offset=model.offset)
        else:
            now = self._user_now(user, wanted)
        return self.row([self._form.block([self._form.event("snapshot", now)])], (model.epoch, model.offset))

    def _of_market(self, entry: Entry, wanted: Container[str]) -> Iterator[Block]:
        """Its public events; nothing for a row that belongs to no market."""
        ticker = entry.row.stream
        view = self._model.markets.get(ticker)
        if view is not None and (ticker in wanted or MARKETS in wanted):
            events = [self._form.event(name, data) for name, data in public_events(entry, view.market.params)]
            ended = view.flows.ended_by(entry.row.offset)
            if ended is not None:
                told = FlowEvent(**flow_fields(ticker, "1m", ended, entry.row.offset))
                events.insert(0, self._form.event("flow", told))
            if events:
                yield (ticker, MARKETS), self._form.block(events)

    def _of_users(self, entry: Entry, wanted: Container[str], past: PastMoney) -> Iterator[Block]:
        """Trades with the positions that they left, other changes of positions; then the balances after the row."""
        row, view = entry.row, self._model.markets.get(entry.row.stream)
        if view is not None:
            params = view.market.params
            for n, effects in enumerate(entry.effects):
                for effect in effects:
                    if isinstance(effect, Owned):
                        yield from self._of_user(row, n, effect, params, wanted)
        for user, money in past.after(entry).items():
            about = topics.money(user), topics.ALL_MONEY
            yield about, self._form.block([self._form.event("balance", users.balance_event(user, money, row.offset))])

    def _of_user(
        self, row: Row, n: int, effect: Owned, params: MarketParams, wanted: Container[str]
    ) -> Iterator[Block]:
        """What an effect tells those who follow its user, or all users; of its market, or of all markets."""
        user = effect.order.user if isinstance(effect, Ordered) else effect.position.user
        about = (
            topics.user(user),
            topics.user(user, row.stream),
            topics.user(None),
            topics.user(None, row.stream),
        )
        if any(topic in wanted for topic in about):
            yield (
                about,
                self._form.block([self._form.event(name, data) for name, data in own_events(row, n, effect, params)]),
            )

    def _past(self, wanted: Container[str]) -> PastMoney:
        if topics.ALL_MONEY in wanted:
            return PastMoney(self._model, lambda _: True)
        return PastMoney(self._model, lambda user: topics.money(user) in wanted)

    def _markets_now(self, wanted: Topics) -> MarketsNow:
        model, now_ms = self._model, self._clock.now_ms()
        shown = [market(view, now_ms) for name, view in model.markets.items() if MARKETS in wanted or name in wanted]
        return MarketsNow(markets=shown, offset=model.offset)

    def _user_now(self, user: str, wanted: Topics) -> UserNow:
        model = self._model

        def is_wanted(ticker: str) -> bool:
            return topics.user(user) in wanted or topics.user(user, ticker) in wanted

        found = [(ticker, position) for ticker, position in model.open_positions(user) if is_wanted(ticker)]
        newest = reversed(model.users[user].orders.items())
        resting = ((ticker, order) for (ticker, _), order in newest if is_wanted(ticker))
        return UserNow(
            user_id=user,
            balance=users.balance(model, user),
            positions=[
                positions.valued(position, model.markets[ticker].market).shown for ticker, position in found[:LIMIT_MAX]
            ],
            open_positions=len(found),
            orders=[
                orders.resting(market.orders.present(order), market.params)
                for ticker, order in islice(resting, LIMIT_MAX)
                for market in (model.markets[ticker].market,)
            ],
            offset=model.offset,
        )


_MONEY: Final = topics.money("")


def _users(wanted: Topics) -> Iterator[str]:
    """The users that are followed by name."""
    return (topic[len(_MONEY) :] for topic in wanted if topic.startswith(_MONEY))
