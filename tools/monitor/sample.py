"""One look at a venue: its markets, its stats and its metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from perps.client import Venue
from perps.wire.markets import Market
from perps.wire.venue import Stats
from tools.errors import BadAnswer

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """The venue's metrics by name and labels."""

    def __init__(self, text: str) -> None:
        self._values: dict[str, dict[Labels, float]] = {}
        try:
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    labels = tuple(sorted(sample.labels.items()))
                    self._values.setdefault(sample.name, {})[labels] = float(sample.value)
        except ValueError as error:
            raise BadAnswer(f"the venue's metrics cannot be read: {error}") from None

    def one(self, name: str) -> float:
        """A value without labels; 0 if the venue has none."""
        return self._values.get(name, {}).get((), 0.0)

    def by(self, name: str, label: str) -> Mapping[str, float]:
        """Values by one label."""
        return {dict(labels)[label]: value for labels, value in self._values.get(name, {}).items()}

    def buckets(self, name: str, labels: Mapping[str, str]) -> Iterator[tuple[float, float]]:
        """A histogram: each bound, and how many were at most that. In order."""
        found = []
        for key, value in self._values.get(f"{name}_bucket", {}).items():
            given = dict(key)
            bound = given.pop("le")
            if given == dict(labels):
                found.append((float(bound), value))
        yield from sorted(found)


@dataclass(frozen=True)
class Sample:
    """What the venue answered. ``at_s``: this machine's monotonic clock."""

    at_s: float
    markets: list[Market]
    stats: Stats
    metrics: Metrics


async def take(venue: Venue) -> Sample:
    """Look once. Errors: VenueError, BadAnswer."""
    stats = await venue.get_stats()
    markets = (await venue.list_markets()).markets
    return Sample(time.monotonic(), markets, stats, Metrics(await venue.get_metrics()))
