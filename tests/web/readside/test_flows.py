"""Flows: live, after a start from a snapshot, and counted anew from all trades, they are the same."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import web.readside.flows as flows
from perps.candles import MINUTE_MS
from perps.effects import Traded, TradeKind
from perps.units import PPB
from tests.persistence.wild_days import a_wild_day
from tests.support.snapshots import snapshot_of
from tools.audit.views import first_difference
from web.readside.flows import MINUTES_KEPT, WINDOWS, Flow, FlowsImage, MarketFlows
from web.readside.image import views_of
from web.readside.loading import load_views
from web.readside.model import ReadModel

START: Final = 1_767_225_600_000
POOL: Final[list[Traded]] = [
    effect
    for seed in range(3)
    for entry in a_wild_day(seed)
    for effects in entry.effects
    for effect in effects
    if isinstance(effect, Traded)
]
"""Trades of all kinds, of five users."""


class Happened(NamedTuple):
    """A row of the market, and its trades."""

    offset: int
    at: int
    trades: list[Traded]


def recounted(rows: Sequence[Happened], now_ms: int, minutes: int) -> dict[str, object]:
    """What a window has, from all trades, in the plainest way."""
    start = now_ms // MINUTE_MS * MINUTE_MS - (minutes - 1) * MINUTE_MS
    inside = [trade for row in rows if row.at >= start for trade in row.trades]
    bought = sum(trade.fill.cost for trade in inside if trade.fill.lots > 0)
    sold = sum(-trade.fill.cost for trade in inside if trade.fill.lots < 0)
    kinds = [trade.kind for trade in inside]
    return {
        "start": start,
        "bought": bought,
        "sold": sold,
        "opens": kinds.count(TradeKind.OPEN),
        "closes": kinds.count(TradeKind.CLOSE) + kinds.count(TradeKind.SETTLEMENT),
        "liquidations": kinds.count(TradeKind.LIQUIDATION),
        "liquidated": sum(abs(trade.fill.cost) for trade in inside if trade.kind is TradeKind.LIQUIDATION),
        "traders": len({trade.position.user for trade in inside}),
    }


def shown(flow: Flow | None) -> dict[str, object]:
    assert flow is not None
    return {name: getattr(flow, name) for name in Flow.__slots__}


def follow(market: MarketFlows, rows: Sequence[Happened]) -> None:
    for row in rows:
        market.row(row.offset, row.at)
        for trade in row.trades:
            market.trade(row.at, trade)


def restarted(market: MarketFlows) -> MarketFlows:
    """As a start from a snapshot finds it."""
    stored = msgspec.msgpack.encode(market.image())
    return MarketFlows.from_image(msgspec.msgpack.decode(stored, type=FlowsImage))


GAPS: Final = st.one_of(st.integers(0, 90_000), st.sampled_from([MINUTE_MS, 3_600_000, 23 * 3_600_000, 25 * 3_600_000]))
ROWS: Final = st.lists(st.tuples(GAPS, st.lists(st.integers(0, len(POOL) - 1), max_size=4)), max_size=40)


def timed(drawn: Sequence[tuple[int, list[int]]]) -> list[Happened]:
    times = itertools.accumulate((gap for gap, _ in drawn), initial=START)
    next(times)
    return [
        Happened(offset, at, [POOL[n] for n in chosen])
        for offset, (at, (_, chosen)) in enumerate(zip(times, drawn, strict=True), start=1)
    ]


@given(ROWS, st.integers(0, 40), GAPS)
def test_live_after_a_restart_and_counted_anew_they_are_the_same(
    drawn: list[tuple[int, list[int]]], cut: int, later: int
) -> None:
    rows = timed(drawn)
    live, again = MarketFlows(), MarketFlows()
    for at, row in enumerate(rows, start=1):
        follow(live, [row])
        for minutes in WINDOWS.values():
            assert shown(live.window(row.at, minutes)) == recounted(rows[:at], row.at, minutes)
    follow(again, rows[:cut])
    again = restarted(again)
    follow(again, rows[cut:])

    now_ms = (rows[-1].at if rows else START) + later
    assert again.image() == live.image()
    for minutes in WINDOWS.values():
        assert shown(live.window(now_ms, minutes)) == recounted(rows, now_ms, minutes)
        assert shown(again.window(now_ms, minutes)) == recounted(rows, now_ms, minutes)


@given(ROWS)
def test_each_minute_with_trades_is_told_once_by_the_next_row_after_it(drawn: list[tuple[int, list[int]]]) -> None:
    rows = timed(drawn)
    market, told = MarketFlows(), list[dict[str, object]]()
    for at, row in enumerate(rows):
        follow(market, [row])
        ended = market.ended_by(row.offset)
        if ended is not None:
            told.append(shown(ended))
            assert told[-1] == recounted(rows[:at], ended.start, 1)
    last = rows[-1].at // MINUTE_MS if rows else 0
    busy = {row.at // MINUTE_MS for row in rows if row.trades} - {last}
    assert [each["start"] for each in told] == [minute * MINUTE_MS for minute in sorted(busy)]


@pytest.mark.parametrize("cut", [3, 40, 150, 299])
@pytest.mark.parametrize("seed", range(3))
def test_a_read_model_has_the_same_flows_after_a_start_from_a_snapshot(seed: int, cut: int) -> None:
    entries = a_wild_day(seed)
    live, again = ReadModel(), ReadModel()
    for entry in entries:
        live.apply(entry)
    snapshot = snapshot_of(entries[:cut])
    load_views(again, snapshot, snapshot.state())
    for entry in entries[cut:]:
        again.apply(entry)
    assert any(view.flows.image().minutes for view in live.markets.values())
    assert views_of(again) == views_of(live)


def test_a_market_keeps_a_day_of_minutes_and_no_trader_longer() -> None:
    rows = [Happened(n, START + n * MINUTE_MS, [POOL[n % len(POOL)]]) for n in range(2 * MINUTES_KEPT)]
    market = MarketFlows()
    follow(market, rows)
    image = market.image()
    assert len(image.minutes) == MINUTES_KEPT
    market.row(9_999, rows[-1].at + 2 * 86_400_000)
    assert market.image().traders == []
    assert len(market._by_end) == len(market.image().minutes) == 1


def test_who_traded_longest_ago_is_forgotten_where_traders_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "TRADERS_KEPT", 2)
    by_user = {trade.position.user: trade for trade in POOL}
    market = MarketFlows()
    follow(market, [Happened(n, START + n, [trade]) for n, trade in enumerate(by_user.values())])
    assert len(by_user) > 2
    assert market.window(START, 60).traders == 2
    assert sum(minute[8] for minute in market.image().minutes) == len(market.image().traders) == 2


def test_whoever_is_forgotten_in_the_present_minute_is_not_taken_from_those_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flows, "TRADERS_KEPT", 2)
    first, *others = {trade.position.user: trade for trade in POOL}.values()
    market = MarketFlows()
    follow(market, [Happened(1, START, [first]), Happened(2, START + MINUTE_MS, [others[0]])])
    for number, trade in enumerate(others):
        follow(market, [Happened(3 + number, START + MINUTE_MS, [trade])])
        assert market.window(START + MINUTE_MS, 60).traders == 2


@pytest.mark.parametrize(
    ("bought", "sold", "sentiment"),
    [(0, 0, 0), (5, 0, PPB), (0, 5, -PPB), (2, 1, PPB // 3), (1, 2, -(PPB // 3)), (7, 7, 0)],
)
def test_sentiment_is_rounded_toward_0_on_either_side(bought: int, sold: int, sentiment: int) -> None:
    flow = Flow(0)
    flow.bought, flow.sold = bought, sold
    assert flow.sentiment == sentiment


def test_verify_finds_a_wrong_flow_and_leaves_out_those_of_an_older_snapshot() -> None:
    model = ReadModel()
    for entry in a_wild_day(1):
        model.apply(entry)
    right = views_of(model)
    ticker, image = next((ticker, image) for ticker, image in right.markets.items() if image.flows)
    assert image.flows is not None
    without = replace(right, markets={**right.markets, ticker: image._replace(flows=None)})
    partly = replace(right, markets={**right.markets, ticker: image._replace(flows=FlowsImage([], [], False))})
    wrong = replace(right, markets={**right.markets, ticker: image._replace(flows=FlowsImage([], []))})
    assert first_difference(right, right) is None
    assert first_difference(without, right) is None
    assert first_difference(partly, right) is None
    assert f"market {ticker}: flows is" in (first_difference(wrong, right) or "")
    begun = MarketFlows.from_image(None)
    assert not begun.image().is_whole, "and so are those of all snapshots after it"
