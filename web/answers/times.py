"""Times as the outside sees them."""

from datetime import UTC, datetime
from functools import lru_cache


def rfc3339(at_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 UTC with milliseconds."""
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).replace(tzinfo=None).isoformat()
