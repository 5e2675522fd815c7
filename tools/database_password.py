"""Whom the caller's own database password is sent to: never to a server that only a file lying about has named.

The driver finds a password as libpq does: in ``PGPASSWORD``, in the file of ``PGPASSFILE`` or ``~/.pgpass``, or in the
service or the file that the URL names. Whatever server the URL leads to gets it, in clear if that server asks so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from tools.venue_address import is_this_machine

PASSWORD_FILE: Final = ".pgpass"
"""In the home directory."""


def found_password(url: str) -> str | None:
    """Where a database URL without a password gets one, in words for an error message. None: it has one, or nobody has.

    That the file of passwords has one for this very server is not looked at: whether it does is for the driver to say.
    """
    asked = _asked(url)
    if _own_password(url) or asked.get("password"):
        return None
    for name in ("service", "passfile"):
        if asked.get(name):
            return f"the {name} in the database-url"
    for name in ("PGPASSWORD", "PGPASSFILE"):
        if os.environ.get(name):
            return name
    try:
        path = Path.home() / PASSWORD_FILE
        return str(path) if path.exists() else None
    except (OSError, RuntimeError):
        return None


def far_servers(url: str) -> list[str]:
    """The servers a database URL names that are not this machine's.

    One that ``PGHOST`` names counts if the URL gives its port. A socket's directory is this machine's. What cannot be
    read as an address counts as far.
    """
    asked = _asked(url)
    named = [host for host in (_hosts(url), asked.get("host", "")) if host]
    if not named and "port" in asked:
        named = [os.environ.get("PGHOST", "") or ("the service's host" if asked.get("service") else "")]
    hosts = [host for one in named for host in one.split(",") if one]
    return [host for host in hosts if not _is_near(host)]


def _is_near(spec: str) -> bool:
    """Whether ``host``, ``host:port``, ``[host]:port`` or a directory is this machine's."""
    if spec.startswith("["):
        host = spec[1:].partition("]")[0]
    else:
        host = unquote(spec if spec.startswith("/") else spec.partition(":")[0])
    return host.startswith("/") or is_this_machine(host)


def _hosts(url: str) -> str:
    """The hosts between ``//`` and the path, as the driver tells them from the user: behind the first @."""
    user, at, hosts = urlsplit(url).netloc.partition("@")
    return hosts if at else user


def _own_password(url: str) -> str:
    user, at, _ = urlsplit(url).netloc.partition("@")
    return user.partition(":")[2] if at else ""


def _asked(url: str) -> Mapping[str, str]:
    """What stands behind the ?, the last of each name."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
