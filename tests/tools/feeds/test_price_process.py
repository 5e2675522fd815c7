"""The simulated price looks like a market's: fat tails, clusters of volatility, an anchor; and a seed repeats it."""

import math
from collections.abc import Sequence
from itertools import islice, pairwise
from statistics import fmean, pstdev

import pytest

from tools.feeds.price_process import Process, price_path

STEPS = 20_000
SEEDS = (1, 2, 3, 4, 5)


def path(seed: int | str, steps: int = STEPS, process: Process | None = None) -> list[float]:
    return list(islice(price_path(100.0, seed, process), steps))


def returns(prices: Sequence[float]) -> list[float]:
    return [math.log(after / before) for before, after in pairwise(prices)]


def kurtosis(values: Sequence[float]) -> float:
    mean = fmean(values)
    variance = fmean((value - mean) ** 2 for value in values)
    return fmean((value - mean) ** 4 for value in values) / variance**2


def autocorrelation(values: Sequence[float], lag: int) -> float:
    mean = fmean(values)
    shifted = zip(values, values[lag:], strict=False)
    return fmean((a - mean) * (b - mean) for a, b in shifted) / fmean((value - mean) ** 2 for value in values)


def test_the_same_seed_gives_the_same_path_and_another_another() -> None:
    assert path(7, 500) == path(7, 500)
    assert path(7, 500) != path(8, 500)
    assert path("7:BTC", 500) != path("7:ETH", 500)


@pytest.mark.parametrize("seed", SEEDS)
def test_returns_have_fat_tails(seed: int) -> None:
    assert kurtosis(returns(path(seed))) > 3.5


@pytest.mark.parametrize("seed", SEEDS)
def test_volatility_comes_in_clusters_although_returns_do_not(seed: int) -> None:
    moves = returns(path(seed, process=Process(jump_rate=0.0)))
    sizes = [abs(move) for move in moves]
    assert all(autocorrelation(sizes, lag) > 0.1 for lag in (1, 5, 20))
    assert abs(autocorrelation(moves, 1)) < 0.05


@pytest.mark.parametrize("volatility", [1e-6, 5e-4, 0.05])
def test_a_price_is_always_positive_and_finite(volatility: float) -> None:
    prices = path(11, 5_000, Process(volatility=volatility))
    assert all(0 < price < math.inf for price in prices)


def test_the_anchor_holds_a_price_near_its_beginning_in_the_long_run() -> None:
    ends = [math.log(path(seed, 10_000)[-1] / 100) for seed in range(12)]
    walk = Process().volatility * math.sqrt(10_000)
    assert pstdev(ends) < walk


def test_volatility_scales_the_moves() -> None:
    calm, wild = (pstdev(returns(path(3, process=Process(volatility=v, jump_rate=0.0)))) for v in (1e-4, 1e-3))
    assert wild / calm == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("start", [0.0, -1.0, math.nan, math.inf])
def test_a_path_starts_at_a_price(start: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        next(price_path(start, 1))
