"""Token buckets: what a caller may spend, how it comes back, and that memory is bounded."""

from __future__ import annotations

from random import Random

import pytest

from web.limits.budgets import (
    BURST_S,
    FAILURE_WAIT_S_MAX,
    FAILURES_FREE,
    FAILURES_KEPT_S,
    NS_PER_S,
    Budget,
    FailedKeys,
    Pace,
    is_loopback,
    site,
)


def test_a_full_bucket_has_two_seconds_worth_and_fills_at_its_rate() -> None:
    budget = Budget(10)

    spent = [budget.spend("ann", 1, 1) for _ in range(21)]

    assert [one.remaining for one in spent] == [*range(19, -1, -1), 0]
    assert {one.limit for one in spent} == {int(10 * BURST_S)}
    assert [one.wait_s for one in spent] == [0] * 20 + [1]
    assert spent[-1].reset_s == 2
    assert budget.spend("ann", 5, NS_PER_S // 2 + 1).remaining == 0
    assert budget.spend("ann", 20, 10 * NS_PER_S)[1:] == (0, 2, 0)


def test_what_is_refused_takes_nothing() -> None:
    budget = Budget(10)
    budget.spend("ann", 15, 1)

    assert budget.spend("ann", 10, 1)[1:] == (5, 2, 1)
    assert budget.spend("ann", 5, 1).wait_s == 0


def test_one_callers_spending_is_not_anothers() -> None:
    budget = Budget(10)
    budget.spend("ann", 20, 1)

    assert budget.spend("ann", 1, 1).wait_s == 1
    assert budget.spend("bob", 1, 1).remaining == 19


def test_more_than_a_bucket_holds_is_granted_to_a_full_one() -> None:
    budget = Budget(1)

    assert budget.spend("ann", 20, 1).wait_s == 0
    assert budget.spend("ann", 20, NS_PER_S).wait_s > 0
    assert budget.spend("ann", 20, 3 * NS_PER_S).wait_s == 0


@pytest.mark.parametrize("seed", range(5))
def test_over_any_time_nobody_gets_more_than_the_rate_and_one_bucket(seed: int) -> None:
    chance, budget, now_ns, granted = Random(seed), Budget(100), 1, dict.fromkeys("abc", 0)
    for _ in range(5_000):
        now_ns += chance.randrange(20_000_000)
        who, points = chance.choice("abc"), chance.randrange(1, 30)
        if not budget.spend(who, points, now_ns).wait_s:
            granted[who] += points

    most = 100 * (now_ns / NS_PER_S + BURST_S)
    assert all(0.9 * most < points <= most for points in granted.values())


def test_a_wait_that_was_announced_is_enough() -> None:
    chance, budget, now_ns = Random(3), Budget(7), 1
    for _ in range(500):
        points = chance.randrange(1, 14)
        wait_s = budget.spend("ann", points, now_ns).wait_s
        if wait_s:
            now_ns += wait_s * NS_PER_S
            assert budget.spend("ann", points, now_ns).wait_s == 0


def test_callers_are_forgotten_however_many_come() -> None:
    budget, failures, pace = Budget(10, most=100), FailedKeys(most=100), Pace(10, most=100)
    for number in range(5_000):
        budget.spend(str(number), 1, number)
        failures.failed(str(number), number)
        pace.next(str(number), 1, number, 5)

    assert max(len(budget._full_at), len(failures._failures), len(pace._free_at)) <= 200


def test_a_caller_is_remembered_until_the_bucket_is_full_again() -> None:
    budget = Budget(10)
    for second in range(20):
        assert budget.spend("ann", 10, second * NS_PER_S).wait_s == 0
        assert budget.spend("ann", 11, second * NS_PER_S).wait_s > 0


def test_a_few_keys_may_fail_then_each_waits_twice_as_long() -> None:
    failures, now_ns, waits = FailedKeys(), 1, list[int]()
    for _ in range(FAILURES_FREE + 10):
        assert failures.wait_s("10.0.0.1", now_ns) == 0
        failures.failed("10.0.0.1", now_ns)
        waits.append(failures.wait_s("10.0.0.1", now_ns))
        now_ns += waits[-1] * NS_PER_S

    assert waits == [0] * FAILURES_FREE + [1, 2, 4, 8, 16, 32, 64, 64, 64, 64]
    assert max(waits) == FAILURE_WAIT_S_MAX
    assert failures.wait_s("10.0.0.2", now_ns) == 0


def test_failures_are_forgotten_in_time() -> None:
    failures, now_ns = FailedKeys(), 1
    for _ in range(FAILURES_FREE + 3):
        failures.failed("10.0.0.1", now_ns)
    for minute in range(1, 3):
        failures.failed("10.0.0.2", now_ns + minute * int((FAILURES_KEPT_S + 1) * NS_PER_S))
    failures.failed("10.0.0.1", now_ns + 3 * int(FAILURES_KEPT_S * NS_PER_S))

    assert failures.wait_s("10.0.0.1", now_ns + 3 * int(FAILURES_KEPT_S * NS_PER_S)) == 0


def test_a_pace_lets_the_first_go_at_once_and_the_next_when_it_has_been_paid_for() -> None:
    pace = Pace(100)

    assert [pace.next("ann", 50, 1, 1) for _ in range(5)] == [0, 0.5, 1, 1.5, 1.5]
    assert pace.next("bob", 50, 1, 1) == 0
    assert pace.next("ann", 50, 2 * NS_PER_S, 1) == 0


@pytest.mark.parametrize(
    ("address", "one", "local"),
    [
        ("10.0.0.1", "10.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", False),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64", False),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64", False),
        ("::1", "::/64", True),
        ("::ffff:10.0.0.1", "10.0.0.1", False),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("fe80::1%eth0", "fe80::/64", False),
        ("", "", False),
    ],
)
def test_an_address_is_what_one_subscriber_has(address: str, one: str, local: bool) -> None:
    assert (site(address), is_loopback(address)) == (one, local)
