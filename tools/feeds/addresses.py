"""Where live prices are: an address, and a path into its JSON answer."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from jsonpath import CompoundJSONPath, JSONPath


def checked_url(text: str) -> str:
    """An address as it is. Errors: ValueError if it is none of HTTP."""
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError(f"{text!r} is not a URL that begins with http:// or https://")
    return text


def json_path(text: str) -> JSONPath | CompoundJSONPath:
    """A path such as ``$.data[0].price`` (RFC 9535). Errors: ValueError."""
    import jsonpath

    try:
        return jsonpath.compile(text)
    except jsonpath.JSONPathError as error:
        problem = str(error).splitlines()[0]
        raise ValueError(f"{text!r} is not a JSONPath, such as $.data.price ({problem})") from None
