"""The part of the market's machine that does what operators do: money for a house, other caps, all orders ended."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from perps.commands import CancelOrders, FundMarket, HouseAccount, UpdateMarket
from perps.market.order import Order
from perps.params import MarketParams, ParamChanges
from perps.refusals import Rejected
from perps.units import MICRO, Lots, Micros
from tests.perps.build import BTC, STORY
from tests.perps.machine_checks import USERS
from tests.perps.machine_twap import Sliced

TICKERS = st.sampled_from([BTC, STORY])


class Operated(Sliced):
    """Pays into house and insurance and out of them, changes caps, and ends a user's orders together."""

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
