"""What a market says its accounts hold."""

from msgspec import Struct

from perps.market.state import Market
from perps.units import Micros


class MarketSums(Struct, frozen=True, gc=False):
    """What a market says its accounts hold; the ledger must agree after every row."""

    ticker: str
    margin: Micros
    house: Micros
    insurance: Micros
    reserved: Micros = Micros(0)

    @classmethod
    def of(cls, market: Market) -> "MarketSums":
        """The running sums of a market as it stands."""
        return cls(market.ticker, market.margin, market.house, market.insurance, market.orders.reserved)
