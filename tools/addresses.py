"""Addresses of a venue: where it listens, and the URL that reaches it from this machine."""

import re
from ipaddress import ip_address
from typing import Final

HOST: Final = "127.0.0.1"
PORT: Final = 8000
"""Where a venue listens if no setting says otherwise."""
PORT_MAX: Final = 65_535

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")


def reachable_host(text: str) -> str:
    """The host in the URL of a venue that listens on ``text``. For "any address" it is this machine.

    Errors: ValueError if ``text`` is neither an address nor a host name. So nothing but a host gets into the URL.
    """
    try:
        address = ip_address(text)
    except ValueError:
        if _NAME.fullmatch(text) is None:
            problem = "is not a host name or an IP address; give the venue's address with --url"
            raise ValueError(f"{text!r} {problem}") from None
        return text
    if address.is_unspecified:
        return HOST if address.version == 4 else "[::1]"
    return str(address) if address.version == 4 else f"[{address}]"
