"""Price files in their many spellings; what cannot be true is told with its line and column."""

import bz2
import gzip
import lzma
import os
import re
import sys
import zipfile
from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from zoneinfo import ZoneInfo

import duckdb
import pytest

from tests.tools.feeds.files.support import (
    START_MS,
    START_S,
    file_of,
    prices,
    read,
    standard_input,
    times,
)
from tools.feeds.files import BadFile, BadRow, Format, Window

HOUR_S = 3600
BARS = "time,open,high,low,close\n"
T = START_S


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prices.csv"


def test_a_rising_bar_goes_low_first_and_a_falling_one_high_first(file: Path) -> None:
    ticks = read(file, f"{BARS}{T},10,14,9,12\n{T + 3600},12,13,8,9\n")
    assert prices(ticks) == ["10", "9", "14", "12", "12", "13", "8", "9"]


def test_a_bar_that_ends_where_it_began_goes_high_first(file: Path) -> None:
    assert prices(read(file, f"{BARS}{T},10,14,9,10\n")) == ["10", "14", "9", "10"]


def test_a_bar_is_spread_over_its_time_and_a_gap_stays_empty(file: Path) -> None:
    ticks = read(file, f"{BARS}{T},1,1,1,1\n{T + HOUR_S},1,1,1,1\n{T + 10 * HOUR_S},1,1,1,1\n")
    quarters = [quarter * HOUR_S * 250 for quarter in range(4)]
    starts = [0, HOUR_S * 1000, 10 * HOUR_S * 1000]
    assert times(ticks) == [start + quarter for start in starts for quarter in quarters]


@pytest.mark.parametrize(
    "header",
    [
        "open_time_ms,open,high,low,close,volume",
        "Timestamp,Open,High,Low,Close,Volume",
        "Open time,O,H,L,C,V",
        '"date"," open ","high","low","close","vol"',
        "\ufeffdatetime,open_price,high_price,low_price,close_price,n",
        "timestamp,1. open,2. high,3. low,4. close,5. volume",
        "<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
        "openTime,openPrice,highPrice,lowPrice,closePrice,volume",
    ],
)
def test_the_names_of_the_columns_may_vary(file: Path, header: str) -> None:
    ticks = read(file, f"{header}\n1498906800000,1,3,0.5,2,9\n")
    assert prices(ticks) == ["1", "0.5", "3", "2"]
    assert ticks[0].at_ms == 1_498_906_800_000


def test_the_order_of_the_columns_may_vary(file: Path) -> None:
    assert prices(read(file, f"close,low,high,open,time\n2,0.5,3,1,{T}\n")) == ["1", "0.5", "3", "2"]


@pytest.mark.parametrize(
    ("time", "ms"),
    [
        ("1704067200", 0),
        ("1704067200.25", 250),
        ("1704067200123", 123),
        ("1704067200123456", 123),
        ("1704067200123456789", 123),
        ("1.704067200123e12", 123),
        ("2024-01-01T00:00:00Z", 0),
        ("2024-01-01T02:30:00.5+02:30", 500),
        ("2024-01-01 00:00:00 UTC", 0),
        ("2024/01/01 00:00", 0),
        ("2024.01.01 00:00:01", 1000),
        ("2024-1-1 0:01", 60_000),
        ("01.01.2024 01:00:00.000 GMT+0100", 0),
        ("20240101", 0),
        ("202401010001", 60_000),
        ("20240101000001", 1000),
        ("20240101 000001", 1000),
        ("20240101 000001123", 1123),
        ("2024-01-01 12:00:01 AM", 1000),
        ("2024-01-01 01-PM", 13 * 3_600_000),
        ('"Jan 01, 2024"', 0),
        ("01-Jan-2024", 0),
        ("1 January 2024 00:00", 0),
    ],
)
def test_times_are_read_as_they_are_written(file: Path, time: str, ms: int) -> None:
    assert times(read(file, f"time,price,size\n{time},5,1\n")) == [ms]


def test_whichever_row_decides_says_whether_the_day_comes_first(file: Path) -> None:
    early = [f"{month:02}/01/2023,5" for month in range(1, 13)]
    day_first = [f"01/{month:02}/2023,5" for month in range(1, 13)]
    assert read(file, "\n".join(["Date,Close", *day_first, "13/12/2023,6"]))[1].at_ms - START_MS == -334 * 86_400_000
    assert read(file, "\n".join(["Date,Close", *early, "12/13/2023,6"]))[1].at_ms - START_MS == -334 * 86_400_000


def test_a_zone_of_ones_own_turns_local_times_into_utc(file: Path) -> None:
    text = "time,price\n2024-01-01 01:00,5\n2024-07-01T02:00,6\n2024-07-02T00:00Z,7\n"
    ticks = read(file, text, zone=ZoneInfo("Europe/Berlin"))
    assert times(ticks) == [0, 182 * 86_400_000, 183 * 86_400_000]


def test_a_file_without_a_header_is_told_by_its_cells(file: Path) -> None:
    assert prices(read(file, f"{T},1,3,0.5,2,9\n")) == ["1", "0.5", "3", "2"]
    assert prices(read(file, f"{T},1,3\n{T + 1},2,3\n")) == ["1", "2"]
    assert prices(read(file, f"BTC,{T},1,3\nBTC,{T + 1},2,3\n")) == ["1", "2"]
    assert prices(read(file, f"{T} 1.5\n{T + 1} 2.5\n")) == ["1.5", "2.5"]


def test_the_format_can_be_forced(file: Path) -> None:
    assert prices(read(file, f"{BARS}{T},1,3,0.5,2\n", form=Format.TICK)) == ["2"]
    with pytest.raises(BadRow, match=r"no column for open \(open, .*\), high"):
        read(file, f"time,price\n{T},1\n", form=Format.OHLC)


def test_columns_can_be_named(file: Path) -> None:
    text = f"a,when,b,what\n7,{T},8,5\n"
    assert prices(read(file, text, time_column="when", price_column="what")) == ["5"]
    assert prices(read(file, text, time_column="2", price_column="B")) == ["8"]
    with pytest.raises(BadRow, match="line 1: there is no column 'x' for --price-column; the columns are: a, when, b"):
        read(file, text, time_column="when", price_column="x")


def test_a_window_keeps_its_beginning_and_leaves_out_its_end(file: Path) -> None:
    text = "time,price\n" + "".join(f"{T + second},{second}\n" for second in range(1, 9))
    assert prices(read(file, text, Window(from_ms=START_MS + 3000, to_ms=START_MS + 6000))) == ["3", "4", "5"]
    assert prices(read(file, text, Window(from_ms=START_MS + 3000, rows_max=2))) == ["3", "4"]


def test_empty_lines_are_passed_over_and_counted(file: Path) -> None:
    assert [tick.line for tick in read(file, f"time,price\n\n{T},1\n , \n# note\n{T + 1},2\n")] == [3, 6]


def test_one_bad_row_among_many_good_ones_keeps_its_number(file: Path) -> None:
    rows = [f"{T + at},5" for at in range(50_000)]
    rows[40_000] = f"{T + 40_000},oops"
    file.write_text("time,price\n" + "\n".join(rows))
    with pytest.raises(BadRow, match=r"line 40002, column price: a price must be a number above 0"):
        file_of(file).read_through()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"time,price\n{T},1\n{T},abc\n",
            "line 3, column price: a price must be a number above 0, such as 12.5; it is",
        ),
        (f"time,price\n{T},0\n", "line 2, column price: a price must be a number above 0, such as 12.5; it is '0'"),
        (f"time,price\n{T},-5\n", "line 2, column price: a price must be a number above 0, such as 12.5; it is '-5'"),
        (f"time,price\n{T},Infinity\n", "line 2, column price: a price must be a number above 0"),
        (f"time,price\n{T},1e99\n", "line 2, column price: a price must be below 10^18; it is '1e99'"),
        (f"time,price\n{T},{10**18}\n{T + 1},abc\n", "line 2, column price: a price must be below 10^18; it is"),
        ("time,price\nnoon,1\n", "line 2, column time: 'noon' is not a time"),
        (f"time,price\n{T},1\n\n2\n", "line 4: it has 1 column and needs 2; is it cut off?"),
        (f"time,price\n{T + 1},1\n{T + 2},1\n{T},1\n", "line 4, column time: 1704067200 is 2 s before the row above"),
        (f"{BARS}{T},1,3,2,2\n", "line 2, column low: open and close must be between low and high"),
        (f"{BARS}{T},1,3,1,4\n", "line 2, column high: open and close must be between low and high"),
        (f"{BARS}{T},1,3,1,\n", "line 2, column close: it is empty, though the row has other prices"),
        (f"time,open,high,low\n{T},1,3,1\n", "line 1: the header has no column for price (price, last, "),
        (f"when,price\n{T},1\n", "line 1: the header has no column for time (open_time_ms, open_time, "),
        ("prices\n1\n", "line 1: there is one column in 'prices'; separate a time and a price by a comma"),
        ("time,price\n0,1\n", "line 2, column time: 0 is 1970-01-01T00:00:00Z, before 2009; is this the column"),
        (
            "time,price\n1900000000,1\n",
            "line 2, column time: 1900000000 is 2030-03-17T17:46:40Z, more than a year ahead",
        ),
        (f"{T},5\n{T + 1},5\n20240101,5\n", "line 3, column 1: 20240101 is 1970-08-23"),
        ("time,price\n2024-02-30,5\n", "line 2, column time: there is no day 2024-02-30"),
        ("time,price\n2024-01-01 25:00,5\n", "line 2, column time: '25:00' is not a time of day: hours go to 23"),
        (
            "time,price\n2024-01-01 10:00 EST,5\n",
            "'10:00 EST' is not a time of day, such as 12:30:00; for the zone EST",
        ),
        (
            f"time,price\n{T},42283\n{T + 60},2283\n",
            "line 3, column price: the price jumps from 42283 to 2283, by more",
        ),
        (f"{BARS}{T},9,9,9,9\n{T},5,5,5,5\n", "line 3: it has the time of the row above and another price, 5 after 9"),
        (
            f"time;price\n{T};1,105\n",
            "line 2: the comma of '1,105' may begin decimals or group thousands; say --decimal",
        ),
        (f"time,price\n{T},\0\n", "line 2: it has zero bytes: it is no text"),
        (f"time,price\n{T},{'1' * 10_001}", "line 2: it is longer than 10000 characters"),
        (f'time,price\n{T},"{"1" * 140_000}"\n{T},1\n', "line 2: it is longer than 10000 characters"),
        (
            f"{BARS}{T},9,10,8,9\n{T + 1},9,10,8,9\n",
            "line 2, column time: bars that move 25.0% each are at most a second apart: these are no seconds",
        ),
        ("time,price\n", "line 1: it is the last one: the file has a header and no rows"),
        ("hello,you\nhow,goes\n", "line 1: no table begins here: 'hello you'"),
    ],
)
def test_a_bad_row_is_told_with_its_line(file: Path, text: str, said: str) -> None:
    with pytest.raises(BadRow) as caught:
        read(file, text)
    assert f"prices.csv {said}" in str(caught.value) or (said.startswith("'") and said in str(caught.value))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file has no rows"),
        (b"\n\n", "the file has no rows"),
        (b'[{"time": 1704067200, "price": 5}]', "it is JSON; save it as CSV or Parquet"),
        (b"<!DOCTYPE html><html>not found</html>", "it is a web page or XML, not a table"),
        (b"\x28\xb5\x2f\xfd....", "it is compressed with zstd; decompress it first"),
        (gzip.compress(f"time,price\n{T},5\n".encode(), mtime=0)[:-9], "it cannot be read to its end"),
        (b"PK\x03\x04 no archive", "the ZIP archive cannot be read"),
        (b"PAR1 no parquet PAR1", "the Parquet file cannot be read"),
        (f"time,price\n{T},nan\n".encode(), "no row with a price is left to play; rows without one: 1"),
    ],
)
def test_what_is_no_price_file_is_refused(file: Path, data: bytes, said: str) -> None:
    file.write_bytes(data)
    with pytest.raises(BadFile, match=said) as caught:
        file_of(file).read_through()
    assert str(caught.value).startswith(f"{file}: ")


def test_bytes_that_are_no_text_are_refused_where_they_count(file: Path) -> None:
    with pytest.raises(BadRow, match=r"line 2, column time: '\\udcff\\udcfe' is not a time"):
        read(file, b"time,price\n\xff\xfe,1\n")


def test_a_jump_may_be_allowed(file: Path) -> None:
    file.write_text(f"time,price\n{T},42283\n{T + 60},2283\n")
    allowed = file_of(file)
    allowed.jump_max = 20
    assert prices(list(allowed.ticks())) == ["42283", "2283"]


def test_a_file_without_a_column_of_instruments_has_none_to_choose(file: Path) -> None:
    with pytest.raises(BadFile, match="there is no column of instruments for --symbol BTC"):
        read(file, f"time,price\n{T},5\n", symbol="BTC")
    with pytest.raises(BadFile, match="no row is of SOL; the file has: BTC, ETH"):
        read(file, f"time,symbol,price\n{T},BTC,5\n{T},ETH,5\n", symbol="SOL")


@pytest.mark.parametrize("packed", ["gz", "bz2", "xz", "zip", "utf-16"])
def test_a_file_may_be_compressed_or_in_another_encoding(file: Path, packed: str) -> None:
    text = f"time,price\n{T},1.5\n{T + 1},2.5\n"
    data = text.encode("utf-16" if packed == "utf-16" else "utf-8")
    if packed == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("folder/prices.csv", data)
            archive.writestr("__MACOSX/._prices.csv", "x")
        data = file.read_bytes()
    packs: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    pack = packs.get(packed, bytes)
    assert prices(read(file, pack(data))) == ["1.5", "2.5"]


def test_an_archive_of_several_files_is_refused_with_their_names(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    with pytest.raises(BadFile, match=r"it has 2 files \(a.csv, b.csv\); unpack it"):
        file_of(file).read_through()


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, gzip.compress(f"time,price\n{T},1.5\n{T + 1},2.5\n".encode(), mtime=0))
    assert prices(list(file_of(Path("-")).ticks())) == ["1.5", "2.5"]


def test_a_pipe_plays_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read_once = Event()

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            pipe.write(f"time,price\n{T},1.5\n{T + 1},2.5\n".encode())
            read_once.wait(10)
            pipe.write(f"{T + 2},3.5\n".encode())

    writer = Thread(target=write)
    writer.start()
    blocks = file_of(path).tick_blocks()
    first = prices(next(blocks))
    read_once.set()
    rest = [price for block in blocks for price in prices(block)]
    writer.join()
    assert (first, rest) == (["1.5", "2.5"], ["3.5"])


def test_a_pipe_with_its_newest_row_first_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, f"time,price\n{T + 2},1\n{T + 1},2\n{T},2\n".encode())
    with pytest.raises(BadFile, match="standard input: its newest row comes first, and a pipe cannot be turned round"):
        list(file_of(Path("-")).ticks())


def test_a_file_is_read_as_far_as_it_is_asked_for(file: Path) -> None:
    file.write_text("time,price\n" + "".join(f"{T + at},1\n" for at in range(100_000)) + "this is not a row\n")
    assert prices(list(islice(file_of(file).ticks(), 2))) == ["1", "1"]


def test_a_tick_that_would_move_the_prices_is_refused_with_one_that_fits(file: Path) -> None:
    file.write_text(f"time,price\n{T},50\n{T + 1},9.996\n")
    file_of(file).read_through(tick_size=Decimal("0.01"))
    file.write_text(f"time,price\n{T},50\n{T + 1},5.004\n")
    with pytest.raises(
        BadFile,
        match=r"line 3: the market's tick 0.01 would make 5.00 of the price 5.004, 8 bps away.*of 0.001 or less",
    ):
        file_of(file).read_through(tick_size=Decimal("0.01"))


def test_parquet_gives_the_same_prices_and_times(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    rows = (
        "SELECT TIMESTAMPTZ '2024-01-01 00:00:00+00' + i * INTERVAL 1 MINUTE AS \"Open Time\", "
        "42283.5 + i AS open, 42300.5::DOUBLE AS high, 42200.25::DECIMAL(18, 4) AS low, 42284.5 + i AS close, "
        "'BTC' AS symbol FROM range(3) t(i)"
    )
    duckdb.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")
    file = file_of(path)

    ticks = list(file.ticks())

    assert file.layout.name(file.layout.time[0]) == "Open Time"
    assert prices(ticks)[:4] == ["42283.5", "42200.2500", "42300.5", "42284.5"]
    assert times(ticks)[::4] == [0, 60_000, 120_000]
    assert [tick.line for tick in ticks][::4] == [1, 2, 3]


def test_without_the_library_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(BadFile, match=r"Parquet needs DuckDB: pip install 'perps\[files\]'"):
        file_of(path).read_through()


@pytest.mark.parametrize(
    ("begin", "line", "said"),
    [
        ("", "\n", "lines above it are empty"),
        ("", "# nothing\n", "lines above it are the same: '# nothing'"),
        ("", "\n# a\n", "it and all lines above it are empty or comments"),
        ("time,price\n{T},5\n", "\n", "it and more than 100,000 lines above it are empty"),
        ("time,price\n", "{T},5\n", "lines above it are the same: '{T},5'"),
        ("time,price\n{T},5\n", "{T},\n", "lines above it are the same: '{T},'"),
    ],
)
def test_a_few_bytes_that_become_millions_of_lines_are_refused_with_the_line(
    file: Path, begin: str, line: str, said: str
) -> None:
    begin, line, said = (text.replace("{T}", str(T)) for text in (begin, line, said))
    with gzip.open(file, "wb", compresslevel=1) as packed:
        packed.write(begin.encode())
        for _ in range(20):
            packed.write(line.encode() * 100_000)
    with pytest.raises(BadRow, match=re.escape(said)) as caught:
        file_of(file).read_through()
    assert re.search(r" line [1-4]\d{5}: ", str(caught.value)), "it has ended at once"


def test_rows_without_a_price_have_an_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.feeds.files.checked.EMPTY_MAX", 100)
    rows = [f"{T + number},{'' if number % 100 else 5}" for number in range(1000)]
    read(file, "\n".join(["time,price", *rows]))
    rows = [f"{T + number},{'' if number % 200 else 5}" for number in range(1000)]
    with pytest.raises(BadRow, match="line 103, column price: it and 100 rows above it have no price"):
        read(file, "\n".join(["time,price", *rows]))
