"""From a method and a path to a route: every operation of the contract has one, and nothing else does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from perps.wire.contract.operations import OPERATIONS
from perps.wire.operation import EVENTS, UPGRADE
from web.answers.errors import RequestError, method_not_allowed
from web.api.call import Route

_Methods = dict[str, Route]


class Routes:
    """All routes. Raises ``TypeError`` when an operation has no handler, or a handler no operation."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: Final = dict[str, _Methods]()
        self._patterns: Final = dict[int, list[tuple[list[str], _Methods]]]()
        known = Counter(operation.name for operation in OPERATIONS)
        for route in routes:
            known[route.operation.name] -= 1
            self._add(route)
        wrong = sorted(name for name, missing in known.items() if missing)
        if wrong:
            raise TypeError(f"operations without a handler, or with two: {wrong}")

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """The route, and the values in its path by name. Raises ``not_found`` or ``method_not_allowed``."""
        methods, places = self._exact.get(raw_path), dict[str, str]()
        if methods is None:
            methods, places = self._matched(raw_path)
        route = methods.get(method)
        if route is None:
            raise method_not_allowed(methods)
        return route, places

    def _add(self, route: Route) -> None:
        path = route.operation.path
        if "{" not in path:
            self._exact.setdefault(path, {}).update(_by_method(route))
            return
        parts = path.split("/")
        patterns = self._patterns.setdefault(len(parts), [])
        for known, methods in patterns:
            if known == parts:
                methods.update(_by_method(route))
                return
        patterns.append((parts, _by_method(route)))

    def _matched(self, raw_path: str) -> tuple[_Methods, dict[str, str]]:
        parts = raw_path.split("/")
        for pattern, methods in self._patterns.get(len(parts), ()):
            places = dict[str, str]()
            for wanted, part in zip(pattern, parts, strict=True):
                if wanted == part and part[:1] != "{":
                    continue
                if wanted[:1] != "{" or not part:
                    break
                places[wanted[1:-1]] = unquote(part)
            else:
                return methods, places
        raise RequestError("not_found", "There is no such path. GET / lists all paths.")


def _by_method(route: Route) -> _Methods:
    """The methods that a route answers: of what can be got, also the head alone; a stream has no end to give it."""
    method, answer = route.operation.method, route.operation.answers[route.operation.status]
    methods: _Methods = {method: route}
    if method == "GET" and answer not in (EVENTS, UPGRADE):
        methods["HEAD"] = route
    return methods
