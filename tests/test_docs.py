"""What the outside can see is written down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp import web

from perps.refusals import RejectCode
from tools.serve import serve
from web import routes_admin, routes_markets, routes_operations, routes_trading, routes_users
from web.errors import STATUS
from web.market_requests import MarketBody

ROOT = Path(__file__).parent.parent
API = (ROOT / "docs" / "api.md").read_text()
README = (ROOT / "README.md").read_text()
MODULES = (routes_admin, routes_markets, routes_operations, routes_trading, routes_users)
ROUTES = [route for module in MODULES for route in module.routes if isinstance(route, web.RouteDef)]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_documented(route: web.RouteDef) -> None:
    path = re.sub(r"\{(\w+)\}", lambda match: "{" + _camel(match[1]) + "}", route.path)
    assert f"`{route.method} {path}" in API


@pytest.mark.parametrize("code", STATUS)
def test_every_code_is_documented(code: str) -> None:
    assert f"`{code}`" in API


def test_every_refusal_has_a_status() -> None:
    assert {str(code) for code in RejectCode} <= STATUS.keys()


@pytest.mark.parametrize("field", MarketBody.__struct_encode_fields__)
def test_every_market_parameter_is_documented(field: str) -> None:
    assert re.search(rf"\b{field}\b", API)


@pytest.mark.parametrize("option", ["--host", "--port", "--data-dir", "--database-url", "--demo/--no-demo", "--config"])
def test_every_important_option_is_in_the_readme(option: str) -> None:
    known = {name for parameter in serve.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert set(option.split("/")) <= known
    assert option in README


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
