"""Times of every spelling."""

import pytest

from tools.times import parse_time_ms, rfc3339


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("0", 0),
        ("1498906800", 1_498_906_800_000),
        ("1498906800.5", 1_498_906_800_500),
        ("1498906800000", 1_498_906_800_000),
        ("1498906800000000", 1_498_906_800_000),
        ("1498906800000000000", 1_498_906_800_000),
        ("2017-07-01T11:00:00Z", 1_498_906_800_000),
        ("2017-07-01T11:00:00", 1_498_906_800_000),
        ("2017-07-01 11:00:00.250", 1_498_906_800_250),
        ("2017-07-01T13:00:00+02:00", 1_498_906_800_000),
        ("2017-07-01", 1_498_867_200_000),
        (" 1498906800000 ", 1_498_906_800_000),
    ],
)
def test_a_time_is_read_whatever_its_unit(text: str, at_ms: int) -> None:
    assert parse_time_ms(text) == at_ms


@pytest.mark.parametrize("text", ["", "noon", "1e9", "2017-13-01", "nan"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_time_ms(text)


def test_a_time_is_told_in_utc_with_milliseconds() -> None:
    assert rfc3339(1_498_906_800_007) == "2017-07-01T11:00:00.007Z"


def test_a_time_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        rfc3339(10**18)
