"""Files in the shapes of real exports: each plays with the right prices and times, or one line says why not."""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import pytest

from tests.tools.feeds.files.support import SAMPLES, START_MS, file_of
from tools.feeds.files import BadFile

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
FX_MS = 1_704_150_000_000


@dataclass(frozen=True)
class Plays:
    """What a file has: the times of its first and last row in ms since 1970, its first and last price."""

    rows: int
    first: tuple[int, str]
    last: tuple[int, str]
    per_row: int = 4
    skipped: dict[str, int] = field(default_factory=dict)
    told: dict[str, object] = field(default_factory=dict)


BINANCE = Plays(5, (START_MS, "42283.58000000"), (START_MS + 4 * MINUTE, "42328.58000000"))
TWO = Plays(2, (START_MS, "42283"), (START_MS + MINUTE, "42550"))
ONE = Plays(1, (START_MS, "42283.1"), (START_MS, "42488.4"))
SKIPS_ONE = Plays(2, (START_MS, "42283"), (START_MS + 2 * MINUTE, "42550"), skipped={"empty": 1})
NEW_YEAR_MS = START_MS + 366 * DAY
AGGREGATES = ("42283.58000000", "42283.59000000")

PLAYS = {
    "ampm": Plays(1, (START_MS, "42283"), (START_MS, "42488")),
    "binance_aggtrades_spot": Plays(2, (START_MS + 17, AGGREGATES[0]), (START_MS + 99, AGGREGATES[1]), per_row=1),
    "binance_aggtrades_um_hdr": Plays(2, (START_MS + 17, "42283.5"), (START_MS + 99, "42283.6"), per_row=1),
    "binance_cat_headers": Plays(
        10, (START_MS, "42283.58000000"), (START_MS + 9 * MINUTE, "42328.58000000"), skipped={"headers": 1}
    ),
    "binance_ms_then_us": Plays(
        10, (NEW_YEAR_MS - 5 * MINUTE, "42283.58000000"), (NEW_YEAR_MS + 4 * MINUTE, "42328.58000000")
    ),
    "binance_pythonclient": BINANCE,
    "binance_spot_ms_nohdr": BINANCE,
    "binance_trades_spot": Plays(2, (START_MS + 17, AGGREGATES[0]), (START_MS + 99, AGGREGATES[1]), per_row=1),
    "binance_um_ms_hdr": BINANCE,
    "bom_crlf": TWO,
    "cdd": Plays(2, (START_MS, "42283"), (START_MS + HOUR, "42550")),
    "comment": Plays(1, (START_MS, "42283"), (START_MS, "42488")),
    "dukascopy": Plays(2, (FX_MS - HOUR, "1.10430"), (FX_MS - HOUR + MINUTE, "1.10438")),
    "dukascopy_ticks": Plays(2, (FX_MS + 123, "1.10435"), (FX_MS + 456, "1.10436"), per_row=1),
    "dups": Plays(2, (START_MS, "42283"), (START_MS + MINUTE, "42551"), skipped={"repeated": 1, "replaced": 1}),
    "excel_date": Plays(1, (START_MS, "42283"), (START_MS, "42283"), per_row=1),
    "finam_1m": Plays(3, (START_MS + 2 * DAY + 658 * MINUTE, "274.6"), (START_MS + 2 * DAY + 660 * MINUTE, "274.8")),
    "gap": Plays(3, (START_MS, "42283"), (START_MS + 121 * MINUTE, "42550")),
    "histdata": Plays(2, (START_MS + 17 * HOUR, "1.104270"), (START_MS + 17 * HOUR + MINUTE, "1.104340")),
    "kaiko_empty": SKIPS_ONE,
    "kraken_ohlcvt": Plays(3, (START_MS, "42283.0"), (START_MS + 4 * MINUTE, "42480.0")),
    "kraken_trades": Plays(3, (START_MS, "42283.0"), (START_MS + 1000, "42283.0"), per_row=1),
    "latin1": TWO,
    "metatrader": Plays(1, (START_MS + DAY, "1.10430"), (START_MS + DAY, "1.10430")),
    "metatrader4": Plays(2, (START_MS + DAY, "1.10430"), (START_MS + DAY + MINUTE, "1.10438")),
    "nan": SKIPS_ONE,
    "pandas_index": TWO,
    "pandas_sci": TWO,
    "semicolon": ONE,
    "semicolon_decimalcomma": ONE,
    "shib": Plays(2, (START_MS, "0.00001033"), (START_MS + MINUTE, "0.00001042")),
    "tab": ONE,
    "tradingview": Plays(2, (START_MS, "42283"), (START_MS + HOUR, "42550")),
    "investing": Plays(2, (START_MS, "42280.2"), (START_MS + DAY, "44957.9"), told={"date_format": "%m/%d/%Y"}),
    "dst_naive": Plays(
        4,
        (1_730_613_480_000, "1"),
        (1_730_613_480_000 + 3 * MINUTE, "2"),
        told={"zone": ZoneInfo("America/New_York")},
    ),
    "mixed_symbols": Plays(
        2, (START_MS, "2283"), (START_MS + MINUTE, "2300"), skipped={"others": 2}, told={"symbol": "ETHUSDT"}
    ),
    "gresearch": Plays(
        1,
        (1_514_764_860_000, "13835.194"),
        (1_514_764_860_000, "13850.176"),
        skipped={"others": 2},
        told={"symbol": "1"},
    ),
}

REFUSED = {
    "dst_naive": "line 4, column time: 2024-11-03 01:00:00 is 59 min before the row above; if these are local times, "
    "name their zone, as in --timezone America/New_York; else sort the file by time",
    "investing": "line 2, column Date: '01/02/2024' may have the day or the month first, and no row decides; say which "
    "with --date-format %d/%m/%Y or %m/%d/%Y",
    "mixed_symbols": "line 3, column symbol: the file has several instruments: BTCUSDT, ETHUSDT; "
    "play one of them with --symbol",
    "gresearch": "line 3, column Asset_ID: the file has several instruments: 2, 0; play one of them with --symbol",
    "halfspike": "line 2, column high: open and close must be between low and high; "
    "open 42283, high 42200, low 42261, close 42488",
    "neg": "line 3, column price: a price must be a number above 0, such as 12.5; it is '-37.63'",
    "partial_last": "line 3: it has 3 columns and needs 5; is it cut off?",
    "float_noise": "line 3, column price: '0.1000000000000000055511151231257827021181583404541015625' has 55 decimals, "
    "at most 30 fit: round the prices",
}


def test_every_sample_is_tried() -> None:
    assert {path.stem for path in SAMPLES.iterdir()} == PLAYS.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", PLAYS)
def test_a_sample_plays_with_its_prices_and_times(name: str) -> None:
    expected = PLAYS[name]
    file = file_of(SAMPLES / f"{name}.csv", **expected.told)

    found, ticks = file.read_through(), list(file.ticks())

    assert found.first is not None
    assert found.last is not None
    assert (found.first.at_ms, f"{found.first.price:f}") == expected.first
    assert (found.last.at_ms, f"{found.last.price:f}") == expected.last
    assert (found.rows, len(ticks)) == (expected.rows, expected.rows * expected.per_row)
    assert (ticks[0].price, ticks[-1].price) == (found.first.price, found.last.price)
    counts = {name: getattr(found.counts, name) for name in ("empty", "repeated", "replaced", "headers", "others")}
    assert {name: count for name, count in counts.items() if count} == expected.skipped


@pytest.mark.parametrize("name", REFUSED)
def test_a_sample_is_refused_in_one_line(name: str) -> None:
    path = SAMPLES / f"{name}.csv"
    with pytest.raises(BadFile) as caught:
        file_of(path).read_through()
    assert str(caught.value) == f"{path} {REFUSED[name]}"
