"""A market in this process, on the venue's own rules, and people who trade in it. No clock, no chance, no venue."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from perps.commands import (
    ClosePosition,
    CreateUser,
    ListMarket,
    ObserveTime,
    OpenPosition,
    PriceSource,
    Side,
    UpdatePrice,
)
from perps.events import CloseReason, PositionOpened, PositionReduced
from perps.market.position import position_id
from perps.market.state import Market
from perps.params import Execution, MarketParams
from perps.refusals import Rejected
from perps.sequencer import Sequencer
from perps.units import HOUSE_CREDIT_DEFAULT, PPB, Micros, Millis, Ppb, Ticks, div_ceil
from tools.errors import ToolError

START: Final = Millis(1_700_000_000_000)
MONEY: Final = Micros(10**17)
"""What everybody brings: more than any market takes."""

Command = OpenPosition | ClosePosition | UpdatePrice | ObserveTime | CreateUser | ListMarket


class Arena:
    """One market. Each user is referred by a hand of the same gang, as everybody does who trades for a living."""

    def __init__(self, params: MarketParams, price: Ticks) -> None:
        self.at = START
        self.liquidations = self.bad_debt = self.trades = 0
        self.last_opened: int | None = None
        """The number of the newest position, if the last open made one."""
        self._sequencer = Sequencer()
        self._gang: list[str] = []
        self.executes_later = params.executes_later
        """Whether orders wait for the next price. Who is played by it orders behind each price instead of before it."""
        # What is played are prices that a market took; only who sees prices early cares when an order fills.
        params = replace(params, price_band=None, execution=Execution.IMMEDIATE)
        if params.deleveraging and params.house_credit_limit is None:
            # A venue does not show its limit: play against a house that can pay, as that is where most is to be had.
            params = replace(params, house_credit_limit=HOUSE_CREDIT_DEFAULT)
        listed = self.send(ListMarket(params=params, price=price))
        if isinstance(listed, Rejected):
            raise ToolError(f"these parameters list no market: {listed.facts.get('rule', listed.code)}")
        self.ticker = params.ticker

    @property
    def market(self) -> Market:
        """The market as it stands."""
        return self._sequencer.markets[self.ticker]

    def join(self, user: str, *, referrer: str | None = None) -> None:
        """Somebody with money."""
        self.send(CreateUser(user=user, deposit=MONEY, referrer=referrer))
        self._gang.append(user)

    def wealth(self, *users: str) -> int:
        """Micros in these wallets."""
        return sum(self._sequencer.ledger.wallet(user) for user in users)

    def open(self, user: str, side: Side, size: int, leverage: int | None = None) -> int | None:
        """Open at most ``size`` micros; with the highest leverage of that size if none is given. The position, None:
        refused.
        """
        if leverage is None:
            worth = self.market.index_price * self.market.unit
            leverage = self.market.params.leverage_of(div_ceil(size, worth))
        self.last_opened = None
        self.send(OpenPosition(ticker=self.ticker, user=user, side=side, size=Micros(size), leverage=leverage))
        return self.last_opened

    def close(self, number: int, share: int = PPB) -> bool:
        """Close a share of a position; False: it is not there, or the close was refused."""
        position = self.market.positions.get(number)
        if position is None:
            return False
        name = position_id(self.ticker, number)
        command = ClosePosition(ticker=self.ticker, user=position.user, position_id=name, share=Ppb(share))
        return not isinstance(self.send(command), Rejected)

    def close_all(self, *users: str) -> None:
        """Close whatever these users have, the newest first, again and again until all of it is gone."""
        for number in sorted(self.market.positions, reverse=True):
            if self.market.positions[number].user in users:
                self.close(number)

    def price(self, ticks: int, wait_ms: int) -> None:
        """Time passes, and then the index price is this."""
        self._pass(wait_ms)
        self.send(UpdatePrice(ticker=self.ticker, price=Ticks(max(ticks, 1)), source=PriceSource.ORACLE))

    def wait(self, wait_ms: int) -> None:
        """Time passes, and the price is told again as it is."""
        self.price(self.market.index_price, wait_ms)

    def _pass(self, wait_ms: int) -> None:
        """Time passes, an hour at a time, as the venue counts funding for."""
        while wait_ms > 0:
            step = min(wait_ms, 3_600_000)
            self.at, wait_ms = Millis(self.at + step), wait_ms - step
            if self.market.funding_at:
                self.send(ObserveTime(ticker=self.ticker))

    def send(self, command: Command) -> Rejected | None:
        """Do a command; count what it led to."""
        sent = self._sequencer.send(command, self.at)
        for entry in sent.entries:
            for event in entry.events:
                if isinstance(event, PositionOpened):
                    self.trades, self.last_opened = self.trades + 1, event.position.number
                elif isinstance(event, PositionReduced):
                    self.trades += 1
                    self.bad_debt += event.bad_debt
                    self.liquidations += event.reason is CloseReason.LIQUIDATION
        return sent.refused
