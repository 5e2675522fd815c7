"""The commands that read a database are documented, option by option."""

import re
from pathlib import Path

import pytest
import rich_click as click

from perps.commands import KINDS
from tools.audit.journal import journal
from tools.audit.reconcile import reconcile
from tools.audit.verify import verify

DOCS = (Path(__file__).parents[3] / "docs" / "tools.md").read_text(encoding="utf-8")
GENERAL = {"--config", "--help"}
OPTIONS = [
    (command.name, option)
    for command in (verify, journal, reconcile)
    for parameter in command.params
    if isinstance(parameter, click.Option)
    for option in parameter.opts
    if option not in GENERAL
]


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_every_option_is_documented(command: str, option: str) -> None:
    assert f"## perps {command}" in DOCS
    assert option in DOCS


def test_the_kinds_of_rows_are_those_of_the_commands() -> None:
    (listed,) = re.findall(r"^\| `--kind` \| rows of one kind: (.*) \|$", DOCS, re.MULTILINE)
    assert listed == " ".join(f"`{kind}`" for kind in KINDS), "docs/tools.md lists KINDS of perps/commands.py, in order"
