"""Where a venue listens, as a URL has it for those who look for it on the same machine."""

import re
from ipaddress import ip_address
from typing import Final

HOST: Final = "127.0.0.1"
PORT: Final = 8000
"""Where a venue listens unless it is told otherwise."""
PORT_MAX: Final = 65_535

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")


def reachable_host(text: str) -> str:
    """The part of a URL for the host a venue listens on. Of "any address" it is this machine's own.

    Errors: ValueError for what is neither an address nor a name, so that nothing but the host gets into the URL.
    """
    try:
        address = ip_address(text)
    except ValueError:
        if _NAME.fullmatch(text) is None:
            raise ValueError(f"{text!r} is not a host that a URL can name: say --url") from None
        return text
    if address.is_unspecified:
        return HOST if address.version == 4 else "[::1]"
    return str(address) if address.version == 4 else f"[{address}]"


def is_this_machine(host: str) -> bool:
    """Whether a host of a URL, without brackets or port, is a loopback address or its name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
