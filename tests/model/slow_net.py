"""What a trade of a net position does, by trying."""

from tests.model.slow_model import SlowVenue


def net_parts(venue: SlowVenue, user: str, ticker: str, sign: int, size: int) -> list[tuple[str | None, int]]:
    """Which positions are closed by how many lots, unsigned, in order; and last what is opened (None), if anything is.

    The most lots whose cost is at most ``size`` micros: first those of the other side, oldest first.
    """
    market = venue.markets[ticker]

    def fits(lots: int) -> bool:
        is_on_the_curve = market.skew + sign * lots >= -market.rules.skew_scale
        return is_on_the_curve and abs(market.cost(sign * lots)) <= size

    lots, step = 0, 1
    while fits(lots + step):
        lots, step = lots + step, 2 * step
    while step := step // 2:
        lots += step * fits(lots + step)
    own = [
        (int(name.rpartition("-")[2]), name, abs(each.lots))
        for name, each in venue.positions.items()
        if each.user == user and each.ticker == ticker and each.lots * sign < 0
    ]
    parts: list[tuple[str | None, int]] = []
    for _, name, held in sorted(own):
        if lots:
            parts.append((name, min(lots, held)))
            lots -= min(lots, held)
    return [*parts, (None, lots)] if lots else parts
