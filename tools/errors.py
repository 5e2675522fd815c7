"""How a tool can fail. Each error is one clear line on stderr and exit code 1; with ``--json`` also JSON on stdout."""

from collections.abc import Mapping


class ToolError(Exception):
    """A command could not do its work. The text says why in one line, and what to do if there is something to do."""

    code: str = "failed"
    """For programs. If the venue refused, it is the venue's own code."""
    as_json = False
    """Whether the command was called with ``--json``."""

    def record(self) -> dict[str, object]:
        """For ``--json``: ``{code, message, details}``, as in the venue's own errors."""
        return {"code": self.code, "message": str(self), "details": {}}


class VenueUnreachable(ToolError):
    """The venue did not answer. Whether it carried the command out is unknown."""

    code = "venue_unreachable"


class BadAnswer(ToolError):
    """The answer is not what ``docs/api.md`` promises: another version of perps, or another server."""

    code = "bad_answer"


class ApiError(ToolError):
    """The venue answered with an error. ``hint``: what the tool can add."""

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
        """The request was sent before, and its outcome is unknown."""
        said = {name: value for name, value in details.items() if not _is_in(value, message)}
        facts = ", ".join(f"{name} {_text(value)}" for name, value in said.items())
        super().__init__(f"{code}: {message}" + (f" ({facts})" if facts else "") + (f" ({hint})" if hint else ""))

    def record(self) -> dict[str, object]:
        """The venue's error as it is."""
        return {"code": self.code, "message": self.message, "details": dict(self.details)}


def _is_in(value: object, message: str) -> bool:
    """Whether the message already contains this detail, such as the name of a rule."""
    words = [str(item) for item in value] if isinstance(value, list) else [value]
    return all(isinstance(word, str) and not word[:1].isdigit() and word in message for word in words)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
