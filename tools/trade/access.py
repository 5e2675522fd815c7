"""The trader's key: from the environment or from a file, never from the command line, which others can see."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import rich_click as click

from tools.argument_types import USER_ID
from tools.settings import KEY_VARIABLE, Access, data_dir_option, find_place, read_key, url_option
from web.process.running_venues import ADMIN_KEY

R = TypeVar("R")


def trader_options(function: Callable[..., R]) -> Callable[..., R]:
    """``--as``, ``--key-file``, ``--url`` and ``--data-dir``. The command gets ``access``."""

    @wraps(function)
    def run(
        *args: Any, url: str | None, data_dir: Path | None, person: str | None, key_file: Path | None, **others: Any
    ) -> R:
        return function(*args, access=trader_access(url, data_dir, person, key_file), **others)

    person = click.option("--as", "person", type=USER_ID, help="Trade as this user, with <data-dir>/USER.key.")
    key_file = click.option(
        "--key-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file with the key.  [default: PERPS_KEY, else the only user's key in the data directory]",
    )
    return person(key_file(url_option(data_dir_option(run))))


def trader_access(url: str | None, data_dir: Path | None, person: str | None, key_file: Path | None) -> Access:
    """The venue that is meant, and the key to trade with. Errors: UsageError, VenueUnreachable."""
    if person is not None and key_file is not None:
        raise click.UsageError("give --as or --key-file, not both")
    named = None if person is not None or key_file is not None else os.environ.get(KEY_VARIABLE)
    place = find_place(url, data_dir, has_key=named is not None or key_file is not None)
    if named is not None:
        return Access(place.url, read_key(named), KEY_VARIABLE)
    file = key_file or _file_of(place.data_dir, person)
    try:
        return Access(place.url, read_key(file.read_text(encoding="utf-8")), str(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise click.UsageError(f"no key: {file} cannot be read ({reason}). {_HOW_TO}") from None


def _file_of(data_dir: Path, person: str | None) -> Path:
    """The file with a user's key; nobody is named: with the only one. Errors: UsageError."""
    if person is not None:
        return data_dir / f"{person}.key"
    found = sorted(path for path in data_dir.glob("*.key") if path.name != ADMIN_KEY)
    if not found:
        raise click.UsageError(f"no key: there is no user's key in {data_dir}. {_HOW_TO}")
    if len(found) > 1:
        raise click.UsageError(f"say who trades: {' or '.join(f'--as {path.stem}' for path in found[:10])}")
    return found[0]


_HOW_TO: Final = (
    "To make one: perps key create --user-id NAME --scope read --scope trade. Put it into PERPS_KEY, or into a file "
    "for --key-file that only you may read"
)
