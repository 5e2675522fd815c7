"""The board and the alert rules ask for metrics and labels that a running venue has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.web.venue import OnMemory, start
from tools.monitor.checks import read_thresholds
from web.metrics import Metrics

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "examples" / "monitoring"
BOARD: dict[str, Any] = json.loads((FOLDER / "grafana-board.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
OF_PROMETHEUS = {"up": {"job"}}
"""Metrics that Prometheus makes itself, and their labels."""


def expressions() -> Iterator[str]:
    """Every expression, with a real time in place of Grafana's own word for one."""
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"].replace("$__rate_interval", "1m")
    for rule in RULES:
        yield rule["expr"]


def selectors(node: Any) -> Iterator[Any]:
    """The vector selectors in an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        below = getattr(node, name, None)
        if below is not None and not isinstance(below, str | float):
            yield from selectors(below)
    for argument in getattr(node, "args", None) or []:
        yield from selectors(argument)


def groupings(node: Any) -> Iterator[tuple[Any, list[str]]]:
    """What is summed up, and by which labels."""
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        yield node, list(node.modifier.labels)
    for name in ("expr", "lhs", "rhs"):
        below = getattr(node, name, None)
        if below is not None:
            yield from groupings(below)
    for argument in getattr(node, "args", None) or []:
        yield from groupings(argument)


async def live() -> dict[str, set[str]]:
    """The series of a running venue that has opened, refused, liquidated and taken a snapshot, and their labels."""
    async with aiohttp.ClientSession() as session:
        venue = await start(OnMemory(), session)
        await venue.market(price="10000")
        ann = await venue.user("ann", "1000")
        await ann.opened(leverage=50)
        (await ann.open(size="100000", leverage=1)).refused(422, "insufficient_funds")
        assert (await venue.price("5000"))["liquidations"] == 1
        (await venue.admin.post("/api/admin/snapshots")).ok(201)
        text = (await venue.anybody.get("/metrics")).body.decode()
        await venue.venue.close()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = set()
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


UNSEEN = {"perps_deaths_total": "deaths", "perps_stuck_total": "stuck", "perps_stuck_seconds": "stuck_seconds"}
"""What happens in no test of a healthy venue, and where its labels are."""


async def series() -> dict[str, set[str]]:
    """As ``live``, with the labels of what has not happened."""
    found, metrics = await live(), Metrics()
    for name, attribute in UNSEEN.items():
        assert name in found
        found[name] |= set(getattr(metrics, attribute)._labelnames)
    return found | OF_PROMETHEUS


async def test_every_expression_asks_for_metrics_and_labels_that_are_there() -> None:
    there = await series()
    for text in expressions():
        tree = promql_parser.parse(text)
        asked = list(selectors(tree))
        assert {selector.name for selector in asked} == set(re.findall(r"\bperps_\w+|\bup\b", text)), text
        for selector in asked:
            assert selector.name in there, f"{text}: there is no metric {selector.name}"
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= there[selector.name], f"{text}: {selector.name} has no label {labels}"
        for node, kept in groupings(tree):
            for selector in selectors(node):
                assert set(kept) <= there[selector.name], f"{text}: {selector.name} has not all of {kept}"


async def test_every_metric_is_on_the_board_and_in_the_docs() -> None:
    shown = " ".join(expressions())
    for name in await live():
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert base in shown, base
        assert f"`{base}`" in PAGE, base


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_is_wrong_and_asks_only_for_labels_that_its_expression_keeps(
    rule: dict[str, Any],
) -> None:
    summary = rule["annotations"]["summary"]
    assert summary.endswith((".", "?"))
    used = set(re.findall(r"\$labels\.(\w+)", summary))
    tree = promql_parser.parse(rule["expr"])
    kept = [set(labels) for _, labels in groupings(tree)]
    assert all(used <= labels for labels in kept), summary
    assert f"`{rule['alert']}`" in PAGE


def test_legends_of_the_board_name_labels_that_its_expressions_keep() -> None:
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            used = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            tree = promql_parser.parse(target["expr"].replace("$__rate_interval", "1m"))
            for _, labels in groupings(tree):
                assert not labels or used <= set(labels), target


def test_the_thresholds_in_the_example_are_known() -> None:
    assert read_thresholds(FOLDER / "thresholds.toml").venue
