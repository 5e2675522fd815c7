"""Fingerprints: a command repeated after an upgrade is still the same command."""

from typing import Any

import pytest

from perps.commands import ClosePosition, Command, Deposit, OpenPosition, Side, limit_price
from perps.fingerprints import fingerprint
from perps.units import PPB, Micros, Nano, Ppb

OPEN: dict[str, Any] = {"ticker": "BTC-PERP", "user": "ann", "size": Micros(10**9), "leverage": 10}
CLOSE: dict[str, Any] = {"ticker": "BTC-PERP", "user": "ann", "position_id": "BTC-PERP-1", "share": Ppb(PPB // 2)}
LIMIT = Nano(123_456_789)


@pytest.mark.parametrize(
    ("command", "digest"),
    [
        (OpenPosition(**OPEN, side=Side.LONG), "a449c48a66fac59300b84fcd8e62d486"),
        (
            OpenPosition(**OPEN, side=Side.SHORT, acceptable_price=LIMIT, max_slippage_bps=7),
            "84462b9ab1bee2aaff1153beef66beab",
        ),
        (ClosePosition(**CLOSE, acceptable_price=LIMIT, any_owner=True), "4b70b4030a59e96bc9ded1765ce48b6a"),
        (Deposit(user="ann", amount=Micros(5)), "d7b2e3038b5b21f05afeac1c8bd50f10"),
    ],
)
def test_a_fingerprint_is_what_it_was_in_the_first_release(command: Command, digest: str) -> None:
    assert fingerprint(command).hex() == digest


def test_what_a_limit_has_below_a_nano_is_part_of_the_fingerprint() -> None:
    limits: list[dict[str, Any]] = [
        {},
        {"acceptable_price": LIMIT},
        *({"acceptable_price": LIMIT, "acceptable_price_pico": n} for n in (1, 2)),
    ]
    commands = [
        made
        for limit in limits
        for made in (OpenPosition(**OPEN, side=Side.LONG, **limit), ClosePosition(**CLOSE, **limit))
    ]

    assert len({fingerprint(command) for command in commands}) == len(commands)


@pytest.mark.parametrize(("nano", "rest", "pico"), [(None, 0, None), (0, 1, 1), (1, 0, 1_000), (9, 999, 9_999)])
def test_a_limit_price_is_its_nanos_and_the_rest(nano: Nano | None, rest: int, pico: int | None) -> None:
    command = ClosePosition(**CLOSE, acceptable_price=nano, acceptable_price_pico=rest)

    assert limit_price(command) == pico
