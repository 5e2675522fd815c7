"""What a tool can fail with. Each is one clear line on stderr and exit code 1; with ``--json`` also JSON on stdout."""

from collections.abc import Mapping


class ToolError(Exception):
    """A command could not do its work; its text says why, in one line."""

    code: str = "failed"
    """For programs; the venue's own where it is the venue that refused."""
    as_json = False
    """Whether the command was asked to speak JSON."""

    def record(self) -> dict[str, object]:
        """For ``--json``: ``{code, message, details}``, as the venue's errors are."""
        return {"code": self.code, "message": str(self), "details": {}}


class VenueUnreachable(ToolError):
    """No answer from the venue: whether a command was done is unknown."""

    code = "venue_unreachable"


class BadAnswer(ToolError):
    """The venue's answer is not what the contract says: another version, or another server."""

    code = "bad_answer"


class ApiError(ToolError):
    """The venue answered with an error. ``hint``: what the tool knows about it."""

    def __init__(
        self,
        code: str,
        message: str,
        details: Mapping[str, object],
        status: int,
        *,
        is_repeated: bool = False,
        hint: str = "",
    ) -> None:
        self.code = code
        self.message = message
        self.details = details
        self.status = status
        self.is_repeated = is_repeated
        """The request had been sent before, with an unknown outcome."""
        said = {name: value for name, value in details.items() if not _is_in(value, message)}
        facts = ", ".join(f"{name} {_text(value)}" for name, value in said.items())
        super().__init__(f"{code}: {message}" + (f" ({facts})" if facts else "") + (f" ({hint})" if hint else ""))

    def record(self) -> dict[str, object]:
        """What the venue said."""
        return {"code": self.code, "message": self.message, "details": dict(self.details)}


def _is_in(value: object, message: str) -> bool:
    """Whether a detail in words stands in the message already, such as a rule's name."""
    words = [str(item) for item in value] if isinstance(value, list) else [value]
    return all(isinstance(word, str) and not word[:1].isdigit() and word in message for word in words)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
