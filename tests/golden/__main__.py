"""``python -m tests.golden``: record a session of the present schema version. Never writes over one that is there."""

import sys

from perps.events import SCHEMA_VERSION
from perps.venue import VenueState
from tests.golden.files import HERE, dump_result, dump_rows
from tests.golden.session import play


def main() -> int:
    """Write the files; 1 if this version has been recorded."""
    folder = HERE / f"v{SCHEMA_VERSION}"
    if folder.exists():
        print(f"{folder} is there. If it is released, raise SCHEMA_VERSION; if not, remove it first", file=sys.stderr)
        return 1
    rows, state = play(), VenueState()
    for row in rows:
        state.apply(row)
    folder.mkdir()
    (folder / "session.jsonl").write_text(dump_rows(rows))
    (folder / "result.json").write_text(dump_result(state))
    print(f"{len(rows)} rows in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
