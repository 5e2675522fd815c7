"""``perps trade twap``: previewed, placed, shown and cancelled, and what it says of a mistake."""

import pytest

from tests.tools.trade.test_trade import Captured, table, trade, venue
from tests.web.venue import Running

__all__ = ["venue"]

SLICED = ("twap", "BTC-PERP", "long", "1000", "--leverage", "10", "--slices", "4", "--every", "60")


async def test_a_twap_is_previewed_placed_shown_and_cancelled(venue: Running, capsys: Captured) -> None:
    assert await trade(venue, *SLICED, "--dry-run") == 0
    [told] = table(capsys.readouterr().out)
    assert (told["reserve"], told["expected"]) == ("101.000008", "filled")
    assert await trade(venue, "orders") == 0
    assert table(capsys.readouterr().out) == [], "a preview places nothing"

    assert await trade(venue, *SLICED) == 0
    [placed] = table(capsys.readouterr().out)
    assert (placed["order"], placed["done"], placed["slices"]) == ("BTC-PERP-o1", "1", "4")
    assert placed["position"] == "BTC-PERP-1"
    assert await trade(venue, "orders") == 0
    [shown] = table(capsys.readouterr().out)
    assert (shown["filled"], shown["next"]) == (placed["filled"], placed["next"])
    assert await trade(venue, "cancel", "BTC-PERP-o1") == 0
    assert table(capsys.readouterr().out)[0]["reason"] == "owner"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((*SLICED, "--slices", "1"), 2, "from 2 to 100"),
        ((*SLICED, "--every", "0"), 2, "from 1 to 86400"),
        (("twap", "BTC-PERP", "long", "1000"), 2, "missing option"),
        (("twap", "BTC-PERP", "long", "30", "--slices", "4", "--every", "60"), 1, "position_size_too_small"),
        ((*SLICED, "--expires-at", "2020-01-01"), 1, "later than the last slice"),
    ],
)
async def test_what_cannot_be_is_told(
    venue: Running, capsys: Captured, arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert await trade(venue, *arguments) == code
    assert said in capsys.readouterr().err.lower()
