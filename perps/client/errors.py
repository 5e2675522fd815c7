"""How a request can fail."""

from __future__ import annotations

from collections.abc import Mapping


class VenueError(Exception):
    """Any failure of a request. ``client_order_id``: the id that the command was sent with, if it had one."""

    code: str
    """For programs: the venue's own code where the venue gave one."""
    client_order_id: str | None = None


class Refused(VenueError):
    """The venue's verdict is no: the request had no effect. Sent again as it is, it is likely to be refused again."""

    def __init__(self, code: str, message: str, details: Mapping[str, object], status: int) -> None:
        self.code, self.message, self.details, self.status = code, message, details, status
        self.is_repeated = False
        """An earlier try of the same request has an unknown outcome. It may have been carried out."""
        said = {name: value for name, value in details.items() if not _is_in(value, message)}
        facts = ", ".join(f"{name} {_text(value)}" for name, value in said.items())
        super().__init__(f"{code}: {message}" + (f" ({facts})" if facts else ""))


class Unavailable(VenueError, TimeoutError):
    """There was no verdict in time. Nothing was done: no try reached a venue that began it."""

    def __init__(self, why: str, code: str = "venue_unreachable", *, is_connected: bool = True) -> None:
        self.code = code
        self.is_connected = is_connected
        """Whether something listens at the address."""
        super().__init__(why)


class OutcomeUnknown(VenueError, TimeoutError):
    """There was no verdict in time, and the command may have been carried out.

    Send it again with ``client_order_id``: the venue does it once. A command without an id (it makes a user, a market
    or a key, or sets a price without a sequence) is not sent again in doubt: look whether it was done.
    """

    code = "outcome_unknown"

    def __init__(self, why: str, client_order_id: str | None) -> None:
        self.client_order_id = client_order_id
        what = (
            "look whether it was done before you send it again"
            if client_order_id is None
            else f"send it again with the client order id {client_order_id!r}, and it is done once"
        )
        super().__init__(f"{why}. The outcome is unknown: {what}")


class BadAnswer(VenueError):
    """The answer is not what the contract promises: another version of perps, or another server."""

    code = "bad_answer"


def _is_in(value: object, message: str) -> bool:
    """Whether the message already contains this detail, such as the name of a rule."""
    words = [str(item) for item in value] if isinstance(value, list) else [value]
    return all(isinstance(word, str) and not word[:1].isdigit() and word in message for word in words)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
