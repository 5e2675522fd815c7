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
    """The venue gave no verdict."""

    def __init__(self, text: str, code: str = "venue_unreachable") -> None:
        super().__init__(text)
        self.code = code


class BadAnswer(ToolError):
    """The answer is not what ``docs/api.md`` promises: another version of perps, or another server."""

    code = "bad_answer"


class ApiError(ToolError):
    """The venue refused. ``text`` is for people; the rest is what the venue said."""

    def __init__(self, text: str, code: str, message: str, details: Mapping[str, object]) -> None:
        super().__init__(text)
        self.code, self.message, self.details = code, message, details

    def record(self) -> dict[str, object]:
        """The venue's error as it is."""
        return {"code": self.code, "message": self.message, "details": dict(self.details)}
