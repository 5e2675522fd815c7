"""The part of the market's machine that does what operators do: prices, modes, money for a house, other caps."""

from fractions import Fraction

from hypothesis import strategies as st
from hypothesis.stateful import rule

from perps.commands import CancelOrders, FundMarket, HouseAccount, PriceSource, UpdateMarket, UpdatePrice
from perps.events import PriceUpdated
from perps.market.order import Order
from perps.params import MarketParams, Mode, ParamChanges
from perps.refusals import Rejected
from perps.units import MICRO, PPB, Lots, Micros, Millis, Ppb, Ticks
from tests.perps.build import BTC, BTC_PRICE, STORY, STORY_PRICE, done
from tests.perps.machine_checks import USERS
from tests.perps.machine_twap import Sliced

TICKERS = st.sampled_from([BTC, STORY])
FIRST_PRICES = {BTC: BTC_PRICE, STORY: STORY_PRICE}
MODES = st.sampled_from([*[Mode.ENABLED] * 4, Mode.REDUCE_ONLY, Mode.HALTED])
BPS_OF_PRICE = st.integers(9_940, 10_060) | st.integers(9_000, 11_000) | st.sampled_from([5_000, 9_960, 20_000])


class Operated(Sliced):
    """Says prices, changes modes and caps, funds house and insurance, and ends a user's orders together."""

    first_params: dict[str, MarketParams]
    """What each market was listed with."""

    @rule(
        ticker=TICKERS,
        account=st.sampled_from(list(HouseAccount)),
        amount=st.integers(-50 * MICRO, 50 * MICRO) | st.sampled_from([0, -1, 1]),
    )
    def fund_market(self, ticker: str, account: HouseAccount, amount: int) -> None:
        outcome = self.venue.send(FundMarket(ticker=ticker, account=account, amount=Micros(amount)))
        if isinstance(outcome, Rejected):
            assert amount <= 0
        else:
            self.follow(ticker, outcome)

    @rule(ticker=TICKERS, parts=st.integers(50, 100))
    def change_caps(self, ticker: str, parts: int) -> None:
        """``parts``: of what the market was listed with, in a hundred."""
        listed = self.first_params[ticker]
        skew, interest = (Lots(cap * parts // 100) for cap in (listed.max_skew, listed.max_open_interest))
        market = self.venue.markets[ticker]
        outcome = self.venue.send(
            UpdateMarket(ticker=ticker, changes=ParamChanges(max_skew=skew, max_open_interest=interest))
        )
        if isinstance(outcome, Rejected):
            return
        assert abs(market.skew) <= skew
        assert max(market.long_lots, market.short_lots) <= interest
        self.follow(ticker, outcome)

    @rule(user=st.sampled_from(USERS), ticker=TICKERS)
    def cancel_all(self, user: str, ticker: str) -> None:
        outcome = self.venue.send(CancelOrders(ticker=ticker, user=user))
        assert not isinstance(outcome, Rejected)
        self.follow(ticker, outcome)
        left: list[Order] = self.venue.markets[ticker].orders.of(user)
        assert self.params[ticker].executes_later or left == []

    @rule(ticker=TICKERS, bps=BPS_OF_PRICE)
    def move_price(self, ticker: str, bps: int) -> None:
        price = max(self.venue.markets[ticker].index_price * bps // 10_000, 1)
        price = min(price, 3 * FIRST_PRICES[ticker])
        self.venue.at = Millis(self.venue.at + 1)
        told = UpdatePrice(ticker=ticker, price=Ticks(price), source=PriceSource.EVENT)
        self.follow(ticker, self.venue.send(told))

    @rule(ticker=TICKERS, parts=st.integers(-PPB // 100, PPB // 100))
    def change_price(self, ticker: str, parts: int) -> None:
        command = UpdatePrice(ticker=ticker, change=Ppb(parts), source=PriceSource.EVENT)
        new = self.model.markets[ticker].changed(Fraction(parts, PPB)) / self.model.markets[ticker].rules.tick_size
        if new > 3 * FIRST_PRICES[ticker]:
            return
        outcome = self.venue.send(command)
        assert [event.price for event in done(outcome) if isinstance(event, PriceUpdated)] == [new]
        self.follow(ticker, outcome)

    @rule(ticker=TICKERS, mode=MODES)
    def change_mode(self, ticker: str, mode: Mode) -> None:
        self.follow(ticker, self.venue.mode(mode, ticker=ticker))
