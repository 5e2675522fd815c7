"""The real clock. The only place where time is read."""

import time

from perps.units import Millis


class SystemClock:
    """Satisfies ``actors.ports.Clock``."""

    def now_ms(self) -> Millis:
        """Milliseconds since 1970-01-01 UTC."""
        return Millis(time.time_ns() // 1_000_000)

    def monotonic_ns(self) -> int:
        """Nanoseconds that never fall."""
        return time.monotonic_ns()
