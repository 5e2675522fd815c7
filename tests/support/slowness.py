"""Limits of time on a machine that is slow, or has much else to do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = "import tools.serve, web.compose"
"""Loads what a venue's process loads."""
LOAD_S: Final = 0.6
"""What that takes on a machine of today with nothing else to do."""


def in_time(took_s: float, limit_s: float) -> bool:
    """Whether something took no longer than it may. Where loading a program takes longer it may take longer likewise.

    The machine is measured only when it matters.
    """
    return took_s < limit_s or took_s < limit_s * slowness()


def slowness() -> float:
    """How many times longer than on a machine of today something takes just now, at least 1."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, check=True)
    return max(1.0, (time.monotonic() - began) / LOAD_S)
