"""A simulated outside price: volatility comes in regimes, jumps are rare and fat-tailed, and there is an anchor.

It is no plain random walk. The logarithm x of the price follows, step by step,

    a ← a + h·(x₀ − a) + v·A·Z          the anchor moves slowly, and is itself pulled back to where it began
    x ← x + k·(a − x) + v·σ(r)·Z + J     r: calm, normal or storm, a Markov chain; J: compound Poisson, Pareto sizes

with v the volatility of a step in the normal regime. Sources: Hamilton (1989) for the regimes, Merton (1976) for the
jumps, Ornstein–Uhlenbeck for the pull. Floats are right here: no money is counted with them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

BPS: Final = 1e-4
SEED_BITS: Final = 128
"""Of a seed that nobody gave: whoever finds it knows every price to come."""


@dataclass(frozen=True)
class Regime:
    """One regime. ``weight`` multiplies the volatility; ``stay`` is the chance to stay in it for another step."""

    name: str
    weight: float
    stay: float


CALM, NORMAL, STORM = Regime("calm", 0.4, 0.995), Regime("normal", 1.0, 0.992), Regime("storm", 3.5, 0.98)

NEXT: Final[dict[str, tuple[tuple[Regime, float], ...]]] = {
    CALM.name: ((NORMAL, 0.95), (STORM, 0.05)),
    NORMAL.name: ((CALM, 0.6), (STORM, 0.4)),
    STORM.name: ((NORMAL, 0.9), (CALM, 0.1)),
}
"""What may follow a regime, with what chance."""


@dataclass(frozen=True)
class Process:
    """The numbers of the process; rates and times are per step."""

    volatility: float = 1 * BPS
    """v: standard deviation of a step's return in the normal regime."""
    pull: float = 0.002
    """k: the fraction of the distance to the anchor that one step goes back."""
    anchor_weight: float = 0.3
    """A: how much the anchor moves, in v."""
    anchor_pull: float = 0.0002
    """h: how strongly the anchor is pulled back to where it began."""
    jump_rate: float = 0.004
    """Expected jumps per step."""
    jump_size: float = 5.0
    """The smallest jump, in v."""
    jump_tail: float = 3.0
    """Exponent of the Pareto tail of the sizes; a smaller one makes large jumps likelier."""
    jump_max: float = 0.1
    """The largest jump of the logarithm."""


def price_path(start: float, seed: int | str, process: Process | None = None) -> Iterator[float]:
    """Endless prices after ``start``, all above 0 and finite. The same seed gives the same path. Errors: ValueError."""
    if not 0 < start < math.inf:
        raise ValueError("a price path starts at a finite price above 0")
    process = process or Process()
    random = Random(seed)
    begin = anchor = level = math.log(start)
    regime = NORMAL
    while True:
        regime = _next_regime(regime, random)
        anchor += process.anchor_pull * (begin - anchor)
        anchor += process.volatility * process.anchor_weight * random.gauss(0.0, 1.0)
        level += process.pull * (anchor - level)
        level += process.volatility * regime.weight * random.gauss(0.0, 1.0)
        level += sum(_jump(process, random) for _ in range(_poisson(process.jump_rate, random)))
        level = min(max(level, begin - 5.0), begin + 5.0)
        yield math.exp(level)


def _next_regime(regime: Regime, random: Random) -> Regime:
    if random.random() < regime.stay:
        return regime
    regimes, chances = zip(*NEXT[regime.name], strict=True)
    chosen: Regime = random.choices(regimes, chances)[0]
    return chosen


def _jump(process: Process, random: Random) -> float:
    size = min(process.volatility * process.jump_size * random.paretovariate(process.jump_tail), process.jump_max)
    return size if random.random() < 0.5 else -size


def _poisson(rate: float, random: Random) -> int:
    """A Poisson number by multiplication (Knuth); for small rates."""
    limit, product, count = math.exp(-rate), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count
