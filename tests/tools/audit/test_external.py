"""Prices from outside: read exactly, or refused in one line that says where."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tools.audit.external import BadExternal, ExternalPrice, read_csv, read_file


def read(text: str | bytes) -> list[ExternalPrice]:
    return read_csv("x.csv", text.encode() if isinstance(text, str) else text)


def test_a_ticker_and_a_price_are_enough() -> None:
    assert read("ticker,price\nBTC-PERP,64000.10\n") == [ExternalPrice("BTC-PERP", Decimal("64000.10"), None, None)]


def test_columns_may_stand_anywhere_under_their_usual_names() -> None:
    text = "\ufeffUpdatedAt, Current_Price ,note,SYMBOL\n2026-01-01T00:00:01Z,1e-3,x,A\n\n  ,2,,B\n"

    assert read(text) == [
        ExternalPrice("A", Decimal("0.001"), None, 1_767_225_601_000),
        ExternalPrice("B", Decimal(2), None, None),
    ]


def test_a_position_is_named_by_its_id_or_by_its_number() -> None:
    found = read("ticker,positionId,price\nA,A-1,1\nA,2,1\n")

    assert [price.position for price in found] == ["A-1", "A-2"]


def test_no_digit_of_a_price_is_lost() -> None:
    digits = "123456789012345678.123456789012345678901234567890"

    assert f"{read(f'ticker,price{chr(10)}A,{digits}')[0].price:f}" == digits


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (b"ticker,price\n", "a header, and no rows"),
        (b"BTC-PERP,64000\n", "no column for the ticker and the price"),
        (b"ticker,size\nA,1\n", "no column for the price"),
        (b"ticker,price,price\nA,1,2\n", "several columns for the price"),
        (b"ticker,price,mark_price\nA,1,2\n", "several columns for the price"),
        (b"ticker,price\nA,NaN\n", "line 2: the price is not a number above 0: 'NaN'"),
        (b"ticker,price\nA,inf\n", "not a number above 0"),
        (b"ticker,price\nA,-1\n", "not a number above 0"),
        (b"ticker,price\nA,0\n", "not a number above 0"),
        (b"ticker,price\nA,0e9\n", "not a number above 0"),
        (b"ticker,price\nA,1_0\n", "not a number above 0"),
        (b'ticker,price\nA,"1,000"\n', "not a number above 0: '1,000'"),
        ("ticker,price\nA,١\n".encode(), "not a number above 0"),
        (b"ticker,price\nA,\n", "not a number above 0: ''"),
        (b"ticker,price\nA,1\nB\n", "line 3: 1 columns, the header has 2"),
        (b"ticker,price\nA,1,2\n", "line 2: 3 columns, the header has 2"),
        (b"ticker,price\n,1\n", "line 2: it has no ticker"),
        (b"ticker,positionId,price\nA,,1\n", "line 2: it has no position"),
        (b"ticker,price\nA,1\nB,1\nA,1\n", "line 4: A is there already, in line 2"),
        (b"ticker,positionId,price\nA,1,1\nA,A-1,2\n", "line 3: A-1 is there already, in line 2"),
        (b"ticker,price,at\nA,1,yesterday\n", "line 2: 'yesterday' is not a time"),
        (b"ticker,price\nA,1\n\xff,1\n", "line 3: not UTF-8"),
        ("ticker,price\nA,1\n".encode("utf-16"), "not UTF-8"),
        (b'ticker,price\nA,"1\n', "line 2"),
        (b"ticker,price\nA\x00,1\n", "line 2"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: bytes, problem: str) -> None:
    with pytest.raises(BadExternal) as refused:
        read(text)
    assert str(refused.value).startswith("x.csv")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadExternal, match="No such file"):
        read_file(tmp_path / "none.csv")
    with pytest.raises(BadExternal, match="directory"):
        read_file(tmp_path)
