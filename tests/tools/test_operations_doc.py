"""What an operator may type is in docs/operations.md."""

from pathlib import Path

import pytest
import rich_click as click

from tools.archive.archive import archive
from tools.archive.restore import restore
from tools.snapshot import snapshot

DOCS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
GENERAL = {"--config", "--help", "--json", "--key"}
OPTIONS = [
    (command.name, option)
    for command in (snapshot, archive, restore)
    for parameter in command.params
    if isinstance(parameter, click.Option) and not parameter.hidden
    for option in parameter.opts
    if option not in GENERAL
]


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_every_option_is_documented(command: str, option: str) -> None:
    assert f"perps {command}" in DOCS
    assert f"`{option}`" in DOCS
