"""Times as text: RFC 3339, whatever the year."""

import pytest

from web.answers.times import rfc3339


@pytest.mark.parametrize(
    ("at_ms", "shown"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_368_898_422, "2026-11-22T17:34:58.422Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_year_has_four_digits(at_ms: int, shown: str) -> None:
    assert rfc3339(at_ms) == shown
