"""``docs/faults.md`` names every fault that is thrown, and every test it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.faults.table import PAGE, ROOT, SECTIONS, Row, rows
from tests.support.faults import INVARIANTS

TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)")


@cache
def page() -> str:
    """The page."""
    return PAGE.read_text()


@cache
def functions(path: str) -> dict[str, ast.AST]:
    """The functions of a module."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("path", "name"), sorted(set(TEST.findall(PAGE.read_text()))))
def test_every_test_that_the_page_names_is_there(path: str, name: str) -> None:
    assert name in functions(path)


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.test.rpartition('::')[2]}-{row.fault}")
def test_every_fault_that_is_thrown_is_on_the_page(row: Row) -> None:
    assert str(row) in page(), "python -m tests.faults.table writes it there"


def test_every_invariant_is_checked_under_some_fault() -> None:
    assert {name for row in rows() for name in row.invariants} == set(INVARIANTS)
    assert all(re.search(rf"^\| {name} \|", page(), re.MULTILINE) for name in INVARIANTS)


def test_every_test_of_these_modules_says_what_it_throws() -> None:
    told = {row.test for row in rows()}
    paths = [path for paths in SECTIONS.values() for path in paths]
    tests = {f"{path}::{name}" for path in paths for name in functions(path) if name.startswith("test_")}
    assert tests <= told
