"""A price file for the time of a test."""

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.feeds.files import PriceFile, Reading, Tick, Window

NOW_MS = 1_788_000_000_000
START_S = 1_704_067_200
START_MS = START_S * 1000
SAMPLES = Path(__file__).parents[3] / "data" / "price_files"


def file_of(path: Path, **told: Any) -> PriceFile:
    """A file as of a fixed time."""
    return PriceFile(path, Reading(**told), NOW_MS)


def read(path: Path, text: str | bytes, window: Window | None = None, **told: Any) -> list[Tick]:
    """The ticks of a file with this text; checking it first finds the same."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    file = file_of(path, **told)
    ticks = list(file.ticks(window))
    understood = file.read_through(window)
    assert understood.prices == len(ticks)
    assert (understood.first, understood.last) == (ticks[0], replace(ticks[-1], at_ms=understood.last.at_ms))  # type: ignore[union-attr]
    return ticks


def prices(ticks: list[Tick]) -> list[str]:
    """As text."""
    return [f"{tick.price:f}" for tick in ticks]


def times(ticks: list[Tick]) -> list[int]:
    """In ms after the first of 2024."""
    return [tick.at_ms - START_MS for tick in ticks]


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Bytes on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
