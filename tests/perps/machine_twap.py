"""The part of the market's machine that takes sizes in slices."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from perps.commands import PlaceTwap, Side
from perps.params import Mode
from perps.refusals import Rejected
from perps.units import MICRO, NANO, PICO, Micros, Millis, Nano
from tests.model.slow_twap import SlowTwap
from tests.perps.build import BTC, STORY
from tests.perps.machine_checks import USERS
from tests.perps.machine_model import Followed


class Sliced(Followed):
    """Places TWAP orders, and looks for slices that are late."""

    @rule(
        user=st.sampled_from(USERS),
        ticker=st.sampled_from([BTC, STORY]),
        side=st.sampled_from(list(Side)),
        size=st.integers(10, 3_000) | st.sampled_from([50, 50_000]),
        slices=st.integers(2, 6) | st.sampled_from([1, 100]),
        interval=st.sampled_from([1_000, 60_000, 999]),
        bps=st.integers(9_900, 10_100) | st.none(),
        wait_ms=st.integers(1, 3_600_000) | st.none(),
    )
    def place_twap(
        self,
        user: str,
        ticker: str,
        side: Side,
        size: int,
        slices: int,
        interval: int,
        bps: int | None,
        wait_ms: int | None,
    ) -> None:
        """``bps``: the worst price of a slice, in 1/10,000 of the index price."""
        market = self.venue.markets[ticker]
        worst = None if bps is None else market.index_price * market.params.tick_size * NANO // PICO * bps // 10_000
        outcome = self.venue.send(
            PlaceTwap(
                ticker=ticker,
                user=user,
                side=side,
                size=Micros(size * MICRO),
                leverage=3,
                slices=slices,
                interval=Millis(interval),
                acceptable_price=None if worst is None else Nano(worst),
                expires_at=None if wait_ms is None else Millis(self.venue.at + wait_ms),
            )
        )
        if not isinstance(outcome, Rejected):
            self.follow(ticker, outcome)

    def check_that_no_slice_is_late(self, ticker: str) -> None:
        """The market has just been looked at: whatever slice may come has come, where anybody may open."""
        if self.venue.markets[ticker].mode is not Mode.ENABLED or self.model.is_stale(ticker, self.venue.at):
            return
        waiting = [order for order in self.model.orders.by_name.values() if isinstance(order, SlowTwap)]
        late = [order for order in waiting if order.may_come(self.model.markets[ticker], self.venue.at)]
        assert not [order for order in late if order.ticker == ticker]
