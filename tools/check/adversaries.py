"""Those who would rob a market, one function each. What one earns is what its hands have more in the end.

No luck counts: who holds both sides is neutral, who trades on one side is hedged outside at the price that he knows,
and the others play while the price stands still.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Final, NamedTuple

from perps.commands import Side
from perps.market.reach import largest_open
from perps.market.risks import one_way_fee
from perps.units import PPB
from tools.check.arena import Arena

HANDS: Final = ("ann", "bob")
CROWD: Final = ("eve", "fay", "gil")
PIECES: Final = 20
HOUR_MS: Final = 3_600_000
MEMORY: Final = 120
"""Prices by which a straddler sees that a market is turbulent."""
TURBULENT: Final = 2.0
"""So many times the usual size of a step."""
PAUSE: Final = 50
"""Prices between two rounds of those that need not watch each price."""
ROUNDS_MAX: Final = 40

Tell = Callable[[int], None]
Prices = Sequence[int]


class Adversary(NamedTuple):
    """One strategy."""

    name: str
    play: Callable[[Arena, Prices, int, Tell], int]
    """On these prices (ticks), so far apart (ms), reporting how many it has played. Micros that it has outside."""
    stops: str
    """What would stop it, if it earns something."""


def straddle(arena: Arena, prices: Prices, interval_ms: int, tell: Tell) -> int:
    """Holds both sides with the highest leverage; when a price takes one, it closes the other and begins anew."""
    return _straddle(arena, prices, interval_ms, tell, lambda _: True)


def straddle_in_turbulence(arena: Arena, prices: Prices, interval_ms: int, tell: Tell) -> int:
    """The same, but only while steps are larger than usual: then a gap is likelier, and the fees are the same."""
    steps = [abs(after - before) / before for before, after in pairwise(prices)]
    usual = sum(steps) / max(len(steps), 1)
    recent: deque[float] = deque(maxlen=MEMORY)

    def is_turbulent(place: int) -> bool:
        if place:
            recent.append(steps[place - 1])
        return len(recent) == MEMORY and sum(recent) > TURBULENT * usual * MEMORY

    return _straddle(arena, prices, interval_ms, tell, is_turbulent)


def _straddle(arena: Arena, prices: Prices, interval_ms: int, tell: Tell, begins: Callable[[int], bool]) -> int:
    size = largest_open(arena.market, 1) // PIECES
    legs: list[int | None] = []
    for place, price in enumerate(prices[1:]):
        if begins(place) and not legs:
            legs = [arena.open("ann", Side.LONG, size), arena.open("bob", Side.SHORT, size)]
        arena.price(price, interval_ms)
        if legs and any(leg not in arena.market.positions for leg in legs):
            arena.close_all(*HANDS)
            legs = []
        tell(place)
    return 0


def early_reader(arena: Arena, prices: Prices, interval_ms: int, tell: Tell) -> int:
    """Sees each price one update early, hedged outside at that price. Trades when a move beats the fee of one way.

    It takes as much as earns the most: the impact of a size d costs d/(2·Ks), so Ks·(move − fee), within the caps.
    Where orders wait for the next price, all that it orders is filled at the price that it saw.
    """
    market = arena.market
    fee = one_way_fee(market.params)
    outside = hedged = side = 0
    held: int | None = None

    def hedge(price: int) -> int:
        """Sell outside what was bought here since, or buy what was sold. The micros that this brings."""
        nonlocal hedged
        bought, hedged = market.skew - hedged, market.skew
        return bought * price * market.unit

    for place, (now, ahead) in enumerate(pairwise(prices)):
        if arena.executes_later:
            arena.price(ahead, interval_ms)
        edge = abs(ahead - now) * PPB // now - fee
        sign = 1 if ahead > now else -1
        if edge > 0 and (sign != side or held not in market.positions):
            if held is not None:
                arena.close(held)
            depth = market.params.skew_scale * now * market.unit
            size = min(depth * edge // PPB, largest_open(market, sign))
            held = arena.open("ann", Side.LONG if sign > 0 else Side.SHORT, size, leverage=1)
            side = sign if held is not None else 0
            outside += hedge(ahead)
        if not arena.executes_later:
            arena.price(ahead, interval_ms)
        outside += hedge(ahead)
        tell(place)
    arena.close_all(*HANDS)
    return outside + hedge(prices[-1])


def pump(arena: Arena, prices: Prices, interval_ms: int, tell: Tell) -> int:
    """Moves the quote as far as the caps allow, in pieces, and leaves the oldest first; the other hand trades along."""
    for place in _rounds(arena, prices, interval_ms, tell):
        first, second = (Side.LONG, Side.SHORT) if place % 2 else (Side.SHORT, Side.LONG)
        size = largest_open(arena.market, 1 if first is Side.LONG else -1) // PIECES
        mine = [arena.open("ann", first, size) for _ in range(PIECES)]
        arena.open("bob", second, size * PIECES // 2)
        for number in mine:
            if number is not None:
                arena.close(number)
        arena.close_all(*HANDS)
    return 0


def corner(arena: Arena, prices: Prices, interval_ms: int, tell: Tell) -> int:
    """One hand fills a side with small positions at the highest leverage, the other takes as much against it.

    Then prices move: what the small ones lose beyond their margin, the large one gains.
    """
    standing = False
    for place, price in enumerate(prices[1:]):
        if not standing and place % PAUSE == 0:
            first, second = (Side.LONG, Side.SHORT) if place // PAUSE % 2 else (Side.SHORT, Side.LONG)
            size = largest_open(arena.market, 1 if first is Side.LONG else -1) // PIECES
            count = sum(arena.open("bob", first, size) is not None for _ in range(PIECES))
            arena.open("ann", second, size * count, leverage=1)
            standing = True
        before = arena.liquidations
        arena.price(price, interval_ms)
        if standing and (arena.liquidations > before or place % PAUSE == PAUSE - 1):
            arena.close_all(*HANDS)
            standing = False
        tell(place)
    return 0


def funding_poker(arena: Arena, prices: Prices, _: int, tell: Tell) -> int:
    """Builds a skew slowly and pays little, then takes the other side as large as may be and collects, hour by hour."""
    for place in range(min(len(prices), ROUNDS_MAX)):
        side, other = (Side.LONG, Side.SHORT) if place % 2 else (Side.SHORT, Side.LONG)
        arena.open("ann", side, largest_open(arena.market, 1 if side is Side.LONG else -1) // (place % 5 + 1), 1)
        for _ in range(8):
            arena.wait(HOUR_MS)
        arena.close_all("ann")
        arena.open("bob", other, largest_open(arena.market, 1 if other is Side.LONG else -1), 1)
        for _ in range(12):
            rate = arena.market.funding_rate
            if not (rate < 0 if other is Side.LONG else rate > 0):
                break
            arena.wait(HOUR_MS)
        arena.close_all(*HANDS)
        tell(place * len(prices) // ROUNDS_MAX)
    return 0


def dust(arena: Arena, prices: Prices, _: int, tell: Tell) -> int:
    """The smallest orders there are, closed a lot at a time: lives on roundings."""
    size = arena.market.params.min_order_size
    for place in range(ROUNDS_MAX):
        side = Side.LONG if place % 2 else Side.SHORT
        number = arena.open("ann", side, size)
        while number is not None and arena.close(number, PPB // 7):
            position = arena.market.positions.get(number)
            if position is None or abs(position.lots) < 8:
                break
        arena.close_all("ann")
        tell(place * len(prices) // ROUNDS_MAX)
    return 0


def hunter(arena: Arena, prices: Prices, interval_ms: int, tell: Tell) -> int:
    """Others stand at the highest leverage. It pushes the quote as far as the caps let it when somebody falls by it."""
    random, market = Random(len(prices)), arena.market
    for place in _rounds(arena, prices, interval_ms, tell):
        for user in CROWD:
            arena.open(user, random.choice(list(Side)), largest_open(market, 1) // (3 * PIECES))
        sign = -1 if place % 2 else 1
        mark, scale = market.exact_mark(sign * market.params.max_skew)
        if market.order.may_be_due(mark, market.params, market.funding_index, scale):
            for _ in range(PIECES):
                size = largest_open(market, sign)
                if arena.open("ann", Side.LONG if sign > 0 else Side.SHORT, size, leverage=1) is None:
                    break
            arena.close_all("ann")
        if len(market.positions) > 3 * PIECES:
            arena.close_all(*CROWD)
    return 0


def _rounds(arena: Arena, prices: Prices, interval_ms: int, tell: Tell) -> Iterator[int]:
    """The rounds of those who need not watch each price: all prices pass, ``PAUSE`` between two rounds."""
    for place, price in enumerate(prices[1:]):
        arena.price(price, interval_ms)
        tell(place)
        if place % PAUSE == 0:
            yield place // PAUSE


ADVERSARIES: Final = (
    Adversary("both sides", straddle, "maxLeverage {leverage} or less, or prices in smaller steps"),
    Adversary("both sides, in turbulence", straddle_in_turbulence, "maxLeverage {leverage} or less"),
    Adversary(
        "reads the price early",
        early_reader,
        "execution next_price, prices more often, or takerFee × (1 − referralShare) above {step}",
    ),
    Adversary("pump and unwind", pump, "this must not be: report it"),
    Adversary("corner", corner, "maxLeverage {leverage} or less, or less maxOpenInterest"),
    Adversary("pokes at funding", funding_poker, "less maxFundingRate"),
    Adversary("dust", dust, "this must not be: report it"),
    Adversary("hunts the leveraged", hunter, "markSource index, or less maxOpenInterest and maxSkew"),
)
"""Everybody who is played."""
