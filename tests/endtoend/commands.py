"""Commands for a venue, run in this process: what they do is the same, and a start of Python takes half a second."""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.endtoend.venue_process import VenueProcess
from tools.cli import main


def typed(
    capsys: pytest.CaptureFixture[str], venue: VenueProcess, *arguments: str, folder: Path | None = None, code: int = 0
) -> str:
    """What ``perps`` prints, on stderr if there, where the venue was started or in ``folder``; it ends with this code.

    It sees the environment of the venue, and no other.
    """
    capsys.readouterr()
    with patch.dict(os.environ, venue.surroundings(), clear=True), chdir(folder or venue.log.parent):
        ended = main(arguments)
    out, err = capsys.readouterr()
    assert ended == code, (out, err)
    return err or out
