"""Price files in their many spellings; a bad row is told with its line."""

from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from tools.errors import ToolError
from tools.feeds.csv_file import BadRow, Format, Tick, Window, read_ticks

HOUR_MS = 3_600_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prices.csv"


def prices(ticks: list[Tick]) -> list[str]:
    return [f"{tick.price:f}" for tick in ticks]


def read(file: Path, text: str, form: Format = Format.AUTO, window: Window | None = None) -> list[Tick]:
    file.write_text(text)
    return list(read_ticks(file, form, window))


def test_a_rising_bar_goes_low_first_and_a_falling_one_high_first(file: Path) -> None:
    ticks = read(file, "time,open,high,low,close\n0,10,14,9,12\n3600,12,13,8,9\n")
    assert prices(ticks) == ["10", "9", "14", "12", "12", "13", "8", "9"]


def test_a_bar_that_ends_where_it_began_goes_high_first(file: Path) -> None:
    assert prices(read(file, "time,open,high,low,close\n0,10,14,9,10\n")) == ["10", "14", "9", "10"]


def test_a_bar_is_spread_over_its_time_and_a_gap_stays_empty(file: Path) -> None:
    ticks = read(file, "time,open,high,low,close\n0,1,1,1,1\n3600,1,1,1,1\n36000,1,1,1,1\n")
    quarters = [quarter * HOUR_MS // 4 for quarter in range(4)]
    starts = [0, HOUR_MS, 10 * HOUR_MS]
    assert [tick.at_ms for tick in ticks] == [start + quarter for start in starts for quarter in quarters]


@pytest.mark.parametrize(
    "header",
    [
        "open_time_ms,open,high,low,close,volume",
        "Timestamp,Open,High,Low,Close,Volume",
        "Open time,O,H,L,C,V",
        '"date"," open ","high","low","close","vol"',
        "\ufeffdatetime,open_price,high_price,low_price,close_price,n",
    ],
)
def test_the_names_of_the_columns_may_vary(file: Path, header: str) -> None:
    file.write_text(f"{header}\n1498906800000,1,3,0.5,2,9\n", encoding="utf-8")
    ticks = list(read_ticks(file))
    assert prices(ticks) == ["1", "0.5", "3", "2"]
    assert ticks[0].at_ms == 1_498_906_800_000


def test_the_order_of_the_columns_may_vary(file: Path) -> None:
    assert prices(read(file, "close,low,high,open,time\n2,0.5,3,1,0\n")) == ["1", "0.5", "3", "2"]


@pytest.mark.parametrize("time", ["1498906800000", "1498906800", "2017-07-01T11:00:00Z", "2017-07-01 11:00:00"])
def test_ticks_are_read_as_they_are(file: Path, time: str) -> None:
    ticks = read(file, f"time,price,size\n{time},2505.56,0.1\n")
    assert [(tick.at_ms, tick.price, tick.line) for tick in ticks] == [(1_498_906_800_000, Decimal("2505.56"), 2)]


def test_a_file_without_a_header_is_told_by_its_columns(file: Path) -> None:
    assert prices(read(file, "0,1,3,0.5,2,9\n")) == ["1", "0.5", "3", "2"]
    assert prices(read(file, "0,1,3\n1,2,3\n")) == ["1", "2"]


def test_the_format_can_be_forced(file: Path) -> None:
    text = "time,open,high,low,close\n0,1,3,0.5,2\n"
    assert prices(read(file, text, Format.TICK)) == ["2"]
    with pytest.raises(BadRow, match=r"no column for open \(open, open_price or o\), high"):
        read(file, "time,price\n0,1\n", Format.OHLC)


def test_a_window_keeps_its_beginning_and_leaves_out_its_end(file: Path) -> None:
    text = "time,price\n" + "".join(f"{second},{second}\n" for second in range(1, 9))
    assert prices(read(file, text, window=Window(from_ms=3000, to_ms=6000))) == ["3", "4", "5"]
    assert prices(read(file, text, window=Window(from_ms=3000, rows_max=2))) == ["3", "4"]


def test_empty_lines_are_passed_over_and_counted(file: Path) -> None:
    assert [tick.line for tick in read(file, "time,price\n\n1,1\n , \n2,2\n")] == [3, 5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,price\n1,1\n2,abc\n", "line 3: price must be a number above 0, such as 12.5; it is 'abc'"),
        ("time,price\n1,0\n", "line 2: price must be a number above 0, such as 12.5; it is '0'"),
        ("time,price\n1,-5\n", "line 2: price must be a number above 0, such as 12.5; it is '-5'"),
        ("time,price\n1,NaN\n", "line 2: price must be a number above 0, such as 12.5; it is 'NaN'"),
        ("time,price\n1,Infinity\n", "line 2: price must be a number above 0"),
        ("time,price\nnoon,1\n", "line 2: 'noon' is not a time"),
        ("time,price\n1,1\n\n2\n", "line 4: it has 1 column and needs 2"),
        ("time,price\n5,1\n4,1\n", "line 3: its time is 1000 ms before the row above"),
        ("time,open,high,low,close\n0,1,3,2,2\n", "line 2: open and close must be between low and high"),
        ("time,open,high,low,close\n0,1,3,1,4\n", "line 2: open and close must be between low and high"),
        ("time,open,high,low\nx,1,3,1\n", "line 1: the header has no column for price (price, last, close, p or c)"),
        ("when,price\nx,1\n", "line 1: the header has no column for time (open_time_ms, open_time, time_ms, time, "),
        ("time;price\n1;1\n", "line 1: there is no comma in 'time;price'; separate the columns by commas"),
        ("1;1\n", "line 1: there is no comma in '1;1'; separate the columns by commas"),
    ],
)
def test_a_bad_row_is_told_with_its_line(file: Path, text: str, said: str) -> None:
    with pytest.raises(BadRow) as caught:
        read(file, text)
    assert f"prices.csv {said}" in str(caught.value)


def test_a_file_without_rows_is_refused(file: Path) -> None:
    with pytest.raises(ToolError, match="no rows"):
        read(file, "\n\n")


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    file.write_bytes(b"time,price\n\xff\xfe,1\n")
    with pytest.raises(BadRow, match="can't decode"):
        list(read_ticks(file))


def test_a_file_is_read_as_far_as_it_is_asked_for(file: Path) -> None:
    file.write_text("time,price\n1,1\n2,2\nthis is not a row\n")
    assert prices(list(islice(read_ticks(file), 2))) == ["1", "2"]
