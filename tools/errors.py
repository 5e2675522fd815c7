"""What a tool can fail with. Each is one clear line on stderr and exit code 1."""

from collections.abc import Mapping


class ToolError(Exception):
    """A command could not do its work; its text says why, in one line."""


class VenueUnreachable(ToolError):
    """No answer from the venue: whether a command was done is unknown."""


class BadAnswer(ToolError):
    """The venue's answer is not what the contract says: another version, or another server."""


class ApiError(ToolError):
    """The venue answered with an error."""

    def __init__(
        self, code: str, message: str, details: Mapping[str, object], status: int, *, is_repeated: bool = False
    ) -> None:
        self.code = code
        self.message = message
        self.details = details
        self.status = status
        self.is_repeated = is_repeated
        """The request had been sent before, with an unknown outcome."""
        facts = ", ".join(f"{name} {value}" for name, value in details.items())
        super().__init__(f"{code}: {message}" + (f" ({facts})" if facts else ""))
