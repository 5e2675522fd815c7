"""What commands are made of: who decides one, whose ids it lives under, and the words of its fields.

What each fact means to the machinery is told at the head of ``perps/commands.py``.
"""

from enum import Enum, StrEnum, auto
from typing import Final

from perps.units import PPB, Micros, Ppb, div_ceil

OUTSIDE: Final = "!outside"
"""The payer of money that comes into the venue with a command. Not a possible user id."""


class Route(Enum):
    """Who decides a command."""

    LEDGER = auto()
    """The ledger alone: one wallet and the outside."""
    MARKET = auto()
    """Its market alone: it takes no money from a wallet."""
    FUNDED = auto()
    """Its market, after the ledger has set ``bound`` aside from ``payer``."""
    LISTING = auto()
    """As ``FUNDED``, and the market begins with it."""


class Ids(Enum):
    """Whose client order ids a command lives under: the same id of two owners is two ids."""

    USER = auto()
    """The user whose wallet it moves, whoever sends it."""
    SENDER = auto()
    ADMINISTRATION = auto()


class HouseAccount(StrEnum):
    """The two accounts of a market that an administrator can pay into and out of."""

    HOUSE = "house"
    INSURANCE = "insurance"


class Side(StrEnum):
    """Long gains when the price rises, short when it falls."""

    LONG = "long"
    SHORT = "short"


class PriceSource(StrEnum):
    """Who says so: a feed, a story, a trading agent's report, or the venue's own administration."""

    ORACLE = "oracle"
    EVENT = "event"
    AGENT = "agent"
    SYSTEM = "system"


class OrderKind(StrEnum):
    """What a resting order waits for. Limits and stops begin positions; stops, trailing or not, and take-profits leave
    one."""

    LIMIT = "limit"
    """The quote: it fills when its average price is at the limit or better."""
    STOP = "stop"
    """The mark: it fills at market once the mark has reached its price."""
    TAKE_PROFIT = "take_profit"
    """The mark, the other way: of a position alone, which it closes with a profit."""
    MARKET = "market"
    """The next price: an open, an increase or a close in a market that executes at it."""
    WITHDRAWAL = "withdrawal"
    """The next price: margin out of a position in such a market."""
    TWAP = "twap"
    """Its time: a size that is taken in slices, one an interval."""
    TRAILING_STOP = "trailing_stop"
    """The mark: of a position alone, which it closes once the mark has come back from its best by a callback."""


def most_to_pay(size: Micros, leverage: int, taker_fee: Ppb) -> Micros:
    """The most that taking ``size`` can cost: margin ceil(size/leverage) and fee ceil(size·fee), micros."""
    return Micros(div_ceil(size, max(leverage, 1)) + div_ceil(size * taker_fee, PPB))
