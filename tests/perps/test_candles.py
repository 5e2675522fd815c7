"""The candles that rows end, against every event in order."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from perps.candles import CandleMaker
from perps.query_rows import CandleRecord
from tests.support.candles import HOUR, MINUTE, restless, slow_candles, slow_records

ENTRIES = restless(400, seed=1).entries


def test_a_market_that_moves_every_minute_to_every_week_ends_candles_of_both_lengths() -> None:
    """Otherwise little is shown here."""
    records = slow_records(ENTRIES)
    assert {record.width for record in records} == {MINUTE, HOUR}
    assert len(records) > 200
    assert max(record.count for record in records) > 1


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 60))
@settings(max_examples=50)
def test_they_are_what_every_event_in_order_makes(seed: int, rows: int) -> None:
    entries = restless(rows, seed).entries

    made = CandleMaker(from_first=True).take(entries)

    assert [CandleRecord(*record) for record in made] == slow_records(entries)


@given(cuts=st.sets(st.integers(0, len(ENTRIES)), max_size=12), data=st.data())
@settings(max_examples=50)
def test_whoever_begins_anywhere_with_the_minutes_of_the_open_hour_goes_on_as_if_nothing_had_been(
    cuts: set[int], data: st.DataObject
) -> None:
    maker, made = CandleMaker(), []
    edges = [0, *sorted(cuts), len(ENTRIES)]
    for start, end in pairwise(edges):
        batch = ENTRIES[start:end]
        if data.draw(st.booleans(), "begins anew"):
            maker.forget()
        for stream in maker.unknown(batch):
            minutes = slow_candles(ENTRIES[:start], stream, MINUTE)
            hour = minutes[-1].start // HOUR * HOUR if minutes else 0
            maker.begin(stream, [minute for minute in minutes if minute.start >= hour])
        made += maker.take(batch)

    assert [CandleRecord(*record) for record in made] == slow_records(ENTRIES)


def test_a_row_without_a_price_ends_no_candle() -> None:
    scribe = restless(10, seed=2)
    scribe.now = type(scribe.now)(scribe.now + 100 * HOUR)
    maker = CandleMaker(from_first=True)
    maker.take(scribe.entries)

    assert maker.take([scribe.deposit("ann", 1)]) == []
    assert [record[3] for record in maker.take(scribe.price(5_000_000))] == [MINUTE, HOUR]
