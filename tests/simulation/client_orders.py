"""Orders that clients place, replace and name."""

from __future__ import annotations

from random import Random
from typing import Any

from perps.commands import OrderKind, PlaceExit, PlaceOrder, PlaceTwap, ReplaceOrder, Side
from perps.market.order import order_id, split_order_id
from perps.market.position import Position
from perps.units import MICRO, PPB, Micros, Millis, Nano, Ppb, Ticks
from perps.venue import VenueState


class OrderMaker:
    """The part of the clients about orders."""

    _random: Random
    _state: VenueState

    def _position(self, ticker: str, user: str) -> tuple[str, str]:
        raise NotImplementedError

    def _known(self, name: str) -> Position | None:
        raise NotImplementedError

    def _leverage(self, ticker: str) -> int:
        raise NotImplementedError

    def _exits(self, ticker: str) -> dict[str, Any]:
        raise NotImplementedError

    def _place(self, user: str, ticker: str) -> PlaceOrder | PlaceTwap:
        if self._random.random() < 0.2:
            return self._place_twap(user, ticker)
        kind, side = self._random.choice((OrderKind.LIMIT, OrderKind.STOP)), self._random.choice(list(Side))
        return PlaceOrder(ticker=ticker, user=user, order=kind, side=side, **self._terms(ticker))

    def _place_twap(self, user: str, ticker: str) -> PlaceTwap:
        """Mostly with slices of a second, as a run is no longer than some minutes; a few of longs are all skipped."""
        chance, side, terms = self._random, self._random.choice(list(Side)), self._terms(ticker)
        fields: dict[str, Any] = {
            "slices": chance.randrange(2, 8),
            "interval": Millis(chance.choice((1_000, 1_000, 5_000))),
            "acceptable_price": Nano(1) if chance.random() < 0.2 else None,
        }
        fields |= {name: terms[name] for name in ("size", "leverage", "expires_at") if name in terms}
        return PlaceTwap(ticker=ticker, user=user, side=side, **fields)

    def _place_exit(self, ticker: str, user: str) -> PlaceExit:
        """A stop or a profit near the mark, mostly on its right side."""
        chance, (name, owner) = self._random, self._position(ticker, user)
        position, terms = self._known(name), self._terms(ticker)
        market = self._state.markets.get(ticker)
        kind = chance.choice((OrderKind.STOP, OrderKind.TAKE_PROFIT, OrderKind.TRAILING_STOP))
        price = terms["price"]
        if market is not None and position is not None and chance.random() < 0.8:
            away = chance.choice((1, 10, 100, 1_000))
            rises = (kind is OrderKind.TAKE_PROFIT) is (position.lots > 0)
            price = Ticks(max(market.mark * (10_000 + (away if rises else -away)) // 10_000, 1))
        share = Ppb(chance.choice((PPB, PPB // 2, 1, chance.randrange(1, PPB))))
        fields: dict[str, Any] = {"ticker": ticker, "user": owner, "position_id": name, "order": kind, "price": price}
        if kind is OrderKind.TRAILING_STOP:
            fields |= {"price": Ticks(0), "callback": self._callback()}
        return PlaceExit(**fields, share=share, expires_at=terms.get("expires_at"))

    def _callback(self) -> Ppb:
        """How far a trailing stop lies behind: mostly so near that it is reached."""
        return Ppb(PPB // self._random.choice((10_000, 1_000, 1_000, 100, 10, 1)))

    def _replace(self, user: str, ticker: str, name: str) -> ReplaceOrder:
        """Some of the terms; of the others what a client sees of size and leverage."""
        parts, market = split_order_id(name), self._state.markets.get(ticker)
        order = market.orders.by_number.get(parts[1]) if market and parts else None
        terms = {term: value for term, value in self._terms(ticker).items() if self._random.random() < 0.7}
        if order is not None and order.is_exit and self._random.random() < 0.9:
            fits = ("expires_at",) if order.trails else ("price", "expires_at")
            terms = {term: value for term, value in terms.items() if term in fits}
            if order.trails:
                terms["callback"] = self._callback()
        if order is not None:
            terms |= {"known_size": order.size, "known_leverage": order.leverage}
        return ReplaceOrder(ticker=ticker, user=user, order_id=name, **terms)

    def _terms(self, ticker: str) -> dict[str, Any]:
        chance, market = self._random, self._state.markets.get(ticker)
        near, now = (market.mark, market.at) if market is not None else (100, 0)
        terms: dict[str, Any] = {
            "size": Micros(chance.choice((10, 100, 500, 1_000)) * MICRO),
            "leverage": self._leverage(ticker),
            "price": Ticks(max(near * chance.choice((9_000, 9_900, 9_990, 10_000, 10_010, 10_100)) // 10_000, 1)),
        }
        if chance.random() < 0.3:
            terms["expires_at"] = Millis(now + chance.choice((0, 100, 3_000, 60_000)))
        if chance.random() < 0.2:
            terms |= self._exits(ticker)
        return terms

    def _resting(self, user: str, ticker: str) -> tuple[str, str]:
        """Whose order, and its id: mostly one that rests and its owner."""
        chance, market = self._random, self._state.markets.get(ticker)
        if market is None or not market.orders.by_number:
            return user, order_id(ticker, 1)
        number = chance.choice(list(market.orders.by_number))
        owner = market.orders.by_number[number].user
        return (owner if chance.random() < 0.95 else user), order_id(ticker, number)
