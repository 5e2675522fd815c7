"""Recorded prices, in the files that exchanges, charting programs and data sellers give.

    file = PriceFile(Path("prices.csv"), Reading(), now_ms)
    file.read_through(tick_size=…)      every row is checked, and it says what was understood
    for tick in file.ticks(): …         a price, its time, its line

Reading order: ``reading`` (what is asked), ``source`` (bytes to lines), ``text`` and ``parquet`` (to rows), ``names``,
``columns`` and ``layout`` (what is where), ``times`` and ``numbers`` (what is in a cell), ``checked`` (rows that can be
true), ``reader`` (the entry).
"""

from tools.feeds.files.problems import BadFile, BadRow
from tools.feeds.files.reader import PriceFile, Tick, Understood, Window
from tools.feeds.files.reading import Format, Reading

__all__ = ["BadFile", "BadRow", "Format", "PriceFile", "Reading", "Tick", "Understood", "Window"]
